//! Chooses where libtorch computes, and on how many threads.

use std::sync::Once;

use anyhow::{Result, bail};
use tch::Device;

/// Says where training and export should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where the library and a GPU are there, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The first GPU.
    Cuda,
}

/// Holds a device that exists, and the number of CPU threads that libtorch uses beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    device: Device,
    threads: usize,
}

impl Compute {
    /// Finds the device of `choice`; libtorch will use `threads` CPU threads (1 to 1024).
    ///
    /// # Errors
    /// Where CUDA is asked for and no GPU can be used.
    pub fn new(choice: DeviceChoice, threads: usize) -> Result<Compute> {
        let device = if choice == DeviceChoice::Cpu { Device::Cpu } else { find_gpu() };
        if choice == DeviceChoice::Cuda && device == Device::Cpu {
            bail!(
                "no GPU can be used: libtorch_cuda.so of libtorch 2.11 (on LD_LIBRARY_PATH) and a CUDA \
                 device are needed"
            );
        }
        Ok(Compute { device, threads: threads.clamp(1, 1024) })
    }

    /// Returns one thread of the CPU: what is trained so is the same on every run.
    pub const fn one_thread() -> Compute {
        Compute { device: Device::Cpu, threads: 1 }
    }

    /// Returns whether it is a GPU.
    pub fn is_gpu(self) -> bool {
        self.device != Device::Cpu
    }

    /// Tells libtorch its number of threads, and returns the device.
    pub fn begin(self) -> Device {
        tch::set_num_threads(self.threads as i32);
        self.device
    }
}

/// Returns the first GPU, or the CPU where none can be used.
fn find_gpu() -> Device {
    static CUDA: Once = Once::new();
    CUDA.call_once(|| {
        // SAFETY: loading a library runs its initializers; libtorch's only register kernels. The binary
        // itself links libtorch_cpu alone, so that it also runs where no CUDA library is.
        let _ = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    });
    Device::cuda_if_available()
}
