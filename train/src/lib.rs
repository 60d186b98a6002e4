//! Trains DQ-regularized low-bit networks and exports them exactly to integer networks: recipes, quantizers, the DQ
//! penalty, the training loop. The only crate that needs libtorch; never writes Verilog, and what a layer means is
//! `dq-net`'s to say.

mod exact;
mod fit;
mod graph;
mod node;
mod random;
pub mod recipe;
mod run;
mod waiting;

pub use exact::evaluate::Evaluation;
pub use exact::prove::{PROBES, ProofFailure};
pub use exact::saved::{evaluation, export, export_once, is_calibrated, proved, reprove, run_recipe};
pub use fit::trainer::{Options, Outcome, train};
pub use recipe::{BitWidths, Bits, Recipe, RecipeError};
pub use run::folder::{BEST, LAST, METRICS, RECIPE};
pub use run::metrics::{EpochMetrics, Event};
pub use waiting::sleep_while_waiting;

use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, bail};

/// Where training and export run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where the library and a GPU are there, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The first GPU.
    Cuda,
}

/// The choice in force: of [`choose_device`], or `Auto`.
static CHOICE: AtomicU8 = AtomicU8::new(DeviceChoice::Auto as u8);

/// Trains and exports there from here on.
///
/// # Errors
/// Where CUDA is asked for and no GPU can be used.
pub fn choose_device(choice: DeviceChoice) -> Result<()> {
    CHOICE.store(choice as u8, Ordering::Relaxed);
    if choice == DeviceChoice::Cuda && device() == tch::Device::Cpu {
        bail!(
            "no GPU can be used: libtorch_cuda.so of libtorch 2.11 (on LD_LIBRARY_PATH) and a CUDA device are needed"
        );
    }
    Ok(())
}

/// The device that training and export run on.
pub fn device() -> tch::Device {
    if CHOICE.load(Ordering::Relaxed) == DeviceChoice::Cpu as u8 {
        return tch::Device::Cpu;
    }
    static CUDA: Once = Once::new();
    CUDA.call_once(|| {
        // SAFETY: loading a library runs its initializers; libtorch's only register kernels. The binary itself links
        // libtorch_cpu alone, so that it also runs where no CUDA library is.
        let _ = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    });
    tch::Device::cuda_if_available()
}

/// Computes on so many CPU threads from here on (at least 1). [`train`] sets it by its options; export and evaluation take
/// what was last set.
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
