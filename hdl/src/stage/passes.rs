//! Builds the two passes of a detector: of each frame all beats of the image, then all of its squeezed form,
//! which waits meanwhile in the FIFO before this stage. The network behind it takes them as two frames.

use super::concat::{turns, turns_cost};
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::site::Site;
use crate::device::Resources;
use crate::rtl::{Kernel, Module};

/// Takes turns between an image and its squeezed form, frame by frame.
#[derive(Debug)]
pub struct Passes {
    /// Number of beats of a frame.
    pub beats: usize,
}

impl Kind for Passes {
    fn schedule(&self) -> Schedule {
        Schedule::Turns { beats: [self.beats; 2] }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        turns_cost(site, [self.beats; 2])
    }

    fn encode(&self) -> String {
        record("Passes", &[("beats", &self.beats)])
    }

    fn module(&self, site: &Site) -> Module {
        let note = format!(
            "Two passes of each frame: the {} beats of the image (x), then those of its squeezed form (y).\n\
             Latency {}, one beat a cycle.",
            self.beats, site.latency
        );
        turns(Kernel::new(&self.module_name(site), &note), site, site.input, [self.beats; 2])
    }
}
