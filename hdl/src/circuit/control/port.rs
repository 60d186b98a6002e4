//! Builds the hardware of the control port: an AXI4-Lite slave with registered outputs, counters, checksum,
//! and the bus to the stages that can be loaded.

use super::{ADDRESS_BITS, CLEAR_COUNTERS, HOLD, MAX_STAGES, RESTART_CHECKSUM, address, crc_step};
use crate::rtl::{Expr, Kernel, Module, Sig, Stmt, Value, addr_bits, all_of, any_of, cat, lit, set, when};

/// Number of bits of a word's address.
const INDEX_BITS: usize = ADDRESS_BITS - 2;
const OKAY: u64 = 0;
const SLVERR: u64 = 2;

/// Returns the port of a circuit of `stages` stages of which `loads` can be loaded. Beside AXI4-Lite
/// (`s_axil_*`) it has, for each stage, `valid<i>` and `ready<i>` of its output; the handshakes of both
/// streams; `hold` for the ingress; and `load_data`, `load_valid`, `load_start`, with a `select<i>` for each
/// stage that can be loaded.
pub fn module(identity: u32, stages: usize, loads: usize) -> Module {
    assert!((1..=MAX_STAGES).contains(&stages) && loads <= stages, "{stages} stages, {loads} loads");
    let note = format!(
        "AXI4-Lite control port: counters of {stages} stages, parameters of {loads}; one word of 32 bits \
         an access.\n\
         docs/control.md has the register map. Both responses are registered: a write takes 2 cycles, a \
         read 2."
    );
    let mut k = Kernel::new("dq_control", &note);
    let writes = Writes::new(&mut k);
    let reads = Reads::new(&mut k);
    let counters = Counters::new(&mut k, stages, &writes);
    let loader = (loads > 0).then(|| Loader::new(&mut k, loads, &writes));
    let hold = k.reg("hold", 1, Some(0));
    k.next(hold, Some(writes.to(address::CONTROL)), writes.data.bit(HOLD.trailing_zeros() as usize));
    let hold_out = k.output("hold", 1);
    k.drive(hold_out, hold);
    let error = k.input("error", 1);

    let mut fixed: Vec<(u32, Expr)> = vec![
        (address::IDENTITY, lit(identity.into(), 32)),
        (address::SIZE, lit((loads << 16 | stages) as u64, 32)),
        (address::STATUS, cat([error, hold]).zext(32)),
        (address::CYCLES, counters.cycles.into()),
        (address::FRAMES_IN, counters.frames_in.into()),
        (address::FRAMES_OUT, counters.frames_out.into()),
    ];
    let mut writable = vec![address::CONTROL];
    if let Some(loader) = &loader {
        fixed.push((address::LOAD_SELECT, loader.stage.zext(32)));
        fixed.push((address::LOAD_COUNT, loader.count.into()));
        fixed.push((address::CHECKSUM, loader.crc.not()));
        writable.extend([address::LOAD_SELECT, address::LOAD_DATA]);
    } else {
        k.unused(writes.data);
    }
    writes.answer(&mut k, &writable);
    reads.answer(&mut k, &fixed, &counters.stalls);
    k.build()
}

fn index(address: u32) -> u64 {
    u64::from(address >> 2)
}

/// Holds the two write channels and the response.
struct Writes {
    go: Sig,
    index: Sig,
    data: Sig,
    whole: Sig,
    answered: Sig,
}

impl Writes {
    fn new(k: &mut Kernel) -> Self {
        let awaddr = k.input("s_axil_awaddr", ADDRESS_BITS);
        let awprot = k.input("s_axil_awprot", 3);
        let awvalid = k.input("s_axil_awvalid", 1);
        let awready = k.output("s_axil_awready", 1);
        let wdata = k.input("s_axil_wdata", 32);
        let wstrb = k.input("s_axil_wstrb", 4);
        let wvalid = k.input("s_axil_wvalid", 1);
        let wready = k.output("s_axil_wready", 1);
        k.unused(awprot);
        k.unused(awaddr.slice(0, 2));
        let (aw, w) = (k.reg("aw_held", 1, Some(0)), k.reg("w_held", 1, Some(0)));
        k.comment(
            aw,
            "A write: address and data are held until both are there and the last response is gone.",
        );
        let index = k.reg("aw_index", INDEX_BITS, None);
        let (data, whole) = (k.reg("w_data", 32, None), k.reg("w_whole", 1, None));
        let answered = k.reg("b_valid", 1, Some(0));
        let go = k.wire("write", aw & w & !answered);
        k.drive(awready, aw.not());
        k.drive(wready, w.not());
        let take = |k: &mut Kernel, held: Sig, valid: Sig, name: &str| {
            let take = k.wire(name, valid & !held);
            k.clocked([when(go, [set(held, lit(0, 1))]), when(take, [set(held, lit(1, 1))])]);
            take
        };
        let take_aw = take(k, aw, awvalid, "take_aw");
        let take_w = take(k, w, wvalid, "take_w");
        k.next(index, Some(take_aw.into()), awaddr.slice(2, INDEX_BITS));
        k.clocked([when(take_w, [set(data, wdata), set(whole, wstrb.all())])]);
        Writes { go, index, data, whole, answered }
    }

