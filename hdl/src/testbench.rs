//! The self-checking testbench: frames through `top`, twice without a gap (first with source and sink always open,
//! then under stalls), every word and `tlast` compared, in the first pass every cycle too. For Verilog simulators
//! (Icarus, Verilator with `--binary`, Vivado); needs nothing but the emitted folder.

use crate::design::Design;
use crate::rtl::{Direction, File, Port, addr_bits, words};
use dq_net::random;
use ndarray::{Array4, Axis};
use std::fmt::Write;

/// Frames of a pass.
pub const FRAMES: usize = 2;

/// `tb.v` and its vectors; `cycles` of the output beats without stalls, of [`FRAMES`] frames at least.
pub fn files(design: &Design, banner: &str, cycles: &[u64]) -> Vec<File> {
    let shape = design.network.input_shape();
    let mut frames = Array4::zeros((FRAMES, shape.height, shape.width, shape.channels));
    for (i, mut frame) in frames.axis_iter_mut(Axis(0)).enumerate() {
        frame.assign(&random::image(i as u64 + 1, shape));
    }
    let cycles = &cycles[..FRAMES * design.output_beats()];
    // The reference takes a second for a large network: each frame on a thread of its own.
    let network = &design.network;
    let scores: Vec<Vec<i32>> = std::thread::scope(|scope| {
        let frames = frames.axis_iter(Axis(0));
        let threads: Vec<_> = frames.map(|frame| scope.spawn(move || network.eval(frame))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the reference does not panic")).collect()
    });
    let values = scores.iter().flat_map(|scores| design.values_of_scores(scores));
    let expected = design.beats(values, cycles);
    let last_cycle = expected.last().expect("frames have beats").cycle;
    let out_bits = design.stages.last().expect("a pipeline has stages").site.output.width();
    let beat_words = design.input_words();
    let in_bits = 8 * shape.channels;
    let input: String = design
        .input_beats(frames.view())
        .chunks(beat_words)
        .map(|beat| words::to_hex(beat, in_bits) + "\n")
        .collect();
    let mask = |value: i64| value as u64 & words::mask(out_bits);
    let (mut output, mut times) = (String::new(), String::new());
    for beat in &expected {
        let _ = writeln!(output, "{:0width$x}", mask(beat.value), width = out_bits.div_ceil(4));
        let _ = writeln!(times, "{:016x}", beat.cycle);
    }
    let file = |name: &str, text| File { name: name.into(), text };
    vec![
        file("tb.v", text(design, banner, last_cycle, in_bits, out_bits)),
        file("tb_input.mem", input),
        file("tb_output.mem", output),
        file("tb_cycles.mem", times),
    ]
}

/// What a circuit that is filled from flash needs of its testbench: declarations, ports, and what is clocked.
fn boot(design: &Design) -> [String; 3] {
    let words = design.boot_words().len();
    if words == 0 {
        return Default::default();
    }
    let at = addr_bits(words + 1);
    let top = words - 1;
    [
        format!(
            "  // The flash: a word whenever the one before was taken.
  reg [31:0] flash [0:{top}];
  initial $readmemh(\"boot.mem\", flash);
  reg [{at_top}:0] boot_at;
  wire booted;
  wire boot_failed;
  wire boot_valid = !rst && (boot_at != {at}'d{words});
  wire [31:0] boot_data = flash[boot_at == {at}'d{words} ? {at}'d0 : boot_at];
",
            at_top = at - 1
        ),
        "    .boot_data(boot_data),
    .boot_valid(boot_valid),
    .booted(booted),
    .boot_failed(boot_failed),
"
        .into(),
        format!(
            "    if (rst) boot_at <= {at}'d0;
    else if (boot_valid) boot_at <= boot_at + {at}'d1;
    if (boot_failed && !rst) begin
      $display(\"FAIL: the circuit refused its parameters\");
      $finish;
    end
"
        ),
    ]
}

/// The control port, where there is one, left alone: wires, and connections to them.
fn idle_control(design: &Design) -> (String, String) {
    let (mut wires, mut connections) = (String::new(), String::new());
    for port in design.top.ports().into_iter().filter(|port| port.name.starts_with("s_axil_")) {
        let Port { name, width, direction } = port;
        let net = match direction {
            Direction::In => format!("{width}'d0"),
            Direction::Out => {
                let range = if width > 1 { format!("[{}:0] ", width - 1) } else { String::new() };
                let _ = writeln!(wires, "  wire {range}unused_{name};");
                format!("unused_{name}")
            }
        };
        let _ = writeln!(connections, "    .{name}({net}),");
    }
    (wires, connections)
}

fn text(design: &Design, banner: &str, last_cycle: u64, in_bits: usize, out_bits: usize) -> String {
    let shape = design.network.input_shape();
    let frame_in = shape.height * shape.width;
    let frame_out = design.output_beats();
    let (beats_in, beats_out) = (FRAMES * frame_in, FRAMES * frame_out);
    // A stalled pass takes some times longer; one that takes this many cycles is stuck.
    let limit = 40 * last_cycle + 100_000;
    let (in_at, out_at) = (addr_bits(beats_in), addr_bits(beats_out));
    let (control_wires, control) = idle_control(design);
    let [boot_wires, boot_ports, boot_clocked] = boot(design);
    // Before it is booted a circuit is in reset; the testbench waits, with what it offers already there.
    let (running, first_cycle) = if boot_wires.is_empty() {
        (String::new(), "the first clock cycle in which rst is low")
    } else {
        (" if (booted)".into(), "the first clock cycle in which booted is high")
    };
    let (in_tail, out_tail) = (addr_bits(frame_in), addr_bits(frame_out));
    format!(
        r#"// {banner}
// Self-checking testbench of top: {FRAMES} frames back to back, first with source and sink always open (words and
// cycles are compared), then under pseudo-random stalls of both (words are compared). Prints PASS or FAIL.
// Cycle 0 is {first_cycle}.
`default_nettype none

module tb;
  reg clk;
  initial clk = 1'b0;
  always begin
    #5;
    clk = !clk;
  end

  // Vectors: input beats, expected words and their cycles.
  reg [{in_top}:0] frames [0:{beats_in_top}];
  reg [{out_top}:0] words [0:{beats_out_top}];
  reg [63:0] cycles [0:{beats_out_top}];
  initial begin
    $readmemh("tb_input.mem", frames);
    $readmemh("tb_output.mem", words);
    $readmemh("tb_cycles.mem", cycles);
  end

  reg rst;
  reg [2:0] reset_count;
  reg stalled;
  reg s_valid;
  reg m_ready;
  reg [31:0] noise;
  reg [63:0] cycle;
  reg [31:0] errors;
  reg [{in_at_top}:0] in_at;       // input beat
  reg [{in_tail_top}:0] in_tail;   // its place in the frame
  reg in_done;
  reg [{out_at_top}:0] out_at;     // output beat
  reg [{out_tail_top}:0] out_tail; // its place in the frame
  initial begin
    rst = 1'b1;
    reset_count = 3'd0;
    stalled = 1'b0;
    s_valid = 1'b0;
    m_ready = 1'b0;
    noise = 32'd1;
    cycle = 64'd0;
    errors = 32'd0;
    in_at = {in_at_bits}'d0;
    in_tail = {in_tail_bits}'d0;
    in_done = 1'b0;
    out_at = {out_at_bits}'d0;
    out_tail = {out_tail_bits}'d0;
  end

  wire s_ready;
  wire m_valid;
  wire m_last;
  wire error;
  wire [{out_top}:0] m_data;
{boot_wires}{control_wires}  wire s_last = in_tail == {in_tail_bits}'d{frame_in_top};
  wire wanted_last = out_tail == {out_tail_bits}'d{frame_out_top};
  wire in_ends = in_at == {in_at_bits}'d{beats_in_top};
  wire out_ends = out_at == {out_at_bits}'d{beats_out_top};
  wire given = s_valid && s_ready;
  wire taken = m_valid && m_ready;
  wire wrong_data = (m_data !== words[out_at]) || (m_last !== wanted_last);
  wire wrong = wrong_data || (!stalled && (cycle != cycles[out_at])) || (error !== 1'b0);

  top dut (
    .clk(clk),
    .rst(rst),
    .s_axis_tdata(frames[in_at]),
    .s_axis_tvalid(s_valid),
    .s_axis_tready(s_ready),
    .s_axis_tlast(s_last),
    .m_axis_tdata(m_data),
    .m_axis_tvalid(m_valid),
    .m_axis_tready(m_ready),
    .m_axis_tlast(m_last),
{boot_ports}{control}    .error(error)
  );

  always @(posedge clk) begin
{boot_clocked}    noise <= {{noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]}};
    if (rst) begin
      reset_count <= reset_count + 3'd1;
      in_at <= {in_at_bits}'d0;
      in_tail <= {in_tail_bits}'d0;
      in_done <= 1'b0;
      out_at <= {out_at_bits}'d0;
      out_tail <= {out_tail_bits}'d0;
      cycle <= 64'd0;
      if (reset_count == 3'd7) begin
        rst <= 1'b0;
        s_valid <= 1'b1;
        m_ready <= 1'b1;
      end
    end else{running} begin
      cycle <= cycle + 64'd1;
      m_ready <= !stalled || noise[7];
      // A beat that was offered stays until it moves.
      if (!s_valid || s_ready) s_valid <= !in_done && !(given && in_ends) && (!stalled || noise[0]);
      if (given) begin
        in_at <= in_ends ? {in_at_bits}'d0 : in_at + {in_at_bits}'d1;
        in_tail <= s_last ? {in_tail_bits}'d0 : in_tail + {in_tail_bits}'d1;
        if (in_ends) in_done <= 1'b1;
      end
      if (taken) begin
        out_at <= out_ends ? {out_at_bits}'d0 : out_at + {out_at_bits}'d1;
        out_tail <= wanted_last ? {out_tail_bits}'d0 : out_tail + {out_tail_bits}'d1;
        if (wrong) begin
          errors <= errors + 32'd1;
          $display("beat %0d, cycle %0d: %h, tlast %b, error %b; expected %h, %b, cycle %0d", out_at, cycle, m_data,
                   m_last, error, words[out_at], wanted_last, cycles[out_at]);
        end
      end
      if (cycle == 64'd{limit}) begin
        $display("FAIL: no end after %0d cycles", cycle);
        $finish;
      end else if (taken && out_ends) begin
        if (!stalled) begin
          // Second pass.
          rst <= 1'b1;
          reset_count <= 3'd0;
          stalled <= 1'b1;
          s_valid <= 1'b0;
          m_ready <= 1'b0;
        end else begin
          if ((errors == 32'd0) && !wrong) $display("PASS");
          else $display("FAIL: wrong beats");
          $finish;
        end
      end
    end
  end
endmodule

`default_nettype wire
"#,
        in_top = in_bits - 1,
        out_top = out_bits - 1,
        beats_in_top = beats_in - 1,
        beats_out_top = beats_out - 1,
        in_at_top = in_at - 1,
        in_at_bits = in_at,
        in_tail_top = in_tail - 1,
        in_tail_bits = in_tail,
        out_at_top = out_at - 1,
        out_at_bits = out_at,
        out_tail_top = out_tail - 1,
        out_tail_bits = out_tail,
        frame_in_top = frame_in - 1,
        frame_out_top = frame_out - 1,
    )
}
