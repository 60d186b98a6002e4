//! Prints a leaf as Verilog-2005: ANSI ports, explicit widths, wires in order of evaluation, synchronous
//! reset last in each process, then instances of the library. Every operand already has its width, so no rule
//! of the language ever changes a value. Never checks.

use super::expr::{Printer, literal};
use super::text::{COLUMNS, KEPT, comment, header, push_wrapped, range};
use crate::rtl::ir::expr::{Expr, Sig};
use crate::rtl::ir::leaf::{Contract, Leaf, Net, NetKind, UNUSED};
use crate::rtl::ir::memory::{Memory, Read, RomImage, Style};
use crate::rtl::ir::names::INSTANCE;
use crate::rtl::ir::order;
use crate::rtl::ir::part::{Connection, Instance, Part};
use crate::rtl::ir::words;

/// Returns the module text, from its comment to `endmodule`, without the lines that open and close a file.
pub(crate) fn print(leaf: &Leaf) -> String {
    let printer = Printer { leaf };
    let mut out = comment(&leaf.note);
    out += &header(&leaf.name, leaf.ports());
    printer.state(&mut out);
    printer.logic(&mut out);
    printer.unused(&mut out);
    printer.processes(&mut out);
    printer.instances(&mut out);
    printer.contract(&mut out);
    out += "\nendmodule\n";
    out.replace(KEPT, " ")
}

impl Printer<'_> {
    /// Prints registers and memories.
    fn state(&self, out: &mut String) {
        let regs = self.leaf.nets.iter().filter(|net| matches!(net.kind, NetKind::Reg(_)));
        let regs: Vec<_> = regs.filter(|net| self.leaf.part_of(net.sig.id as usize).is_none()).collect();
        if !regs.is_empty() {
            out.push('\n');
        }
        for net in regs {
            self.note(out, &net.note);
            let kept = if net.kept { "(* keep *) " } else { "" };
            *out += &format!("  {kept}reg {}{};\n", declared(net.sig), net.name);
        }
        self.memories().for_each(|memory| self.memory(out, memory));
    }

    fn memory(&self, out: &mut String, memory: &Memory) {
        let Memory { name, word_bits, words, .. } = memory;
        let net = self.leaf.net(memory.out);
        out.push('\n');
        self.note(out, &net.note);
        if let Some(attribute) = attributes(memory) {
            *out += &format!("  (* {attribute} *)\n");
        }
        *out += &format!("  reg {}{name} [0:{}];\n", range(*word_bits), words - 1);
        match memory.preset() {
            Some(RomImage { file: Some(file), .. }) => {
                *out += &format!("  initial $readmemh(\"{file}\", {name});\n");
            }
            Some(RomImage { file: None, data }) => words_in_place(out, memory, data),
            None => {}
        }
        if let Read::Sync { .. } = memory.read {
            *out += &format!("  reg {}{};\n", range(*word_bits), net.name);
        }
    }

    /// Prints wires and outputs, each after what it depends on.
    fn logic(&self, out: &mut String) {
        let order = order::comb_order(self.leaf).expect("the leaf was checked when it was sealed");
        let (made, order): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|&id| self.leaf.part_of(id).is_some());
        let made = made.into_iter().map(|id| &self.leaf.nets[id]);
        let driven: Vec<_> = made.filter(|net| self.is_driven_wire(net)).collect();
        if !driven.is_empty() || !order.is_empty() {
            out.push('\n');
        }
        for net in driven {
            self.note(out, &net.note);
            *out += &format!("  wire {}{};\n", declared(net.sig), net.name);
        }
        for id in order {
            let net = &self.leaf.nets[id];
            self.note(out, &net.note);
            let name = &net.name;
            let line = match &net.kind {
                NetKind::Output(Some(value)) => format!("  assign {name} = {};", self.whole(value)),
                NetKind::Wire(Some(value)) => {
                    format!("  wire {}{name} = {};", declared(net.sig), self.whole(value))
                }
                NetKind::MemRead(memory) => {
                    let Memory { name: array, read: Read::Async { addr }, .. } = &self.leaf.memories[*memory]
                    else {
                        unreachable!("a clocked read is no combinational net")
                    };
                    format!("  wire {}{name} = {array}[{}];", declared(net.sig), self.whole(addr))
                }
                NetKind::Case { index, items } => {
                    *out += &self.case(net.sig, name, index, items);
                    continue;
                }
                NetKind::Input | NetKind::Reg(_) | NetKind::Output(None) | NetKind::Wire(None) => {
                    unreachable!("{name} is not driven by an expression")
                }
            };
            push_wrapped(out, &line);
        }
    }

    /// Says whether an instance drives the net, and it is none of the leaf's ports.
    fn is_driven_wire(&self, net: &Net) -> bool {
        let driven = |part: &Part| part.outputs().any(|sig| sig.id == net.sig.id);
        matches!(net.kind, NetKind::Wire(_)) && self.leaf.parts.iter().any(driven)
    }

    /// Prints the instances of modules of the library.
    fn instances(&self, out: &mut String) {
        for Part { instance, .. } in &self.leaf.parts {
            let parameters = instance.parameters.iter().map(|(name, value)| format!(".{name}({value})"));
            let parameters = parameters.collect::<Vec<_>>().join(", ");
            let Instance { library, name, ports, .. } = instance;
            *out += &format!("\n  {} #({parameters}) {INSTANCE}{name} (\n", library.name);
            let column = ports.iter().map(|(port, _)| port.len()).max().unwrap_or(0).max("clk".len());
            for port in ["clk", "rst"] {
                *out += &format!("    .{port:column$} ({port}),\n");
            }
            for (at, (port, connection)) in ports.iter().enumerate() {
                let value = match connection {
                    Connection::In(value) => self.whole(value),
                    Connection::Out(sig) => self.leaf.net(*sig).name.clone(),
                };
                let comma = if at + 1 < ports.len() { "," } else { "" };
                push_wrapped(out, &format!("    .{port:column$} ({value}){comma}"));
            }
            *out += "  );\n";
        }
    }

    /// Returns the memories outside of parts.
    pub(super) fn memories(&self) -> impl Iterator<Item = &Memory> {
        let inside = |at: usize| self.leaf.parts.iter().any(|part| part.memories.contains(&at));
        self.leaf.memories.iter().enumerate().filter(move |(at, _)| !inside(*at)).map(|(_, memory)| memory)
    }

    /// Returns the process of a net that is one of `items` by its index.
    fn case(&self, sig: Sig, name: &str, index: &Expr, items: &[Expr]) -> String {
        let mut out = format!("  reg {}{name};\n  always @(*) begin\n", declared(sig));
        out += &format!("    case ({})\n", self.whole(index));
        for (at, item) in items.iter().enumerate() {
            push_wrapped(&mut out, &format!("      {}'d{at}: {name} = {};", index.width, self.whole(item)));
        }
        let zero = vec![0; words::words_for(sig.width)];
        out += &format!("      default: {name} = {};\n", literal(&zero, sig.width, sig.signed));
        out + "    endcase\n  end\n"
    }

    /// Prints the contract, for proofs alone.
    fn contract(&self, out: &mut String) {
        if self.leaf.contract.is_empty() {
            return;
        }
        *out += "\n`ifdef FORMAL\n";
        for item in &self.leaf.contract {
            match item {
                Contract::Wire(name, value) => {
                    push_wrapped(
                        out,
                        &format!("  wire {}{name} = {};", range(value.width), self.whole(value)),
                    );
                }
                Contract::Text(text) => text.lines().for_each(|line| *out += &format!("  {line}\n")),
            }
        }
        *out += "`endif\n";
    }

    /// Prints the wire that reads what nothing else does. Verilator takes a net whose name holds `unused` as
    /// read; the AND with 0 costs nothing.
    fn unused(&self, out: &mut String) {
        let (clk, rst) = self.leaf.uses_clk_rst();
        let mut parts: Vec<String> = vec!["1'b0".into()];
        parts.extend(
            [("clk", clk), ("rst", rst)].iter().filter(|(_, used)| !used).map(|(n, _)| n.to_string()),
        );
        parts.extend(self.leaf.unused.iter().map(|value| self.whole(value)));
        if parts.len() > 1 {
            *out += "\n  // Read by nothing, on purpose.\n";
            push_wrapped(out, &format!("  wire {UNUSED} = &{{{}}};", parts.join(", ")));
        }
    }

    fn note(&self, out: &mut String, text: &str) {
        text.lines().for_each(|line| *out += &format!("  // {line}\n"));
    }
}

