//! One stream to several readers, each with a FIFO of its own.

use super::{Inlet, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Kernel, Module, all_of};

/// A beat in is a beat at every output.
pub fn module(stage: &Stage) -> Module {
    let width = stage.input.width();
    let depths: Vec<String> = stage.depths.iter().map(ToString::to_string).collect();
    let note = format!(
        "Gives each beat of {width} bits to {} readers; their FIFOs hold {} beats.\n\
         Takes a beat where every FIFO has a place. Latency 1 (2 from a FIFO in block RAM), one beat a cycle.",
        depths.len(),
        depths.join(", ")
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, width);
    let outlets: Vec<Outlet> = (0..depths.len()).map(|port| Outlet::port(&mut k, stage, port)).collect();
    let beat = inlet.take(&mut k, all_of(outlets.iter().map(|outlet| outlet.free)));
    for outlet in outlets {
        outlet.finish(&mut k, beat, beat, inlet.data);
    }
    k.build()
}
