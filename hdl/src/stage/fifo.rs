//! Builds instances of `dq_fifo`, the FIFO of the library (`fifo.v`), which every ring of a stage is; and
//! says what an instance does where the circuit is checked and simulated.

use crate::rtl::{
    Connection, Expr, Instance, Kernel, Library, Read, Sig, Style, Value, Write, addr_bits, bits_for, lit,
    set, when,
};

/// The module of the library.
pub static LIBRARY: Library = Library { name: "dq_fifo", text: include_str!("fifo.v") };

/// The parameters of a FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Bits of a beat.
    pub width: usize,
    /// Places, those of beats on their way included; at least 2.
    pub depth: usize,
    /// Cycles from the promise of a place to its beat.
    pub delay: usize,
    /// Whether it is block RAM with a register behind it, which gives its beats a cycle later.
    pub block: bool,
}

/// What a FIFO is connected to.
pub struct Ports {
    /// Driven: a place is free that no beat in flight has been promised.
    pub free: Sig,
    /// Promises a place.
    pub spend: Expr,
    /// Brings a beat.
    pub push: Expr,
    /// The beat.
    pub data: Expr,
    /// Driven: the oldest beat.
    pub out: Sig,
    /// Driven: there is one.
    pub valid: Sig,
    /// It is taken.
    pub ready: Expr,
}

impl Fifo {
    /// Adds the FIFO to `k`: its instance is called `fifo`, its nets begin so, and both go on with `suffix`.
    pub fn build(self, k: &mut Kernel, suffix: &str, ports: Ports) {
        let Fifo { width, depth, delay, block } = self;
        let name = format!("fifo{suffix}");
        assert!(depth >= 2, "a FIFO of {depth}");
        let number = usize::from;
        let instance = Instance {
            library: &LIBRARY,
            name: name.clone(),
            parameters: vec![("WIDTH", width), ("DEPTH", depth), ("DELAY", delay), ("BLOCK", number(block))],
            ports: vec![
                ("free", Connection::Out(ports.free)),
                ("spend", Connection::In(ports.spend.clone())),
                ("push", Connection::In(ports.push.clone())),
                ("push_data", Connection::In(ports.data.clone())),
                ("m_data", Connection::Out(ports.out)),
                ("m_valid", Connection::Out(ports.valid)),
                ("m_ready", Connection::In(ports.ready.clone())),
            ],
        };
        k.part(instance, |k| self.inside(k, &name, ports));
    }

    /// Adds what the instance does.
    fn inside(self, k: &mut Kernel, name: &str, ports: Ports) {
        let Fifo { width, depth, delay, block } = self;
        let Ports { free, spend, push, data, out, valid, ready } = ports;
        let bits = bits_for(depth as u64);
        let count = k.reg(&format!("{name}_count"), bits, Some(0));
        let held = k.wire(&format!("{name}_held"), count.any());
        let shown = if block { k.reg(&format!("{name}_shown"), 1, Some(0)) } else { held };
        k.drive(valid, shown);
        let pop = k.wire(&format!("{name}_pop"), shown & ready.clone());
        let read = if block {
            // Into the register behind the memory, where that is free.
            let read = k.wire(&format!("{name}_read"), held & (!shown | ready.clone()));
            k.next(shown, None, read | (shown & !ready));
            read
        } else {
            pop
        };
        let less_one = |sig: Sig| sig.sub(lit(1, sig.width()), sig.width());
        k.clocked([
            when(push.clone() & !read, [set(count, count.inc())]),
            when(push.clone().not() & read, [set(count, less_one(count))]),
        ]);
        if delay == 0 && !block {
            // All promised places hold their beats.
            k.drive(free, count.ne(lit(depth as u64, bits)));
        } else {
            let credit = k.reg(&format!("{name}_credit"), bits, Some(depth as u64));
            k.drive(free, credit.any());
            k.clocked([
                when(spend.clone() & !pop, [set(credit, less_one(credit))]),
                when(spend.not() & pop, [set(credit, credit.inc())]),
            ]);
        }
        let write_at = self.pointer(k, &format!("{name}_in"), &push);
        let read_at = self.pointer(k, &format!("{name}_out"), &read.expr());
        let (style, addr) = (if block { Style::Block } else { Style::Auto }, read_at.into());
        let port = if block { Read::Sync { enable: read.into(), addr } } else { Read::Async { addr } };
        let write = Write { enable: push, addr: write_at.into(), data };
        let beat = k.ram(&format!("{name}_memory"), width, depth, style, write, port);
        k.drive(out, beat);
    }

