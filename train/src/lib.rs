//! Trains DQ-regularized low-bit networks and exports them exactly to integer networks: recipes, quantizers, the DQ
//! penalty, the training loop. The only crate that needs libtorch; never writes Verilog, and what a layer means is
//! `dq-net`'s to say.

mod batch;
mod calibrate;
mod checkpoint;
mod evaluate;
mod export;
mod graph;
mod model;
mod penalty;
mod prove;
mod quantize;
mod random;
pub mod recipe;
mod run;
mod sgd;
mod squeeze;
mod step;
mod stream;
mod trainer;

pub use evaluate::Evaluation;
pub use prove::{PROBES, ProofFailure};
pub use recipe::{BitWidths, Bits, Recipe, RecipeError};
pub use run::{bits_of, evaluation, export, is_calibrated, reprove, run_recipe};
pub use trainer::{BEST, EpochMetrics, Event, LAST, METRICS, Options, Outcome, RECIPE, train};

use std::sync::Once;

/// The device that training and export run on: CUDA where the library and a GPU are there, else the CPU.
pub fn device() -> tch::Device {
    static CUDA: Once = Once::new();
    CUDA.call_once(|| {
        // SAFETY: loading a library runs its initializers; libtorch's only register kernels. The binary itself links
        // libtorch_cpu alone, so that it also runs where no CUDA library is.
        let _ = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    });
    tch::Device::cuda_if_available()
}

/// Computes on so many CPU threads from here on (at least 1). [`train`] sets it by its options; export and evaluation take
/// what was last set. On a busy machine one thread is faster than two, which wait for each other in loops.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(threads.clamp(1, 1024) as i32);
}

/// Lets the C allocator keep large blocks. By default each of a step's tensors is mapped and unmapped anew, and a sixth
/// of the training time goes into page faults.
fn keep_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets limits of the allocator; a refused value changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
