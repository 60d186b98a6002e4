//! Prints a leaf as Verilog-2005: ANSI ports, explicit widths, wires in order of evaluation, synchronous reset last in
//! each process. Every operand already has its width, so no rule of the language ever changes a value. Never checks.

use super::expr::literal;
use crate::rtl::ir::check;
use crate::rtl::ir::expr::{Expr, Sig};
use crate::rtl::ir::kernel::{Contract, Kernel, NetKind, UNUSED};
use crate::rtl::ir::memory::{Memory, Read, Style};
use crate::rtl::ir::module::Direction;
use crate::rtl::ir::stmt::Stmt;
use crate::rtl::ir::words;
use std::fmt::Write;

/// Longest line of code, where a blank allows a break.
const COLUMNS: usize = 100;

/// The module text, from its comment to `endmodule`, without the lines that open and close a file.
pub(crate) fn kernel(kernel: &Kernel) -> String {
    let printer = Printer { kernel };
    let mut out = comment(&kernel.note);
    out += &header(&kernel.name, kernel.ports());
    printer.state(&mut out);
    printer.logic(&mut out);
    printer.unused(&mut out);
    printer.processes(&mut out);
    printer.contract(&mut out);
    out += "\nendmodule\n";
    out
}

/// A file: banner, then the module between the two `default_nettype` lines.
pub(crate) fn file(banner: &str, module: &str) -> String {
    format!("{}`default_nettype none\n\n{module}\n`default_nettype wire\n", comment(banner))
}

/// Comment lines, byte for byte but trailing blanks.
pub(crate) fn comment(text: &str) -> String {
    text.lines().map(|line| format!("// {line}").trim_end().to_string() + "\n").collect()
}

/// `module name ( ANSI ports );`
pub(crate) fn header<'a>(name: &str, ports: impl Iterator<Item = (&'a str, usize, Direction)>) -> String {
    let ports: Vec<(&str, String, Direction)> =
        ports.map(|(name, width, direction)| (name, range(width), direction)).collect();
    let column = ports.iter().map(|(_, range, _)| range.len()).max().unwrap_or(0);
    let lines: Vec<String> = ports
        .iter()
        .map(|(name, range, direction)| {
            let way = if *direction == Direction::In { "input " } else { "output" };
            format!("  {way} wire {range:>column$}{name}")
        })
        .collect();
    format!("module {name} (\n{}\n);\n", lines.join(",\n"))
}

/// `[7:0] `, or nothing for one bit.
pub(crate) fn range(width: usize) -> String {
    if width == 1 { String::new() } else { format!("[{}:0] ", width - 1) }
}

pub(crate) struct Printer<'a> {
    pub kernel: &'a Kernel,
}

