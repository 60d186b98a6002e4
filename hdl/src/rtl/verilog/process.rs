//! Prints the clocked processes of a leaf and the ports of its memories; synchronous reset stands last in
//! each process.

use super::expr::{Printer, literal};
use super::text::push_wrapped;
use crate::rtl::ir::expr::Expr;
use crate::rtl::ir::leaf::{Net, NetKind, assigned};
use crate::rtl::ir::memory::{Memory, Read};
use crate::rtl::ir::stmt::Stmt;

impl Printer<'_> {
    /// Prints all processes, those of the memories last. Neighbours that follow one enable are one process.
    pub fn processes(&self, out: &mut String) {
        let mut at = 0;
        let inside = |at: usize| self.leaf.parts.iter().any(|part| part.blocks.contains(&at));
        let blocks = self.leaf.blocks.iter().enumerate().filter(|(at, _)| !inside(*at));
        let blocks: Vec<&Vec<Stmt>> = blocks.map(|(_, body)| body).collect();
        while at < blocks.len() {
            let mut end = at + 1;
            if let Some(first) = self.guard(blocks[at]) {
                let alike = |body: &&&Vec<Stmt>| self.guard(body).as_ref() == Some(&first);
                end += blocks[end..].iter().take_while(alike).count();
            }
            self.process(out, &joined(&blocks[at..end]));
            at = end;
        }
        self.memories().for_each(|memory| self.ports(out, memory));
    }

    /// Returns what all statements of a process follow: its enable, if it has one, and whether synthesis must
    /// keep its registers. Nothing for a process of another form.
    fn guard(&self, body: &[Stmt]) -> Option<(String, bool)> {
        let enable = match body {
            [Stmt::If(cond, _, otherwise)] if otherwise.is_empty() => self.whole(cond),
            _ if body.iter().all(|stmt| matches!(stmt, Stmt::Set(..))) => String::new(),
            _ => return None,
        };
        let mut kept = false;
        assigned(body, &mut |reg| kept |= self.leaf.net(reg).kept);
        Some((enable, kept))
    }

    fn process(&self, out: &mut String, body: &[Stmt]) {
        let mut regs: Vec<&Net> = vec![];
        assigned(body, &mut |reg| {
            if regs.iter().all(|net| net.sig.id != reg.id) {
                regs.push(self.leaf.net(reg));
            }
        });
        // Yosys looks at the process that makes the flip-flops, other tools at their declaration.
        let kept = if regs.iter().any(|net| net.kept) { "(* keep *) " } else { "" };
        *out += &format!("\n  {kept}always @(posedge clk) begin\n");
        self.block(out, body, 4);
        let resets = regs.iter().filter_map(|net| match &net.kind {
            NetKind::Reg(Some(value)) => Some((*net, value)),
            _ => None,
        });
        let resets = resets.map(|(net, value)| {
            format!("      {} <= {};\n", net.name, literal(value, net.sig.width, net.sig.signed))
        });
        let resets: String = resets.collect();
        if !resets.is_empty() {
            *out += &format!("    if (rst) begin\n{resets}    end\n");
        }
        *out += "  end\n";
    }

    /// Prints what a memory does at the clock: its write, then its clocked read.
    fn ports(&self, out: &mut String, memory: &Memory) {
        let read = match &memory.read {
            Read::Sync { enable, addr } => Some((enable, addr)),
            Read::Async { .. } => None,
        };
        if memory.write.is_none() && read.is_none() {
            return;
        }
        *out += "\n  always @(posedge clk) begin\n";
        if let Some(write) = &memory.write {
            let target = format!("{}[{}]", memory.name, self.whole(&write.addr));
            self.enabled(out, &write.enable, &format!("{target} <= {};", self.whole(&write.data)));
        }
        if let Some((enable, addr)) = read {
            let name = &self.leaf.net(memory.out).name;
            self.enabled(out, enable, &format!("{name} <= {}[{}];", memory.name, self.whole(addr)));
        }
        *out += "  end\n";
    }

    fn enabled(&self, out: &mut String, enable: &Expr, assign: &str) {
        if enable.literal().is_some_and(|value| value[0] == 1) {
            push_wrapped(out, &format!("    {assign}"));
            return;
        }
        push_wrapped(out, &format!("    if ({}) begin", self.whole(enable)));
        push_wrapped(out, &format!("      {assign}"));
        *out += "    end\n";
    }

    fn block(&self, out: &mut String, body: &[Stmt], indent: usize) {
        let pad = " ".repeat(indent);
        for stmt in body {
            match stmt {
                Stmt::Set(reg, value) => {
                    let name = &self.leaf.net(*reg).name;
                    push_wrapped(out, &format!("{pad}{name} <= {};", self.whole(value)));
                }
                Stmt::Note(text) => text.lines().for_each(|line| *out += &format!("{pad}// {line}\n")),
                Stmt::If(cond, then, otherwise) => {
                    push_wrapped(out, &format!("{pad}if ({}) begin", self.whole(cond)));
                    self.branches(out, then, otherwise, indent);
                }
            }
        }
    }

    /// Prints the rest of an `if` after its first line, with `else if` kept flat.
    fn branches(&self, out: &mut String, then: &[Stmt], otherwise: &[Stmt], indent: usize) {
        let pad = " ".repeat(indent);
        self.block(out, then, indent + 2);
        match otherwise {
            [] => *out += &format!("{pad}end\n"),
            [Stmt::If(cond, inner, last)] => {
                push_wrapped(out, &format!("{pad}end else if ({}) begin", self.whole(cond)));
                self.branches(out, inner, last, indent);
            }
            _ => {
                *out += &format!("{pad}end else begin\n");
                self.block(out, otherwise, indent + 2);
                *out += &format!("{pad}end\n");
            }
        }
    }
}

/// Joins processes of one form and enable.
fn joined(blocks: &[&Vec<Stmt>]) -> Vec<Stmt> {
    match &blocks[0][..] {
        [Stmt::If(cond, ..)] if blocks.len() > 1 => {
            let inner = blocks.iter().flat_map(|body| match &body[..] {
                [Stmt::If(_, then, _)] => then.clone(),
                _ => unreachable!("processes of one form"),
            });
            vec![Stmt::If(cond.clone(), inner.collect(), vec![])]
        }
        _ => blocks.iter().flat_map(|body| body.iter().cloned()).collect(),
    }
}