/// Prints the contents of a small memory, as many words a line as there is room for.
fn words_in_place(out: &mut String, memory: &Memory, data: &[u64]) {
    let stride = words::words_for(memory.word_bits);
    let set = |(at, word): (usize, &[u64])| {
        format!("{}[{at}] = {}'h{};", memory.name, memory.word_bits, words::to_hex(word, memory.word_bits))
    };
    let texts: Vec<String> = data.chunks(stride).enumerate().map(set).collect();
    let longest = texts.iter().map(String::len).max().unwrap_or(0);
    *out += "  initial begin\n";
    for line in texts.chunks((COLUMNS / (longest + 1)).max(1)) {
        *out += &format!("    {}\n", line.join(" "));
    }
    *out += "  end\n";
}

/// Returns the attributes of a memory, where one is needed: [`style`], and that a word is never read in the cycle
/// in which it is written, as [`Kernel::ram`](super::super::ir::Kernel::ram) has it. Without that, Yosys adds
/// what makes a block RAM give the old word.
fn attributes(memory: &Memory) -> Option<String> {
    let is_apart =
        memory.write.is_some() && memory.image.is_none() && matches!(memory.read, Read::Sync { .. });
    let apart = (is_apart && memory.style != Style::Distributed).then_some("no_rw_check");
    let all: Vec<&str> = apart.into_iter().chain(style(memory)).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Returns the attribute that asks for a memory's style, where one is needed.
fn style(memory: &Memory) -> Option<&'static str> {
    match (memory.style, memory.write.is_none(), &memory.read) {
        // A combinational read rules block RAM out by itself, and asking for LUT RAM fails where a family has
        // none.
        (Style::Auto, ..) | (_, _, Read::Async { .. }) => None,
        (Style::Block, true, _) => Some("rom_style = \"block\""),
        (Style::Block, false, _) => Some("ram_style = \"block\""),
        // Yosys takes `rom_style = "distributed"` for writable LUT RAM, and finds none for a ROM.
        (Style::Distributed, true, _) => Some("syn_romstyle = \"logic\""),
        (Style::Distributed, false, _) => Some("ram_style = \"distributed\""),
        (Style::Spram, ..) => Some("ram_style = \"huge\""),
        (Style::Registers, ..) => Some("ram_style = \"registers\""),
    }
}

fn declared(sig: Sig) -> String {
    let sign = if sig.signed { "signed " } else { "" };
    format!("{sign}{}", range(sig.width))
}
