//! Provides the run-time layer on rust-hdl: one description of a module, built at run time, is printed as
//! Verilog-2005 and simulated clock by clock. Everything that touches rust-hdl is in here. Knows nothing of
//! layers or plans.
//!
//! # Guide
//!
//! ```
//! use dq_hdl::rtl::*;
//!
//! // A leaf: a counter of accepted beats, its sum of two signed lanes as the result.
//! let mut k = Kernel::new("demo_sum", "Adds the two 4-bit lanes of a beat.\nLatency 1, interval 1.");
//! let s_data = k.input("s_data", 8); // `clk` and `rst` are there already
//! let s_valid = k.input("s_valid", 1);
//! let s_ready = k.output("s_ready", 1);
//! let m_data = k.output("m_data", 5);
//! let m_valid = k.output("m_valid", 1);
//! let m_ready = k.input("m_ready", 1);
//! let valid = k.reg("valid", 1, Some(0)); // `valid_q`, reset to 0: control
//! let sum = k.reg_signed("sum", 5, None); // `sum_q`, no reset: data
//! let en = k.wire("en", !valid | m_ready);
//! k.drive(s_ready, en);
//! k.drive(m_valid, valid);
//! k.drive(m_data, sum);
//! let (a, b) = (s_data.lane(0, 4).signed(), s_data.lane(1, 4).signed());
//! k.clocked([when(en, [set(valid, s_valid), when(s_valid, [set(sum, a.add(b, 5))])])]);
//! let leaf = k.build(); // checks; panics on a programming error
//!
//! // Structure: instances and links.
//! let mut g = Group::new("demo_top", "Two stages would stand here.");
//! g.stream_in("s", 8);
//! g.stream_out("m", 5);
//! g.child("sum", &leaf);
//! g.stream("s", "sum.s");
//! g.stream("sum.m", "m");
//! let top = g.build();
//!
//! // Verilog: one file a distinct module, and the ROM images.
//! let files = emit(&top, "dq 0.1.0").unwrap();
//! assert_eq!(files[0].name, "demo_top.v");
//!
//! // The same description, clock by clock.
//! let mut sim = Sim::new(&top);
//! sim.reset();
//! let (data, valid) = (sim.port("s_data"), sim.port("s_valid"));
//! let (out, ready) = (sim.port("m_data"), sim.port("m_ready"));
//! sim.set(data, 0x2f); // lanes -1 and 2
//! sim.set(valid, 1);
//! sim.set(ready, 1);
//! sim.clock();
//! assert_eq!(sim.get(out), 1);
//! ```
//!
//! **Values.** [`Sig`] (a net) and [`Expr`] share the methods of [`Value`] and the operators `&`, `|`, `^`,
//! `!`. `add`, `sub`, `mul` take the result width, extend both operands by their common sign and wrap;
//! comparisons extend the narrower side; `and`/`or`/`xor` and the arms of `mux` need equal widths. Mixed
//! signs panic: say `.signed()`, `.unsigned()`, `.zext(w)`, `.sext(w)`. Literals: [`lit`], [`slit`],
//! [`lit_words`]. [`cat`] is most significant first, [`lanes`] has lane 0 in the low bits. [`any_of`],
//! [`all_of`], [`sum_tree`] fold lists. A slice or a sign extension of a sum, product or comparison panics:
//! give it a `wire` first. Shared subexpressions are printed again at each use: name them with `wire`. Panics
//! of operators point at the line that used the operator.
//!
//! **Kernel.** `input`, `output` + `drive`, `wire`, `later` + `drive` (feedback), `select` / `table` (a
//! `case`), `reg` / `reg_signed`, `clocked` with [`set`], [`when`], [`when_else`], [`note`] (or `next`),
//! `ram`, `rom`, `unused`, `comment`. Assigns come in any order. Every bit of every net must be read or
//! passed to `unused` (`clk` and `rst` aside). Addresses have exactly [`addr_bits`]`(words)` bits.
//!
//! **Library.** What [`Kernel::part`] builds is printed as one instance of a hand-written module, whose file
//! is emitted beside those of the circuit.
//!
//! **Clocked.** Later statements win; at the end of each process the registers with a reset value take it if
//! `rst`. Registers without reset, and RAM, power up undefined: [`Sim::scramble`] fills them with noise, so a
//! test sees whether anything depends on them.
//!
//! **Names.** Modules with the same name must have the same text and are printed once, so a kernel that holds
//! a ROM carries its node in its module and file names (`conv2_mvau`, `images/conv2/conv2_weights.mem`).

mod ir;
mod rust_hdl;
mod sim;
mod verilog;

pub use self::rust_hdl::driver::{PortId, Sim};
pub use ir::expr::{Expr, Sig, lit, lit_words, slit};
pub use ir::group::Group;
pub use ir::kernel::Kernel;
pub use ir::memory::{Read, Style, Write, addr_bits, bits_for};
pub use ir::module::Module;
pub use ir::names::{is_valid as is_valid_name, reserved as reserved_words};
pub use ir::part::{Connection, Instance, Library};
pub use ir::port::{Direction, Port};
pub use ir::stmt::{Stmt, note, set, when, when_else};
pub use ir::value::{Value, all_of, any_of, cat, lanes, sum_tree};
pub use ir::words;
pub use verilog::emit::{EmitError, File, emit};