    /// Returns a bit that is high while a whole word is written to `address`.
    fn to(&self, address: u32) -> Expr {
        all_of([self.go.expr(), self.whole.expr(), self.index.eq_to(index(address))])
    }

    /// Builds the response of a write.
    fn answer(&self, k: &mut Kernel, writable: &[u32]) {
        let bresp = k.output("s_axil_bresp", 2);
        let bvalid = k.output("s_axil_bvalid", 1);
        let bready = k.input("s_axil_bready", 1);
        let refused = k.reg("b_refused", 1, None);
        let known = any_of(writable.iter().map(|&address| self.index.eq_to(index(address))));
        let known = k.wire("write_known", known & self.whole);
        k.clocked([
            when(self.answered & bready, [set(self.answered, lit(0, 1))]),
            when(self.go, [set(self.answered, lit(1, 1))]),
        ]);
        k.next(refused, Some(self.go.into()), known.not());
        k.drive(bvalid, self.answered);
        k.drive(bresp, refused.mux(lit(SLVERR, 2), lit(OKAY, 2)));
    }
}

/// Holds the two read channels.
struct Reads {
    index: Sig,
    held: Sig,
}

impl Reads {
    fn new(k: &mut Kernel) -> Self {
        let held = k.reg("ar_held", 1, Some(0));
        let index = k.reg("ar_index", INDEX_BITS, None);
        Reads { index, held }
    }

    fn answer(&self, k: &mut Kernel, fixed: &[(u32, Expr)], stalls: &[Sig]) {
        let araddr = k.input("s_axil_araddr", ADDRESS_BITS);
        let arprot = k.input("s_axil_arprot", 3);
        let arvalid = k.input("s_axil_arvalid", 1);
        let arready = k.output("s_axil_arready", 1);
        let rdata = k.output("s_axil_rdata", 32);
        let rresp = k.output("s_axil_rresp", 2);
        let rvalid = k.output("s_axil_rvalid", 1);
        let rready = k.input("s_axil_rready", 1);
        k.unused(arprot);
        k.unused(araddr.slice(0, 2));
        let answered = k.reg("r_valid", 1, Some(0));
        let (data, refused) = (k.reg("r_data", 32, None), k.reg("r_refused", 1, None));
        let go = k.wire("read", self.held & !answered);
        let take = k.wire("take_ar", arvalid & !self.held);
        k.clocked([when(go, [set(self.held, lit(0, 1))]), when(take, [set(self.held, lit(1, 1))])]);
        k.next(self.index, Some(take.into()), araddr.slice(2, INDEX_BITS));
        k.clocked([
            when(answered & rready, [set(answered, lit(0, 1))]),
            when(go, [set(answered, lit(1, 1))]),
        ]);

        let places = fixed.iter().map(|(address, _)| index(*address) + 1).max().expect("registers") as usize;
        let value = |i: usize| fixed.iter().find(|(address, _)| index(*address) == i as u64);
        let items = (0..places).map(|i| value(i).map_or(lit(0, 32), |(_, value)| value.clone())).collect();
        let low = k.select("fixed", self.index.slice(0, addr_bits(places)), items);
        let bits = addr_bits(stalls.len());
        let stall =
            k.select("stall_count", self.index.slice(0, bits), stalls.iter().map(|&s| s.into()).collect());
        let base = index(address::STALLS);
        let past = lit(base + stalls.len() as u64, INDEX_BITS);
        let in_stalls = all_of([self.index.ge(lit(base, INDEX_BITS)), self.index.lt(past)]);
        let in_stalls = k.wire("read_stall", in_stalls);
        let in_fixed = any_of(fixed.iter().map(|(address, _)| self.index.eq_to(index(*address))));
        let known = k.wire("read_known", in_fixed | in_stalls);
        k.clocked([when(go, [set(data, in_stalls.mux(stall, low)), set(refused, known.not())])]);
        k.drive(arready, self.held.not());
        k.drive(rvalid, answered);
        k.drive(rdata, data);
        k.drive(rresp, refused.mux(lit(SLVERR, 2), lit(OKAY, 2)));
    }
}

