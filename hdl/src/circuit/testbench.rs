//! Writes the self-checking testbench: frames go through `top`, twice without a gap (first with source and
//! sink always open, then under stalls); every word and `tlast` is compared, in the first pass every cycle
//! too. It is for Verilog simulators (Icarus, Verilator with `--binary`, Vivado), needs nothing but the
//! emitted folder, and passes only where all files of that folder were read.

use crate::design::{Beat, Design, Round, WeightStream};
use crate::rtl::{Direction, File, Port, addr_bits, words};
use dq_net::random;
use ndarray::{Array4, Axis};
use std::fmt::Write;

/// Number of frames in a pass.
pub const FRAMES: usize = 2;
/// The testbench, with `@name@` where a design's own text goes.
const TEMPLATE: &str = include_str!("testbench.v");

/// Returns whether `name`, a file of an emission, belongs to the testbench and not to the circuit.
pub fn is_file(name: &str) -> bool {
    name == "tb.v" || name.starts_with("tb_")
}

/// Returns `tb.v` and its vectors. `images` are the names of the files that the circuit's memories are read
/// from; `cycles` are those of the output beats without stalls, of [`FRAMES`] frames at least.
pub fn files(design: &Design, banner: &str, images: &[String], cycles: &[u64]) -> Vec<File> {
    let shape = design.network.input_shape();
    let mut frames = Array4::zeros((FRAMES, shape.height, shape.width, shape.channels));
    for (i, mut frame) in frames.axis_iter_mut(Axis(0)).enumerate() {
        frame.assign(&random::image(i as u64 + 1, design.network.input()));
    }
    let expected = expected(design, &frames, cycles);
    let out_bits = design.value_bits();
    let in_bits = design.input_lanes().width().next_multiple_of(8);
    let input: String = design
        .input_beats(frames.view())
        .chunks(design.input_words())
        .map(|beat| words::to_hex(beat, in_bits) + "\n")
        .collect();
    let mask = |value: i64| value as u64 & words::mask(out_bits);
    let (mut output, mut times) = (String::new(), String::new());
    for beat in &expected {
        let _ = writeln!(output, "{:0width$x}", mask(beat.value), width = out_bits.div_ceil(4));
        let _ = writeln!(times, "{:016x}", beat.cycle);
    }
    let last_cycle = expected.last().expect("frames have beats").cycle;
    let file = |name: &str, text| File { name: name.into(), text };
    let mut files = vec![
        file("tb.v", text(design, banner, images, last_cycle)),
        file("tb_input.mem", input),
        file("tb_output.mem", output),
        file("tb_cycles.mem", times),
    ];
    files.extend(design.weight_streams().iter().map(|stream| {
        let Round { bits, beats, .. } = stream.round;
        let hex = |at| words::to_hex(stream.beat(at), bits.next_multiple_of(8)) + "\n";
        file(&weight_file(&stream.port), (0..beats).map(hex).collect())
    }));
    files
}

