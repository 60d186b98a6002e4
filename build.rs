//! Lets the binary find libtorch at run time. Does nothing without the `train` feature.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // A run path: LD_LIBRARY_PATH still wins, so the binary can be pointed at another libtorch.
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");
    }
}