    fn pointer(self, k: &mut Kernel, name: &str, advance: &Expr) -> Sig {
        let at = k.reg(name, addr_bits(self.depth), Some(0));
        let next = if self.depth.is_power_of_two() {
            at.inc()
        } else {
            at.eq_to(self.depth as u64 - 1).mux(lit(0, at.width()), at.inc())
        };
        k.next(at, Some(advance.clone()), next);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::{File, Module, emit};
    use crate::tool::{self, Tool};
    use std::path::Path;

    const SHAPES: [(usize, usize, usize, bool); 12] = [
        (1, 2, 0, false),
        (8, 2, 1, false),
        (5, 3, 0, false),
        (4, 3, 2, false),
        (3, 4, 0, false),
        (6, 5, 3, false),
        (2, 8, 1, false),
        (9, 13, 4, false),
        (3, 2, 0, true),
        (7, 5, 0, true),
        (4, 16, 2, true),
        (2, 19, 5, true),
    ];

    /// A leaf that is the FIFO and nothing else, under its own port names.
    fn alone(fifo: Fifo) -> Module {
        let mut k = Kernel::new("whole", "A FIFO.");
        let free = k.output("free", 1);
        let [spend, push] = ["spend", "push"].map(|name| k.input(name, 1));
        let data = k.input("push_data", fifo.width);
        let (out, valid) = (k.output("m_data", fifo.width), k.output("m_valid", 1));
        let ready = k.input("m_ready", 1).expr();
        if fifo.delay == 0 && !fifo.block {
            k.unused(spend);
        }
        let (spend, push, data) = (spend.into(), push.into(), data.into());
        fifo.build(&mut k, "", Ports { free, spend, push, data, out, valid, ready });
        k.build()
    }

    /// Says whether Yosys proves, register by register and over all their states, that `library` at the
    /// parameters of `fifo` is the circuit that is simulated.
    fn is_the_same(yosys: &Tool, folder: &Path, library: &str, fifo: Fifo) -> bool {
        let Fifo { width, depth, delay, block } = fifo;
        let files: Vec<File> = emit(&alone(fifo).in_full(), "").unwrap();
        assert!(files.len() == 1 && !files[0].text.contains("dq_fifo"), "printed in full");
        std::fs::write(folder.join("whole.v"), &files[0].text).unwrap();
        std::fs::write(folder.join("dq_fifo.v"), library).unwrap();
        let credit = delay > 0 || block;
        let memory = if block { "g_block" } else { "g_logic" };
        let mut names: Vec<(String, String)> =
            ["count_q", "in_q", "out_q"].map(|name| (name.into(), format!("fifo_{name}"))).into();
        names.extend(credit.then(|| ("g_credit.credit_q".into(), "fifo_credit_q".into())));
        if block {
            names.push(("g_block.shown_q".into(), "fifo_shown_q".into()));
            names.push(("g_block.data_q".into(), "fifo_memory_q".into()));
        }
        names.extend((0..depth).map(|at| (format!("{memory}.memory[{at}]"), format!("fifo_memory[{at}]"))));
        let renamed: Vec<String> = names.iter().map(|(from, to)| format!("rename \\{from} \\{to}")).collect();
        let script = format!(
            "read_verilog dq_fifo.v\nchparam -set WIDTH {width} -set DEPTH {depth} -set DELAY {delay} \
             -set BLOCK {block} dq_fifo\nread_verilog whole.v\nproc\nmemory -nomap\nmemory_map\nopt_clean\n\
             cd dq_fifo\n{}\ncd ..\nequiv_make dq_fifo whole both\nhierarchy -top both\nequiv_simple\n\
             equiv_induct\nequiv_status -assert\n",
            renamed.join("\n"),
            block = usize::from(block),
        );
        std::fs::write(folder.join("both.ys"), script).unwrap();
        let output = yosys.command().args(["-q", "both.ys"]).current_dir(folder).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let unequal = text.contains("unproven $equiv cells");
        assert!(output.status.success() || unequal, "{fifo:?}: {text}");
        output.status.success()
    }

    #[test]
    fn parameters_that_the_module_has_no_circuit_for_are_refused() {
        let Some(yosys) = tool::require("yosys") else { return };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dq_fifo.v"), LIBRARY.text).unwrap();
        let check = |parameter: &str| {
            let script = format!(
                "read_verilog dq_fifo.v; chparam -set {parameter} dq_fifo; hierarchy -check -top dq_fifo"
            );
            yosys.command().args(["-q", "-p", &script]).current_dir(folder.path()).output().unwrap()
        };
        assert!(check("DEPTH 3").status.success());
        for parameter in ["WIDTH 0", "DEPTH 1", "BLOCK 2"] {
            let output = check(parameter);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains("dq_fifo_with_refused_parameters"), "{parameter}: {text}");
        }
    }

    #[test]
    fn the_module_of_the_library_is_the_circuit_that_is_simulated() {
        let Some(yosys) = tool::require("yosys") else { return };
        let folder = tempfile::tempdir().unwrap();
        let same = |library: &str, (width, depth, delay, block)| {
            is_the_same(&yosys, folder.path(), library, Fifo { width, depth, delay, block })
        };
        for shape in SHAPES {
            assert!(same(LIBRARY.text, shape), "{shape:?}");
        }
        let logic = (6, 5, 3, false);
        let block = (7, 5, 0, true);
        for (shape, from, to) in [
            (logic, "count_q + 1'b1", "count_q + 2'd2"),
            (logic, "(place == LAST)", "(place == ALL)"),
            (logic, "credit_q <= ALL;", "credit_q <= LAST;"),
            (logic, "if (spend & ~pop)", "if (spend)"),
            (logic, "|credit_q", "&credit_q"),
            (block, "held & (~shown_q | m_ready)", "held & ~shown_q"),
            (block, "memory[in_q] <= push_data;", "memory[in_q] <= ~push_data;"),
            ((3, 4, 0, false), "count_q != ALL", "count_q != LAST"),
        ] {
            assert!(LIBRARY.text.contains(from), "{from}");
            assert!(!same(&LIBRARY.text.replace(from, to), shape), "{to}");
        }
    }
}
