//! Lets `dq-train` and the tests find libtorch at run time. Does nothing without the `train` feature.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // A run path: LD_LIBRARY_PATH still wins, so they can be pointed at another libtorch.
        for target in ["bin=dq-train=", "tests="] {
            println!("cargo:rustc-link-arg-{target}-Wl,-rpath,{lib}");
            println!("cargo:rustc-link-arg-{target}-Wl,--allow-shlib-undefined");
        }
    }
}
