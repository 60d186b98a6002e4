//! Builds the circuit of a board: the network's circuit between packets and UART (`dq_board`, on the run-time
//! layer, simulated like all else), and around it a wrapper of text with what belongs to the vendor: PLL and
//! reset after configuration.

use super::{Board, Clock, flash, megahertz, packet, protocol::Format, uart};
use crate::design::Design;
use crate::rtl::{Direction, Group, Module, lit};

/// Number of byte times without a byte after which a packet is given up.
const PATIENCE: u64 = 64;
/// log2 of the number of core clocks for which reset is held after configuration: block RAM of an iCE40 may
/// read zeros at first.
const RESET_BITS: u32 = 16;

/// Holds a board's circuit.
#[derive(Clone, Debug)]
pub struct BoardCircuit {
    /// The module `dq_board`, with ports `clk`, `rst`, `rx`, `tx`, `error`, and with a flash `flash_*` and
    /// `booted`.
    pub module: Module,
    /// The layout of its answers.
    pub format: Format,
}

/// Returns the circuit of `design` behind a UART of `clocks_per_bit` clocks per bit; what it keeps in a flash
/// stands from byte `flash_offset` on.
pub fn circuit(design: &Design, clocks_per_bit: usize, flash_offset: u32) -> BoardCircuit {
    let shape = design.network.input_shape();
    let last = design.output_lanes();
    let format = Format { values: design.output_beats(), bytes: last.bits / 8, signed: last.signed };
    let note = "The network's circuit behind a UART; docs/uart.md is the protocol.\n\
                led[0]: the circuit's sticky error, or wrong words in its flash. led[1]: out of reset, \
                and all words read.";
    let mut g = Group::new("dq_board", note);
    g.input("rx", 1);
    g.output("tx", 1);
    g.output("error", 1);
    let patience = PATIENCE * 10 * clocks_per_bit as u64;
    g.child("uart_rx", &uart::receiver(clocks_per_bit));
    g.child("packet_in", &packet::receiver(design.input_lanes(), shape.height * shape.width, patience));
    // Bytes come long after reset, so the cycles that the tree adds are never seen.
    g.child("core", &design.top.with_reset_tree());
    g.child("packet_out", &packet::sender(format.values, format.bytes));
    g.child("uart_tx", &uart::transmitter(clocks_per_bit));
    for (from, to) in [
        ("rx", "uart_rx.rx"),
        ("uart_rx.data", "packet_in.data"),
        ("uart_rx.valid", "packet_in.valid"),
        ("packet_in.m_data", "core.s_axis_tdata"),
        ("packet_in.m_valid", "core.s_axis_tvalid"),
        ("packet_in.m_last", "core.s_axis_tlast"),
        ("core.s_axis_tready", "packet_in.m_ready"),
        ("packet_in.due_data", "packet_out.due_data"),
        ("packet_in.due_valid", "packet_out.due_valid"),
        ("core.error", "packet_out.error"),
        ("core.m_axis_tdata", "packet_out.s_data"),
        ("core.m_axis_tvalid", "packet_out.s_valid"),
        ("packet_out.s_ready", "core.m_axis_tready"),
        ("uart_tx.tx", "tx"),
    ] {
        g.link(from, to);
    }
    g.stream("packet_out.m", "uart_tx.s");
    g.ignore("uart_rx.broken");
    g.ignore("core.m_axis_tlast");
    let boot = design.boot_words().len();
    if boot == 0 {
        g.link("core.error", "error");
    } else {
        link_flash(&mut g, flash_offset, boot);
    }
    // Nothing uses the control port on a board.
    for port in design.top.ports().into_iter().filter(|port| port.name.starts_with("s_axil_")) {
        let end = format!("core.{}", port.name);
        match port.direction {
            Direction::In => g.tie(&end, lit(0, port.width)),
            Direction::Out => g.ignore(&end),
        }
    }
    BoardCircuit { module: g.build(), format }
}

/// Adds the reader of the flash, for which the circuit and the line wait.
fn link_flash(g: &mut Group, offset: u32, words: usize) {
    g.input("flash_miso", 1);
    for port in ["flash_sck", "flash_cs", "flash_mosi", "booted"] {
        g.output(port, 1);
    }
    g.child("reader", &flash::reader(offset, words));
    for (from, to) in [
        ("flash_miso", "reader.miso"),
        ("reader.sck", "flash_sck"),
        ("reader.cs", "flash_cs"),
        ("reader.mosi", "flash_mosi"),
        ("reader.boot_data", "core.boot_data"),
        ("reader.boot_valid", "core.boot_valid"),
        ("core.booted", "reader.booted"),
        ("core.booted", "booted"),
        ("core.boot_failed", "reader.boot_failed"),
        ("core.error", "reader.error"),
        ("reader.lamp", "error"),
    ] {
        g.link(from, to);
    }
    for child in ["uart_rx", "packet_in", "packet_out", "uart_tx"] {
        g.reset(child, "reader.reset");
    }
}

/// Returns the wrapper `board_top` around `dq_board`; with the flash's pins where the circuit `boots`.
pub fn wrapper(board: &Board, clock: &Clock, boots: bool, banner: &str) -> String {
    // The lamps' levels have a name of their own where the pins carry their inverse.
    let (lamps, inverted) = match board.pins.led_low {
        true => ("lamps", "  wire [1:0] lamps;\n  assign led = ~lamps;\n"),
        false => ("led", ""),
    };
    let (flash_pins, flash_ports, running) = if boots {
        let ports = "    .flash_sck(flash_sck),\n    .flash_cs(flash_cs),\n    .flash_mosi(flash_mosi),\n    \
                     .flash_miso(flash_miso),\n";
        (
            "  output wire flash_sck,\n  output wire flash_cs,\n  output wire flash_mosi,\n  input wire \
             flash_miso,\n",
            format!("{ports}    .booted({lamps}[1]),\n"),
            String::new(),
        )
    } else {
        ("", String::new(), format!("  assign {lamps}[1] = !rst;\n"))
    };
    format!(
        r#"// {banner}
// Board {name}: clock of {pin} MHz, core at {core} MHz; reset is held for 2^{RESET_BITS} clocks after
// configuration.
`default_nettype none

module board_top (
  input wire clk,
  input wire rx,
  output wire tx,
{flash_pins}  output wire [1:0] led
);
  // Kept, since place and route is told its frequency by this name.
  (* keep *) wire core_clk;
  wire locked;
{inverted}{pll}
  reg [{top}:0] reset_count = {RESET_BITS}'d0;
  reg rst = 1'b1;
  always @(posedge core_clk) begin
    if (!locked) begin
      reset_count <= {RESET_BITS}'d0;
      rst <= 1'b1;
    end else begin
      rst <= !(&reset_count);
      if (!(&reset_count)) reset_count <= reset_count + {RESET_BITS}'d1;
    end
  end

  dq_board board (
    .clk(core_clk),
    .rst(rst),
    .rx(rx),
    .tx(tx),
{flash_ports}    .error({lamps}[0])
  );
{running}endmodule

`default_nettype wire
"#,
        name = board.name,
        pin = megahertz(board.clock_hz),
        core = megahertz(clock.hz),
        pll = clock.verilog,
        top = RESET_BITS - 1,
    )
}
