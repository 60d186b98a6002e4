//! Writes libtorch's folder into the run path of this crate's own binaries (tests, examples), so that they
//! start without `LD_LIBRARY_PATH`. Cargo passes link arguments to no dependent crate: each crate with a
//! binary needs these lines.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys is a direct dependency and names its libtorch");
    // A run path, not an rpath: LD_LIBRARY_PATH still wins, so that a binary can be pointed at another
    // libtorch.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{lib}");
    // A pruned libtorch refers to CUDA symbols that nothing calls; GNU ld needs to be told.
    println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");
}
