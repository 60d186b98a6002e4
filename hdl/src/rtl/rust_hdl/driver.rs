//! Drives a module clock by clock (`Sim`) through rust-hdl's `simulate`, on the description that is emitted.
//!
//! A clock cycle is: set inputs, read outputs, [`Sim::clock`]. Reading settles by itself. Never checks
//! values.

use super::circuit::Circuit;
use crate::rtl::ir::module::Module;
use crate::rtl::ir::port::Direction;
use crate::rtl::ir::words;
use crate::rtl::sim::image::Place;
use rust_hdl::core::simulate::simulate;
use rust_hdl::core::vcd_probe::{VCDProbe, write_vcd_change, write_vcd_dump, write_vcd_header};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Runs a module. The driver sets `clk`; everything else is set by port.
pub struct Sim {
    circuit: Circuit,
    module: Module,
    rst: PortId,
    clk: Place,
    /// Whether inputs or clock were driven and have not been taken over yet.
    stale: bool,
    edge: bool,
    cycles: u64,
    trace: Option<Trace>,
}

/// Names a port of one `Sim`.
#[derive(Clone, Copy, Debug)]
pub struct PortId {
    place: Place,
    input: bool,
}

struct Trace {
    probe: VCDProbe<Shared>,
    text: Shared,
}

/// Holds text that the probe writes and the driver takes away.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

/// Length of a clock cycle in a trace, in picoseconds.
const PERIOD: u64 = 10_000;

impl Sim {
    /// Compiles `module`. Registers and memories are 0, `rst` and all inputs low.
    pub fn new(module: &Module) -> Sim {
        let circuit = Circuit::new(module);
        let input = |name| circuit.engine.input(name).expect("every module has clk and rst");
        let (clk, rst) = (input("clk"), PortId { place: input("rst"), input: true });
        Sim { circuit, module: module.clone(), rst, clk, stale: true, edge: false, cycles: 0, trace: None }
    }

    /// Returns the port of this name.
    ///
    /// # Panics
    /// Panics if there is none.
    pub fn port(&self, name: &str) -> PortId {
        let module = self.module.name();
        let port = self.module.port(name).unwrap_or_else(|| panic!("{module}: no port {name}"));
        let input = port.direction == Direction::In;
        assert!(name != "clk", "{module}: clk belongs to the driver");
        let place = if input { self.circuit.engine.input(name) } else { self.circuit.place(name) };
        PortId { place: place.expect("ports have places"), input }
    }

    /// Drives an input of up to 64 bits. Panics if the value does not fit.
    pub fn set(&mut self, port: PortId, value: u64) {
        assert!(port.place.width <= 64, "{} bits: use set_words()", port.place.width);
        self.set_words(port, &[value]);
    }

    /// Drives an input of any width, as little-endian words. Panics if the value does not fit.
    pub fn set_words(&mut self, port: PortId, value: &[u64]) {
        let width = port.place.width;
        assert!(port.input, "an output is not driven");
        assert!(value.len() == words::words_for(width), "{} words for {width} bits", value.len());
        assert!(value[value.len() - 1] & !words::top_mask(width) == 0, "the value does not fit {width} bits");
        self.circuit.engine.drive(port.place, value);
        self.stale = true;
    }

    /// Returns the settled value of a port of up to 64 bits.
    pub fn get(&mut self, port: PortId) -> u64 {
        assert!(port.place.width <= 64, "{} bits: use get_words()", port.place.width);
        self.get_words(port)[0]
    }

    /// Returns the settled value of a port of any width, as little-endian words.
    pub fn get_words(&mut self, port: PortId) -> &[u64] {
        self.settle();
        self.circuit.engine.value(port.place)
    }

    /// Returns the settled value of any net below the top, by its path: `conv1.valid_q`. None if there is no
    /// such net.
    pub fn peek(&mut self, path: &str) -> Option<&[u64]> {
        self.settle();
        let place = self.circuit.place(path)?;
        Some(self.circuit.engine.value(place))
    }

    /// Makes one rising edge of `clk`, on the inputs as they are now.
    pub fn clock(&mut self) {
        self.settle();
        self.circuit.engine.drive(self.clk, &[1]);
        (self.stale, self.edge) = (true, true);
        self.cycles += 1;
    }

    /// Holds `rst` for two clocks.
    pub fn reset(&mut self) {
        self.set(self.rst, 1);
        self.clock();
        self.clock();
        self.set(self.rst, 0);
    }

    /// Returns the clock edges so far, those of [`Sim::reset`] included.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Fills what powers up undefined (registers without reset, RAMs, clocked read data) with noise from
    /// `seed`.
    pub fn scramble(&mut self, seed: u64) {
        self.settle();
        self.circuit.engine.scramble(seed);
        self.stale = true;
    }

    /// Starts a VCD trace of every net of the hierarchy, at 10 ns a cycle.
    pub fn trace(&mut self) {
        self.settle();
        self.circuit.show();
        let text = Shared::default();
        let probe = write_vcd_header(text.clone(), &self.circuit);
        let probe = write_vcd_dump(probe, &self.circuit);
        self.trace = Some(Trace { probe, text });
    }

    /// Returns the VCD text since the last call; empty without a trace. Pieces join to one file.
    pub fn take_vcd(&mut self) -> Vec<u8> {
        self.settle();
        self.trace.as_ref().map(|trace| std::mem::take(&mut *trace.text.lock())).unwrap_or_default()
    }

    fn settle(&mut self) {
        if !self.stale {
            return;
        }
        if self.trace.is_none() {
            // rust-hdl walks the whole tree to see what changed, which only a trace asks for; a test checks
            // that both ways give the same values.
            self.circuit.engine.update();
            if self.edge {
                self.circuit.engine.drive(self.clk, &[0]);
                self.circuit.engine.update();
            }
            (self.stale, self.edge) = (false, false);
            return;
        }
        self.converge();
        self.record(0);
        if self.edge {
            self.circuit.engine.drive(self.clk, &[0]);
            self.converge();
            self.record(PERIOD / 2);
        }
        (self.stale, self.edge) = (false, false);
    }

    fn converge(&mut self) {
        // Assigns are sorted, so one pass settles and the second sees that nothing changed.
        let settled = simulate(&mut self.circuit, 2);
        assert!(settled, "{}: does not settle", self.module.name());
    }

    fn record(&mut self, phase: u64) {
        let Some(Trace { mut probe, text }) = self.trace.take() else { return };
        self.circuit.show();
        probe.timestamp(self.cycles * PERIOD + phase).expect("writing to memory");
        let probe = write_vcd_change(probe, &self.circuit);
        self.trace = Some(Trace { probe, text });
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
