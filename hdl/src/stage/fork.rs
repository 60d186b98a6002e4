//! Gives one stream to several readers, each with a FIFO of its own.

use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Kernel, Module, all_of};

/// Copies each beat to every output.
#[derive(Debug)]
pub struct Fork;

impl Kind for Fork {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        let depths = (0..site.depths.len()).map(|port| {
            let deep = if site.has_deep_fifo(port) { "b" } else { "" };
            format!("_{}{deep}", site.depths[port])
        });
        format!("dq_fork_{}_d{}", site.input.width(), depths.collect::<String>())
    }

    fn cost(&self, _site: &Site) -> Resources {
        Resources::logic(4, 0)
    }

    fn encode(&self) -> String {
        "Fork".into()
    }

    fn module(&self, site: &Site) -> Module {
        let width = site.input.width();
        let depths: Vec<String> = site.depths.iter().map(ToString::to_string).collect();
        let note = format!(
            "Gives each beat of {width} bits to {} readers; their FIFOs hold {} beats.\n\
             Takes a beat where every FIFO has a place. Latency {} ({} from a FIFO in block RAM), one beat \
             a cycle.",
            depths.len(),
            depths.join(", "),
            site.latency,
            site.latency + 1
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, width);
        let outlets: Vec<Outlet> = (0..depths.len()).map(|port| Outlet::port(&mut k, site, port)).collect();
        let beat = inlet.take(&mut k, all_of(outlets.iter().map(|outlet| outlet.free)));
        for outlet in outlets {
            outlet.finish(&mut k, beat, beat, inlet.data);
        }
        k.build()
    }
}