/// Says what is counted.
struct Counters {
    cycles: Sig,
    frames_in: Sig,
    frames_out: Sig,
    stalls: Vec<Sig>,
}

impl Counters {
    fn new(k: &mut Kernel, stages: usize, writes: &Writes) -> Self {
        let bit = CLEAR_COUNTERS.trailing_zeros() as usize;
        let clear = k.wire("clear", writes.to(address::CONTROL) & writes.data.bit(bit));
        let frame = |k: &mut Kernel, side: &str| {
            let [valid, ready, last] = ["valid", "ready", "last"].map(|p| k.input(&format!("{side}_{p}"), 1));
            k.wire(&format!("{side}_frame"), all_of([valid, ready, last]))
        };
        let count = |k: &mut Kernel, name: &str, event: Expr| {
            let counter = k.reg(name, 32, Some(0));
            k.clocked([when(event, [set(counter, counter.inc())]), when(clear, [set(counter, lit(0, 32))])]);
            counter
        };
        let cycles = count(k, "cycles", lit(1, 1));
        let (taken, given) = (frame(k, "in"), frame(k, "out"));
        let frames_in = count(k, "frames_in", taken.into());
        let frames_out = count(k, "frames_out", given.into());
        let stalls = (0..stages)
            .map(|i| {
                let (valid, ready) = (k.input(&format!("valid{i}"), 1), k.input(&format!("ready{i}"), 1));
                count(k, &format!("stalls{i}"), valid & !ready)
            })
            .collect();
        Counters { cycles, frames_in, frames_out, stalls }
    }
}

/// Holds the bus to the stages that can be loaded.
struct Loader {
    stage: Sig,
    count: Sig,
    crc: Sig,
}

impl Loader {
    fn new(k: &mut Kernel, loads: usize, writes: &Writes) -> Self {
        let stage = k.reg("load_stage", addr_bits(loads), Some(0));
        let count = k.reg("load_count", 32, Some(0));
        let crc = k.reg("crc", 32, Some(0xffff_ffff));
        let start = k.wire("start", writes.to(address::LOAD_SELECT));
        let word = k.wire("word", writes.to(address::LOAD_DATA));
        k.next(stage, Some(start.into()), writes.data.slice(0, stage.width()));
        k.clocked([when(word, [set(count, count.inc())]), when(start, [set(count, lit(0, 32))])]);
        let bit = RESTART_CHECKSUM.trailing_zeros() as usize;
        let restart = k.wire("restart", writes.to(address::CONTROL) & writes.data.bit(bit));
        let next = k.wire("crc_next", crc_next(crc, writes.data));
        let reset: Stmt = when(restart, [set(crc, lit(0xffff_ffff, 32))]);
        k.clocked([when(word, [set(crc, next)]), reset]);
        // Each port is a register or one gate away from one; the stages register it again.
        for (name, width, value) in [
            ("load_data", 32, writes.data.expr()),
            ("load_valid", 1, word.expr()),
            ("load_start", 1, start.expr()),
        ] {
            let port = k.output(name, width);
            k.drive(port, value);
        }
        for i in 0..loads {
            let select = k.output(&format!("select{i}"), 1);
            k.drive(select, stage.eq_to(i as u64));
        }
        Loader { stage, count, crc }
    }
}

/// Returns the CRC after `data`: it is linear, so each bit is the exclusive or of those bits whose own CRC
/// has it.
fn crc_next(crc: Sig, data: Sig) -> Expr {
    let bits = (0..32).rev().map(|out| {
        let of = |sig: Sig, step: &dyn Fn(u32) -> u32| -> Vec<Expr> {
            (0..32).filter(|&i| step(1 << i) >> out & 1 == 1).map(|i| sig.bit(i)).collect()
        };
        // Checksum and data both enter by exclusive or, so both have the same matrix.
        let terms = [of(crc, &|x| crc_step(x, 0)), of(data, &|x| crc_step(0, x))].concat();
        terms.into_iter().reduce(|a, b| a ^ b).expect("no bit of a CRC is constant")
    });
    cat(bits)
}
