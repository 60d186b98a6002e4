//! Runs random emitted kernels in Verilator and in the simulator on the same stimuli: the words are equal in
//! every clock. The same files pass Verilator's and Yosys's lint without a word.

use dq_hdl::rtl::*;
use dq_hdl::tool;
use dq_net::SplitMix64;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const WIDTHS: &[usize] = &[1, 1, 2, 3, 5, 8, 13, 31, 32, 33, 63, 64, 65, 100, 128, 129, 200, 1000];
const CLOCKS: usize = 300;

/// Gives the random numbers from which kernels and stimuli are drawn.
struct Rng(SplitMix64);

impl Rng {
    fn word(&mut self) -> u64 {
        self.0.word()
    }

    fn below(&mut self, count: usize) -> usize {
        self.0.below(count)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Draws random words, often with long runs of equal bits.
    fn words(&mut self, width: usize) -> Vec<u64> {
        let mut out: Vec<u64> = (0..width.div_ceil(64))
            .map(|_| match self.below(5) {
                0 => 0,
                1 => !0,
                _ => self.word(),
            })
            .collect();
        words::canonical(&mut out, width);
        out
    }
}

/// Draws a kernel of random wires, selections, registers and memories; every net is read, every result is an
/// output.
fn random_kernel(name: &str, rng: &mut Rng) -> Module {
    let mut k = Kernel::new(name, "Random logic.");
    let mut pool: Vec<Sig> = (0..5).map(|at| k.input(&format!("i{at}"), rng.pick(WIDTHS))).collect();
    let regs: Vec<(Sig, bool)> = (0..6)
        .map(|at| {
            let (width, reset) = (rng.pick(WIDTHS), rng.below(2) == 0);
            let signed = rng.below(2) == 0;
            let name = format!("r{at}");
            let reg = match (signed, width > 62) {
                (true, _) => k.reg_signed(&name, width, reset.then_some(-1)),
                (false, true) => k.reg(&name, width, reset.then_some(77)),
                (false, false) => k.reg(&name, width, reset.then(|| rng.word() & words::mask(width))),
            };
            (reg, signed)
        })
        .collect();
    pool.extend(regs.iter().map(|(reg, _)| *reg));
    let mut results = vec![];
    for at in 0..26 {
        let sig = match rng.below(12) {
            0 => {
                let index = small(&pool, rng, 3);
                let width = rng.pick(WIDTHS);
                let items = (0..5 + rng.below(4)).map(|_| sized(&pool, rng, width)).collect();
                k.select(&format!("w{at}"), index, items)
            }
            1 => {
                let index = small(&pool, rng, 4);
                let table: Vec<Vec<u64>> = (0..11).map(|_| rng.words(70)).collect();
                k.table(&format!("w{at}"), index, 70, &table)
            }
            2 | 3 => memory(&mut k, &format!("mem{at}"), &pool, rng),
            _ => {
                let value = random_expr(&pool, rng, 3);
                k.wire(&format!("w{at}"), value)
            }
        };
        pool.push(sig);
        results.push(sig);
    }
    for (reg, signed) in &regs {
        let value = |rng: &mut Rng| {
            let value = sized(&pool, rng, reg.width());
            if *signed { value.signed() } else { value }
        };
        let (first, second, third) = (value(rng), value(rng), value(rng));
        let (c, d) = (small(&pool, rng, 1), small(&pool, rng, 1));
        let body = match rng.below(3) {
            0 => vec![set(*reg, first)],
            1 => vec![when_else(
                c,
                [set(*reg, first)],
                [when_else(d, [set(*reg, second)], [set(*reg, third)])],
            )],
            _ => vec![
                set(*reg, first),
                when(c, [note("later wins"), set(*reg, second), when(d, [set(*reg, third)])]),
            ],
        };
        k.clocked(body);
    }
    for (at, sig) in results.iter().enumerate() {
        let out = k.output(&format!("o{at}"), sig.width());
        k.drive(out, *sig);
    }
    pool.into_iter().for_each(|sig| k.unused(sig));
    k.build()
}

fn memory(k: &mut Kernel, name: &str, pool: &[Sig], rng: &mut Rng) -> Sig {
    let (word_bits, words) = (rng.pick(WIDTHS), rng.pick(&[1, 2, 3, 5, 8, 11, 16]));
    let bits = addr_bits(words);
    let addr = small(pool, rng, bits);
    let read = match rng.below(2) {
        0 => Read::Async { addr },
        _ => Read::Sync { enable: small(pool, rng, 1), addr },
    };
    let kind = rng.below(3);
    let mut contents = || {
        let data = (0..words).flat_map(|_| rng.words(word_bits)).collect();
        (data, format!("{}_{name}.mem", rng.word()))
    };
    if kind == 0 {
        let (data, file) = contents();
        return k.rom(name, word_bits, data, Style::Auto, read, &file);
    }
    let filling = (kind == 1).then(contents);
    let write = Write {
        enable: small(pool, rng, 1),
        addr: small(pool, rng, bits),
        data: sized(pool, rng, word_bits),
    };
    if let Some((data, file)) = filling {
        return k.filled_ram(name, word_bits, data, Style::Auto, write, read, &file);
    }
    k.ram(name, word_bits, words, Style::Auto, write, read)
}

/// Returns an unsigned value of `width` bits, taken from some net's low bits or made of one by extension.
fn sized(pool: &[Sig], rng: &mut Rng, width: usize) -> Expr {
    let sig = rng.pick(pool);
    if width > 1 && rng.below(8) == 0 {
        // The value is neither all zeros nor all ones: wires that fold to constants draw warnings, rightly.
        let mut value = rng.words(width);
        value[0] = value[0] & !3 | 1;
        return lit_words(&value, width);
    }
    if sig.width() < width {
        return if rng.below(2) == 0 { sig.zext(width) } else { sig.sext(width).unsigned() };
    }
    sig.slice(rng.below(sig.width() - width + 1), width)
}

/// Returns an unsigned value that is never constant: a condition, an index or an address.
fn small(pool: &[Sig], rng: &mut Rng, width: usize) -> Expr {
    let sig = rng.pick(pool);
    if sig.width() < width { sig.zext(width) } else { sig.slice(rng.below(sig.width() - width + 1), width) }
}

fn random_expr(pool: &[Sig], rng: &mut Rng, depth: usize) -> Expr {
    if depth == 0 {
        let width = rng.pick(WIDTHS);
        return if rng.below(2) == 0 { small(pool, rng, width) } else { rng.pick(pool).unsigned() };
    }
    let a = random_expr(pool, rng, depth - 1);
    let b = sized(pool, rng, a.width());
    let signed = rng.below(2) == 0;
    let view = |value: Expr| if signed { value.signed() } else { value };
    match rng.below(16) {
        0 => view(a.clone()).add(view(b), a.width()).unsigned(),
        1 => view(a.clone()).sub(view(b), a.width()).unsigned(),
        2 => view(a.clone()).mul(view(b), a.width()).unsigned(),
        3 => {
            let (p, q) = (rng.pick(pool), rng.pick(pool));
            let width = p.width().max(q.width()) + rng.below(70);
            view(p.unsigned()).mul(view(q.unsigned()), width).unsigned()
        }
        4 => view(a).lt(view(b)),
        5 => view(a).ge(view(b)),
        6 => a.eq(b),
        7 => a.ne(b),
        8 => a & b,
        9 => a | b,
        10 => a ^ b,
        11 => !a,
        12 => match rng.below(3) {
            0 => a.any(),
            1 => a.all(),
            _ => a.parity(),
        },
        13 => small(pool, rng, 1).mux(a, b),
        14 => cat([a, b.repeat(1 + rng.below(3))]),
        _ => {
            let sig = rng.pick(pool);
            view(sig.unsigned()).ext(sig.width() + 1 + rng.below(70)).unsigned()
        }
    }
}

/// Puts all kernels side by side, with every port led out as `<instance>_<port>`.
fn bench(seed: u64, kernels: usize) -> Module {
    let mut rng = Rng(SplitMix64::new(seed));
    let mut top = Group::new("bench", "Random kernels side by side.");
    for at in 0..kernels {
        let module = random_kernel(&format!("random{at}"), &mut rng);
        let instance = format!("u{at}");
        top.child(&instance, &module);
        for port in module.ports().iter().skip(2) {
            let own = format!("{instance}x_{}", port.name);
            let inner = format!("{instance}.{}", port.name);
            match port.direction {
                Direction::In => {
                    top.input(&own, port.width);
                    top.link(&own, &inner);
                }
                Direction::Out => {
                    top.output(&own, port.width);
                    top.link(&inner, &own);
                }
            }
        }
    }
    top.build()
}

/// Reads all inputs but `clk` from stdin each clock, as 32-bit words, and writes all outputs before the edge.
fn harness(top: &Module) -> String {
    let mut read = String::new();
    let mut write = String::new();
    for port in top.ports().iter().skip(1) {
        let (text, call) = match port.direction {
            Direction::In => (&mut read, "get"),
            Direction::Out => (&mut write, "put"),
        };
        writeln!(text, "    {call}(&top.{}, {});", port.name, port.width.div_ceil(32)).unwrap();
    }
    format!(
        r#"#include "Vbench.h"
#include <cstdint>
#include <cstdio>
static bool get(void* to, size_t words) {{ return fread(to, 4, words, stdin) == words; }}
template <class T> static bool get(T* to, size_t words) {{
    uint64_t value = 0;
    bool ok = get(static_cast<void*>(&value), words);
    if constexpr (sizeof(T) <= 8) *to = static_cast<T>(value);
    return ok;
}}
template <std::size_t N> static bool get(VlWide<N>* to, size_t words) {{
    return get(static_cast<void*>(to->data()), words);
}}
template <class T> static void put(T* from, size_t words) {{
    uint64_t value = *from;
    fwrite(&value, 4, words, stdout);
}}
template <std::size_t N> static void put(VlWide<N>* from, size_t words) {{
    fwrite(from->data(), 4, words, stdout);
}}
int main() {{
  Vbench top;
  for (int clock = 0; clock < {CLOCKS}; clock++) {{
    top.clk = 0;
{read}    top.eval();
{write}    top.clk = 1;
    top.eval();
  }}
}}
"#
    )
}

fn as_u32(value: &[u64], width: usize) -> Vec<u8> {
    let bytes: Vec<u8> = value.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes[..width.div_ceil(32) * 4].to_vec()
}

fn run(command: &mut Command, input: &[u8]) -> (Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    feed.join().unwrap().unwrap();
    (output.stdout, text)
}

fn write_files(top: &Module, folder: &Path) -> Vec<String> {
    let files = emit(top, "dq test").unwrap();
    for file in &files {
        std::fs::write(folder.join(&file.name), &file.text).unwrap();
    }
    files.into_iter().map(|file| file.name).filter(|name| name.ends_with(".v")).collect()
}

#[test]
fn random_kernels_are_the_same_in_verilator() {
    let Some(verilator) = tool::require("verilator") else { return };
    let seed = 0x5eed;
    let top = bench(seed, 12);
    let folder = tempfile::tempdir().unwrap();
    let files = write_files(&top, folder.path());
    std::fs::write(folder.path().join("main.cpp"), harness(&top)).unwrap();
    let flags =
        ["-Wall", "--cc", "--exe", "--build", "-j", "2", "-O1", "--x-initial", "0", "--x-assign", "0"];
    let mut build = verilator.command();
    build.args(flags).args(["-CFLAGS", "-O0", "--top-module", "bench", "main.cpp"]).args(&files);
    // Random logic compares a net with itself, say; that the result is constant is no fault of the printer.
    build.args(["-Wno-CMPCONST", "-Wno-UNSIGNED"]);
    // Verilator's own precompiled header is a trap where C++ is not the compiler that it was built with.
    build.args(["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG="]);
    run(build.current_dir(folder.path()), &[]);

    let mut sim = Sim::new(&top);
    let ports: Vec<(Port, PortId)> =
        top.ports().into_iter().skip(1).map(|port| (port.clone(), sim.port(&port.name))).collect();
    let mut rng = Rng(SplitMix64::new(seed + 1));
    let (mut stimulus, mut expected) = (vec![], vec![]);
    for clock in 0..CLOCKS {
        for (port, id) in ports.iter().filter(|(port, _)| port.direction == Direction::In) {
            let mut value = rng.words(port.width);
            if port.name == "rst" {
                value[0] = (clock < 2 || clock % 97 == 96) as u64;
            }
            sim.set_words(*id, &value);
            stimulus.extend(as_u32(&value, port.width));
        }
        for (port, id) in ports.iter().filter(|(port, _)| port.direction == Direction::Out) {
            expected.push((clock, port.clone(), as_u32(sim.get_words(*id), port.width)));
        }
        sim.clock();
    }
    let (got, _) =
        run(Command::new(folder.path().join("obj_dir/Vbench")).current_dir(folder.path()), &stimulus);
    let mut at = 0;
    for (clock, port, value) in &expected {
        let actual = &got[at..at + value.len()];
        assert!(
            actual == value,
            "seed {seed}, clock {clock}, {}: Verilator {actual:x?}, here {value:x?}",
            port.name
        );
        at += value.len();
    }
    assert_eq!(at, got.len());
}

#[test]
fn random_kernels_pass_yosys_check() {
    let Some(yosys) = tool::require("yosys") else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = write_files(&bench(0xface, 4), folder.path());
    let script =
        format!("read_verilog {}; hierarchy -check -top bench; proc; check -assert", files.join(" "));
    let (log, errors) =
        run(yosys.command().args(["-Q", "-T", "-p", &script]).current_dir(folder.path()), &[]);
    let log = String::from_utf8_lossy(&log).into_owned() + &errors;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("Warning")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}