impl Printer<'_> {
    /// Registers and memories.
    fn state(&self, out: &mut String) {
        let regs: Vec<_> =
            self.kernel.nets.iter().filter(|net| matches!(net.kind, NetKind::Reg(_))).collect();
        if !regs.is_empty() {
            out.push('\n');
        }
        for net in regs {
            self.note(out, &net.note);
            let kept = if net.kept { "(* keep *) " } else { "" };
            writeln!(out, "  {kept}reg {}{};", declared(net.sig), net.name).expect("writing to a string");
        }
        for memory in &self.kernel.memories {
            self.memory(out, memory);
        }
    }

    fn memory(&self, out: &mut String, memory: &Memory) {
        let Memory { name, word_bits, words, .. } = memory;
        let net = self.kernel.decl(memory.out);
        out.push('\n');
        self.note(out, &net.note);
        if let Some(attribute) = style(memory) {
            *out += &format!("  (* {attribute} *)\n");
        }
        *out += &format!("  reg {}{name} [0:{}];\n", range(*word_bits), words - 1);
        if let Some(image) = memory.preset() {
            *out += &format!("  initial $readmemh(\"{}\", {name});\n", image.file);
        }
        if let Read::Sync { .. } = memory.read {
            *out += &format!("  reg {}{};\n", range(*word_bits), net.name);
        }
    }

    /// Wires and outputs, each after what it depends on.
    fn logic(&self, out: &mut String) {
        let order = check::comb_order(self.kernel).expect("the kernel was checked at build");
        if !order.is_empty() {
            out.push('\n');
        }
        for id in order {
            let net = &self.kernel.nets[id];
            self.note(out, &net.note);
            let name = &net.name;
            let line = match &net.kind {
                NetKind::Output(Some(value)) => format!("  assign {name} = {};", self.top(value)),
                NetKind::Wire(Some(value)) => {
                    format!("  wire {}{name} = {};", declared(net.sig), self.top(value))
                }
                NetKind::MemRead(memory) => {
                    let Memory { name: array, read: Read::Async { addr }, .. } =
                        &self.kernel.memories[*memory]
                    else {
                        unreachable!("a clocked read is no combinational net")
                    };
                    format!("  wire {}{name} = {array}[{}];", declared(net.sig), self.top(addr))
                }
                NetKind::Case { index, items } => {
                    self.case(out, net.sig, name, index, items);
                    continue;
                }
                NetKind::Input | NetKind::Reg(_) | NetKind::Output(None) | NetKind::Wire(None) => {
                    unreachable!("{name} is not driven by an expression")
                }
            };
            push_wrapped(out, &line);
        }
    }

    fn case(&self, out: &mut String, sig: Sig, name: &str, index: &Expr, items: &[Expr]) {
        *out += &format!("  reg {}{name};\n  always @(*) begin\n", declared(sig));
        *out += &format!("    case ({})\n", self.top(index));
        for (at, item) in items.iter().enumerate() {
            push_wrapped(out, &format!("      {}'d{at}: {name} = {};", index.width, self.top(item)));
        }
        let zero = vec![0; words::words_for(sig.width)];
        *out += &format!("      default: {name} = {};\n", literal(&zero, sig.width, sig.signed));
        *out += "    endcase\n  end\n";
    }

    /// The contract, for proofs alone.
    fn contract(&self, out: &mut String) {
        if self.kernel.contract.is_empty() {
            return;
        }
        *out += "\n`ifdef FORMAL\n";
        for item in &self.kernel.contract {
            match item {
                Contract::Wire(name, value) => {
                    push_wrapped(out, &format!("  wire {}{name} = {};", range(value.width), self.top(value)));
                }
                Contract::Text(text) => text.lines().for_each(|line| *out += &format!("  {line}\n")),
            }
        }
        *out += "`endif\n";
    }

    /// Verilator takes a net whose name holds `unused` as read; the AND with 0 costs nothing.
    fn unused(&self, out: &mut String) {
        let (clk, rst) = check::uses_clk_rst(self.kernel);
        let mut parts: Vec<String> = vec!["1'b0".into()];
        parts.extend(
            [("clk", clk), ("rst", rst)].iter().filter(|(_, used)| !used).map(|(n, _)| n.to_string()),
        );
        parts.extend(self.kernel.unused.iter().map(|value| self.top(value)));
        if parts.len() > 1 {
            *out += "\n  // Read by nothing, on purpose.\n";
            push_wrapped(out, &format!("  wire {UNUSED} = &{{{}}};", parts.join(", ")));
        }
    }

    fn processes(&self, out: &mut String) {
        for body in &self.kernel.blocks {
            // Yosys looks at the process that makes the flip-flops, other tools at their declaration.
            let mut kept = false;
            check::assigned(body, &mut |reg| kept |= self.kernel.nets[reg.id as usize].kept);
            let kept = if kept { "(* keep *) " } else { "" };
            writeln!(out, "\n  {kept}always @(posedge clk) begin").expect("writing to a string");
            self.block(out, body, 4);
            let mut resets: Vec<usize> = vec![];
            check::assigned(body, &mut |reg| {
                let id = reg.id as usize;
                let has_reset = matches!(self.kernel.nets[id].kind, NetKind::Reg(Some(_)));
                if has_reset && !resets.contains(&id) {
                    resets.push(id);
                }
            });
            if !resets.is_empty() {
                *out += "    if (rst) begin\n";
                for id in resets {
                    let net = &self.kernel.nets[id];
                    let NetKind::Reg(Some(value)) = &net.kind else { continue };
                    let value = literal(value, net.sig.width, net.sig.signed);
                    *out += &format!("      {} <= {value};\n", net.name);
                }
                *out += "    end\n";
            }
            *out += "  end\n";
        }
        for memory in &self.kernel.memories {
            let read = match &memory.read {
                Read::Sync { enable, addr } => Some((enable, addr)),
                Read::Async { .. } => None,
            };
            if memory.write.is_none() && read.is_none() {
                continue;
            }
            *out += "\n  always @(posedge clk) begin\n";
            if let Some(write) = &memory.write {
                let target = format!("{}[{}]", memory.name, self.top(&write.addr));
                self.enabled(out, &write.enable, &format!("{target} <= {};", self.top(&write.data)));
            }
            if let Some((enable, addr)) = read {
                let name = &self.kernel.decl(memory.out).name;
                self.enabled(out, enable, &format!("{name} <= {}[{}];", memory.name, self.top(addr)));
            }
            *out += "  end\n";
        }
    }

    fn enabled(&self, out: &mut String, enable: &Expr, assign: &str) {
        if enable.literal().is_some_and(|value| value[0] == 1) {
            push_wrapped(out, &format!("    {assign}"));
            return;
        }
        push_wrapped(out, &format!("    if ({}) begin", self.top(enable)));
        push_wrapped(out, &format!("      {assign}"));
        *out += "    end\n";
    }

    fn block(&self, out: &mut String, body: &[Stmt], indent: usize) {
        let pad = " ".repeat(indent);
        for stmt in body {
            match stmt {
                Stmt::Set(reg, value) => {
                    let name = &self.kernel.decl(*reg).name;
                    push_wrapped(out, &format!("{pad}{name} <= {};", self.top(value)));
                }
                Stmt::Note(text) => text.lines().for_each(|line| *out += &format!("{pad}// {line}\n")),
                Stmt::If(cond, then, otherwise) => {
                    push_wrapped(out, &format!("{pad}if ({}) begin", self.top(cond)));
                    self.branches(out, then, otherwise, indent);
                }
            }
        }
    }

    /// The rest of an `if` after its first line, with `else if` kept flat.
    fn branches(&self, out: &mut String, then: &[Stmt], otherwise: &[Stmt], indent: usize) {
        let pad = " ".repeat(indent);
        self.block(out, then, indent + 2);
        match otherwise {
            [] => *out += &format!("{pad}end\n"),
            [Stmt::If(cond, inner, last)] => {
                push_wrapped(out, &format!("{pad}end else if ({}) begin", self.top(cond)));
                self.branches(out, inner, last, indent);
            }
            _ => {
                *out += &format!("{pad}end else begin\n");
                self.block(out, otherwise, indent + 2);
                *out += &format!("{pad}end\n");
            }
        }
    }

    fn note(&self, out: &mut String, text: &str) {
        text.lines().for_each(|line| *out += &format!("  // {line}\n"));
    }
}

/// The attribute that asks for a memory's style, where one is needed.
fn style(memory: &Memory) -> Option<&'static str> {
    match (memory.style, memory.write.is_none(), &memory.read) {
        // A combinational read rules block RAM out by itself, and asking for LUT RAM fails where a family has none.
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

/// Appends a line, broken at blanks so that it keeps within [`COLUMNS`] where it can.
fn push_wrapped(out: &mut String, line: &str) {
    let indent = line.len() - line.trim_start().len();
    let mut rest = line;
    let mut first = true;
    loop {
        let pad = if first { 0 } else { indent + 4 };
        out.extend(std::iter::repeat_n(' ', pad));
        let room = COLUMNS - pad.min(COLUMNS / 2);
        if rest.len() <= room {
            break;
        }
        let from = if first { indent } else { 0 };
        let fits = rest[from..room].rfind(' ').map(|at| from + at);
        let Some(at) = fits.filter(|&at| at > from).or_else(|| rest[room..].find(' ').map(|at| room + at))
        else {
            break;
        };
        *out += &rest[..at];
        out.push('\n');
        rest = &rest[at + 1..];
        first = false;
    }
    *out += rest;
    out.push('\n');
}