/// Returns what must leave the circuit for `frames`, at the first of `cycles`.
fn expected(design: &Design, frames: &Array4<u8>, cycles: &[u64]) -> Vec<Beat> {
    let network = &design.network;
    // The reference takes seconds for a large network, so each frame has a thread of its own.
    let passes = design.passes(frames.view());
    let scores: Vec<Vec<i32>> = std::thread::scope(|scope| {
        let images = passes.axis_iter(Axis(0));
        let threads: Vec<_> = images.map(|image| scope.spawn(move || network.eval(image))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the reference does not panic")).collect()
    });
    let of_frames = scores.chunks(design.passes_per_frame());
    let values = of_frames.flat_map(|scores| design.values_of_scores(&scores.concat()));
    design.beats(values, &cycles[..FRAMES * design.output_beats()])
}

/// Describes a memory of the testbench and the file that fills it.
struct Vectors {
    name: String,
    file: String,
    bits: usize,
    words: usize,
}

impl Vectors {
    fn new(name: &str, file: &str, bits: usize, words: usize) -> Vectors {
        Vectors { name: name.into(), file: file.into(), bits, words }
    }

    /// Returns the declarations of the memory and of its second reading.
    fn declaration(&self) -> String {
        let Vectors { name, bits, words, .. } = self;
        let (bit, word) = (bits - 1, words - 1);
        format!("  reg [{bit}:0] {name} [0:{word}];\n  reg [{bit}:0] {name}_again [0:{word}];\n")
    }

    /// Returns the statements that read it twice, and count in `lacking` the words that the file does not
    /// hold.
    fn load(&self) -> String {
        let Vectors { name, file, bits, words } = self;
        let at = format!("i[{}:0]", addr_bits(*words) - 1);
        format!(
            "    for (i = 0; i < {words}; i = i + 1) begin
      {name}[{at}] = {bits}'d0;
      {name}_again[{at}] = ~{bits}'d0;
    end
    $readmemh(\"{file}\", {name});
    $readmemh(\"{file}\", {name}_again);
    for (i = 0; i < {words}; i = i + 1)
      if (({name}[{at}] ^ {name}_again[{at}]) !== {bits}'d0) lacking = lacking + 1;
"
        )
    }
}

/// Returns the statements that say which of `images` is missing, and count it in `lacking`.
fn presence<'a>(images: impl Iterator<Item = &'a str>) -> String {
    let check = |image| {
        format!(
            "    file = $fopen(\"{image}\", \"r\");
    if (file == 0) begin
      $display(\"{image}: cannot be opened in this folder\");
      lacking = lacking + 1;
    end else $fclose(file);
"
        )
    };
    images.map(check).collect()
}

/// Returns what a circuit that is filled from flash needs of its testbench: declarations, ports, and what is
/// clocked.
fn boot(words: usize) -> [String; 3] {
    if words == 0 {
        return Default::default();
    }
    let at = addr_bits(words);
    let bits = addr_bits(words + 1);
    let index = if at < bits { format!("boot_at[{}:0]", at - 1) } else { "boot_at".into() };
    [
        format!(
            "  // The flash: a word whenever the one before was taken.
  reg [{at_top}:0] boot_at;
  reg [31:0] boot_clocks;
  wire booted;
  wire boot_failed;
  wire boot_valid = !rst && (boot_at != {bits}'d{words});
  wire [31:0] boot_data = boot_at == {bits}'d{words} ? 32'd0 : flash[{index}];
",
            at_top = bits - 1
        ),
        "    .boot_data(boot_data),
    .boot_valid(boot_valid),
    .booted(booted),
    .boot_failed(boot_failed),
"
        .into(),
        format!(
            "    if (rst) boot_at <= {bits}'d0;
    else if (boot_valid) boot_at <= boot_at + {bits}'d1;
    boot_clocks <= rst || (booted === 1'b1) ? 32'd0 : boot_clocks + 32'd1;
    if (!rst && ((boot_failed !== 1'b0) || (boot_clocks == 32'd{limit}))) begin
      $display(\"FAIL: the circuit refused its parameters\");
      $finish;
    end
",
            limit = 2 * words + 1_000
        ),
    ]
}

/// Describes a port of weights to the testbench.
struct Player {
    /// Name of the port at the top, and of the memory of its round.
    port: String,
    memory: String,
    /// Bits of its `tdata`, and beats of a round.
    bits: usize,
    beats: usize,
}

/// Lists the ports of weights.
fn players(streams: &[WeightStream]) -> Vec<Player> {
    let player = |(i, stream): (usize, &WeightStream)| Player {
        port: stream.port.clone(),
        memory: format!("weights{i}"),
        bits: stream.round.bits.next_multiple_of(8),
        beats: stream.round.beats,
    };
    streams.iter().enumerate().map(player).collect()
}

impl Player {
    fn vectors(&self) -> Vectors {
        Vectors::new(&self.memory, &weight_file(&self.port), self.bits, self.beats)
    }

    fn wires(&self) -> String {
        let (name, bits) = (&self.memory, addr_bits(self.beats));
        format!(
            "  // {port}: a round of weights again and again.
  reg {name}_valid;
  reg [{top}:0] {name}_at;
  initial begin
    {name}_valid = 1'b0;
    {name}_at = {bits}'d0;
  end
  wire {name}_ready;
  wire {name}_last = {name}_at == {bits}'d{last};
",
            port = self.port,
            top = bits - 1,
            last = self.beats - 1
        )
    }

    fn ports(&self) -> String {
        let Player { port, memory: name, .. } = self;
        format!(
            "    .{port}_tdata({name}[{name}_at]),
    .{port}_tvalid({name}_valid),
    .{port}_tready({name}_ready),
    .{port}_tlast({name}_last),
"
        )
    }

    fn begin(&self) -> String {
        let (name, bits) = (&self.memory, addr_bits(self.beats));
        format!("        {name}_valid <= 1'b1;\n        {name}_at <= {bits}'d0;\n")
    }

    /// Returns what is clocked; in the stalled pass, bit `noise` of the noise opens it.
    fn clocked(&self, noise: usize) -> String {
        let (name, bits) = (&self.memory, addr_bits(self.beats));
        format!(
            "      if (!{name}_valid || {name}_ready) {name}_valid <= !stalled || noise[{noise}];
      if ({name}_valid && {name}_ready) {name}_at <= {name}_last ? {bits}'d0 : {name}_at + {bits}'d1;
"
        )
    }

    fn end(&self) -> String {
        format!("          {}_valid <= 1'b0;\n", self.memory)
    }
}

/// Returns the name of the file of a round of the weights of `port`.
fn weight_file(port: &str) -> String {
    format!("tb_{port}.mem")
}

/// Returns wires for an idle control port, and connections to them; nothing where there is no port.
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

/// Returns the text of `tb.v`; the last beat of the first pass leaves at `last_cycle`.
fn text(design: &Design, banner: &str, images: &[String], last_cycle: u64) -> String {
    let shape = design.network.input_shape();
    let in_bits = design.input_lanes().width().next_multiple_of(8);
    let out_bits = design.value_bits();
    // A `tuser` is the top bit of a word.
    let (m_data, user_port) = match design.has_user() {
        false => ("m_data".into(), String::new()),
        true => {
            (format!("m_data[{}:0]", out_bits - 2), format!("    .m_axis_tuser(m_data[{}]),\n", out_bits - 1))
        }
    };
    let (frame_in, frame_out) = (shape.height * shape.width, design.output_beats());
    let (beats_in, beats_out) = (FRAMES * frame_in, FRAMES * frame_out);
    let boot_words = design.boot_words().len();
    let mut vectors = vec![
        Vectors::new("frames", "tb_input.mem", in_bits, beats_in),
        Vectors::new("words", "tb_output.mem", out_bits, beats_out),
        Vectors::new("cycles", "tb_cycles.mem", 64, beats_out),
    ];
    if boot_words > 0 {
        vectors.push(Vectors::new("flash", "boot.mem", 32, boot_words));
    }
    let players = players(&design.weight_streams());
    vectors.extend(players.iter().map(Player::vectors));
    let [boot_wires, boot_ports, boot_clocked] = boot(boot_words);
    let (control_wires, control) = idle_control(design);
    // A circuit that boots is in reset until it is done; the testbench waits, with its offer already there.
    let (running, first_cycle) = match boot_words {
        0 => ("", "the first clock cycle in which rst is low"),
        _ => (" if (booted)", "the first clock cycle in which booted is high"),
    };
    let (in_at, out_at) = (addr_bits(beats_in), addr_bits(beats_out));
    let (in_tail, out_tail) = (addr_bits(frame_in), addr_bits(frame_out));
    let number = |number: usize| number.to_string();
    fill(&[
        ("banner", banner.into()),
        ("frames", number(FRAMES)),
        ("first_cycle", first_cycle.into()),
        ("memories", vectors.iter().map(Vectors::declaration).collect()),
        (
            "images",
            presence(images.iter().map(String::as_str).chain(vectors.iter().map(|v| v.file.as_str()))),
        ),
        ("loads", vectors.iter().map(Vectors::load).collect()),
        ("in_at_top", number(in_at - 1)),
        ("in_at_bits", number(in_at)),
        ("in_tail_top", number(in_tail - 1)),
        ("in_tail_bits", number(in_tail)),
        ("out_top", number(out_bits - 1)),
        ("out_at_top", number(out_at - 1)),
        ("out_at_bits", number(out_at)),
        ("out_tail_top", number(out_tail - 1)),
        ("out_tail_bits", number(out_tail)),
        ("beats_in_top", number(beats_in - 1)),
        ("beats_out_top", number(beats_out - 1)),
        ("frame_in_top", number(frame_in - 1)),
        ("frame_out_top", number(frame_out - 1)),
        ("beats_before_last", number(2 * beats_out - 1)),
        ("boot_wires", boot_wires),
        ("boot_ports", boot_ports),
        ("boot_clocked", boot_clocked),
        ("weight_wires", players.iter().map(Player::wires).collect()),
        ("weight_ports", players.iter().map(Player::ports).collect()),
        ("weight_begin", players.iter().map(Player::begin).collect()),
        (
            "weight_clocked",
            players.iter().enumerate().map(|(i, player)| player.clocked(8 + i % 16)).collect(),
        ),
        ("weight_end", players.iter().map(Player::end).collect()),
        ("control_wires", control_wires),
        ("control", control),
        ("m_data", m_data),
        ("user_port", user_port),
        ("running", running.into()),
        // A stalled pass takes some times longer; one that takes this many cycles is stuck.
        ("limit", (40 * last_cycle + 100_000).to_string()),
    ])
}

/// Returns the template with its names replaced.
fn fill(values: &[(&str, String)]) -> String {
    let mut parts = TEMPLATE.split('@');
    let mut text = parts.next().expect("a split has a first part").to_owned();
    let mut is_name = true;
    for part in parts {
        // Verilog has this text itself: `always @(posedge clk)`.
        if is_name && part.starts_with('(') {
            text += "@";
            text += part;
            continue;
        }
        if is_name {
            let value = values.iter().find(|(name, _)| *name == part);
            text += &value.unwrap_or_else(|| unreachable!("`{part}` is no name of the template")).1;
        } else {
            text += part;
        }
        is_name = !is_name;
    }
    text
}
