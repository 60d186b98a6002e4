//! Plays an AXI4-Lite master on a simulated circuit: what a host's bus does, clock by clock, for tests and
//! for the netlist.

use super::{ADDRESS_BITS, Access};
use crate::rtl::{PortId, Sim};

/// Holds the master's side of the port.
pub struct Master {
    aw: [PortId; 3],
    w: [PortId; 4],
    b: [PortId; 3],
    ar: [PortId; 3],
    r: [PortId; 4],
}

/// Holds an answer of the port: data (0 for a write) and whether the access was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The word that was read.
    pub data: u32,
    /// Whether the response was SLVERR.
    pub refused: bool,
}

/// Number of clocks after which a port that does not answer counts as stuck.
const PATIENCE: usize = 100;

impl Master {
    /// Sits on the control port of `sim`.
    pub fn new(sim: &Sim) -> Self {
        let port = |name: &str| sim.port(&format!("s_axil_{name}"));
        Master {
            aw: ["awaddr", "awvalid", "awready"].map(port),
            w: ["wdata", "wstrb", "wvalid", "wready"].map(port),
            b: ["bresp", "bvalid", "bready"].map(port),
            ar: ["araddr", "arvalid", "arready"].map(port),
            r: ["rdata", "rresp", "rvalid", "rready"].map(port),
        }
    }

    /// Writes `data` to byte `address`, address and data in the same cycle or, with `late`, the one after the
    /// other.
    #[expect(clippy::too_many_arguments, reason = "the signals of a write, in the order of the bus")]
    pub fn write(&self, sim: &mut Sim, address: u32, data: u32, strobe: u8, late: bool) -> Answer {
        assert!(address >> ADDRESS_BITS == 0, "an address of the port");
        let ([awaddr, awvalid, awready], [wdata, wstrb, wvalid, wready]) = (self.aw, self.w);
        sim.set(awaddr, address.into());
        sim.set(wdata, data.into());
        sim.set(wstrb, strobe.into());
        if late {
            self.hand_over(sim, wvalid, wready);
            self.hand_over(sim, awvalid, awready);
        } else {
            sim.set(awvalid, 1);
            self.hand_over(sim, wvalid, wready);
            sim.set(awvalid, 0);
        }
        let refused = self.answer(sim, self.b, None).refused;
        Answer { data: 0, refused }
    }

    /// Reads byte `address`.
    pub fn read(&self, sim: &mut Sim, address: u32) -> Answer {
        assert!(address >> ADDRESS_BITS == 0, "an address of the port");
        let [araddr, arvalid, arready] = self.ar;
        sim.set(araddr, address.into());
        self.hand_over(sim, arvalid, arready);
        let [data, resp, valid, ready] = self.r;
        self.answer(sim, [resp, valid, ready], Some(data))
    }

    /// Carries out `accesses`; the first that is refused or reads something else ends it.
    pub fn play(&self, sim: &mut Sim, accesses: &[Access]) -> Result<(), String> {
        for access in accesses {
            match *access {
                Access::Write { address, data } => {
                    if self.write(sim, address, data, 0xf, false).refused {
                        return Err(format!("address {address:#05x}: the write of {data:#010x} was refused"));
                    }
                }
                Access::Expect { address, data } => {
                    let answer = self.read(sim, address);
                    if answer.refused || answer.data != data {
                        let found = answer.data;
                        return Err(format!(
                            "address {address:#05x}: expected {data:#010x}, found {found:#010x}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Holds `valid` until `ready`.
    fn hand_over(&self, sim: &mut Sim, valid: PortId, ready: PortId) {
        sim.set(valid, 1);
        self.wait(sim, ready);
        sim.clock();
        sim.set(valid, 0);
    }

    /// Waits for the answer of a channel, given as its response, valid and ready, and takes it.
    fn answer(&self, sim: &mut Sim, [resp, valid, ready]: [PortId; 3], data: Option<PortId>) -> Answer {
        self.wait(sim, valid);
        let data = data.map_or(0, |port| sim.get(port) as u32);
        let refused = sim.get(resp) != 0;
        sim.set(ready, 1);
        sim.clock();
        sim.set(ready, 0);
        Answer { data, refused }
    }

    fn wait(&self, sim: &mut Sim, port: PortId) {
        let waits = (0..PATIENCE).take_while(|_| {
            let waiting = sim.get(port) == 0;
            if waiting {
                sim.clock();
            }
            waiting
        });
        assert!(waits.count() < PATIENCE, "the control port does not answer");
    }
}
