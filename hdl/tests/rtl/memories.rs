//! Compares registers and memories with a model in plain Rust, clock by clock.

use dq_hdl::rtl::*;
use dq_net::SplitMix64;
use proptest::prelude::*;

/// Makes a RAM with a clocked and one with a combinational read, one with contents, a ROM, a table, and a
/// counter with reset.
fn kernel(word_bits: usize, words: usize, image: &[Vec<u64>]) -> Module {
    let mut k = Kernel::new("store", "Memories side by side.");
    let bits = addr_bits(words);
    let (we, re) = (k.input("we", 1), k.input("re", 1));
    let (wa, ra) = (k.input("wa", bits), k.input("ra", bits));
    let wd = k.input("wd", word_bits);
    let write = || Write { enable: we.expr(), addr: wa.expr(), data: wd.expr() };
    let clocked = Read::Sync { enable: re.expr(), addr: ra.expr() };
    let direct = Read::Async { addr: ra.expr() };
    let q = k.ram("late", word_bits, words, Style::Block, write(), clocked.clone());
    let d = k.ram("now", word_bits, words, Style::Distributed, write(), direct.clone());
    let rom = k.rom("image", word_bits, image.concat(), Style::Auto, clocked.clone(), "image.mem");
    let filled =
        k.filled_ram("filled", word_bits, image.concat(), Style::Block, write(), clocked, "image.mem");
    let rom_now = k.rom("image_now", word_bits, image.concat(), Style::Auto, direct, "image.mem");
    let table = k.table("fixed", ra, word_bits, &image[..words - 1]);
    let count = k.reg("count", 7, Some(5));
    k.clocked([when_else(re, [set(count, count.inc())], [when(we, [set(count, count.sub(lit(3, 7), 7))])])]);
    for (name, value) in [
        ("q", q),
        ("d", d),
        ("rom_q", rom),
        ("rom_d", rom_now),
        ("fill_q", filled),
        ("tab", table),
        ("n", count),
    ] {
        let out = k.output(name, value.width());
        k.drive(out, value);
    }
    k.build()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn memories_and_registers_follow_their_model(
        word_bits in prop::sample::select(vec![1usize, 13, 64, 65, 200]),
        words in prop::sample::select(vec![2usize, 5, 8, 16]),
        seed: u64,
        steps in prop::collection::vec(
            (any::<bool>(), any::<bool>(), any::<u8>(), any::<u8>(), any::<u64>()), 1..60),
    ) {
        let word = |x: u64| {
            let mut value: Vec<u64> = (0..word_bits.div_ceil(64) as u64)
                .map(|at| x.wrapping_mul(SplitMix64::GAMMA).rotate_left(at as u32 * 7)).collect();
            words::canonical(&mut value, word_bits);
            value
        };
        let image: Vec<Vec<u64>> = (0..words as u64).map(|at| word(seed ^ at)).collect();
        let mut sim = Sim::new(&kernel(word_bits, words, &image));
        let [we, re, wa, ra, wd, q, d, rom_q, rom_d, fill_q, tab, n] =
            ["we", "re", "wa", "ra", "wd", "q", "d", "rom_q", "rom_d", "fill_q", "tab", "n"]
                .map(|name| sim.port(name));
        sim.reset();
        let zero = word(0);
        let (mut ram, mut count) = (vec![zero.clone(); words], 5u64);
        let (mut q_now, mut rom_now) = (zero.clone(), zero.clone());
        let (mut filled, mut fill_now) = (image.clone(), zero.clone());
        for (w, r, wa_, ra_, x) in steps {
            let (to, from) = (wa_ as usize % words, ra_ as usize % words);
            sim.set(we, w as u64);
            sim.set(re, r as u64);
            sim.set(wa, to as u64);
            sim.set(ra, from as u64);
            sim.set_words(wd, &word(x));
            prop_assert_eq!(sim.get_words(q), &q_now[..]);
            prop_assert_eq!(sim.get_words(rom_q), &rom_now[..]);
            prop_assert_eq!(sim.get_words(fill_q), &fill_now[..]);
            prop_assert_eq!(sim.get_words(d), &ram[from][..]);
            prop_assert_eq!(sim.get_words(rom_d), &image[from][..]);
            prop_assert_eq!(sim.get_words(tab), if from < words - 1 { &image[from][..] } else { &zero[..] });
            prop_assert_eq!(sim.get(n), count);
            sim.clock();
            if r {
                q_now = ram[from].clone();
                rom_now = image[from].clone();
                fill_now = filled[from].clone();
                count = (count + 1) % 128;
            } else if w {
                count = (count + 125) % 128;
            }
            if w {
                ram[to] = word(x);
                filled[to] = word(x);
            }
        }
    }
}

#[test]
fn scrambling_fills_what_has_no_reset_and_nothing_else() {
    let mut k = Kernel::new("power_up", "");
    let (kept, noisy) = (k.reg("kept", 40, Some(3)), k.reg("noisy", 40, None));
    let (y, z) = (k.output("y", 40), k.output("z", 40));
    k.drive(y, kept);
    k.drive(z, noisy);
    k.clocked([set(kept, kept), set(noisy, noisy)]);
    let mut sim = Sim::new(&k.build());
    let (y, z) = (sim.port("y"), sim.port("z"));
    sim.reset();
    sim.scramble(1);
    let first = sim.get(z);
    assert_eq!(sim.get(y), 3);
    sim.clock();
    assert_eq!((sim.get(y), sim.get(z)), (3, first));
    sim.scramble(2);
    assert_ne!(sim.get(z), first);
}

/// Where the read leaves a choice, an attribute asks; what it asks is what Yosys maps (block RAM, LUT RAM,
/// LUTs).
#[test]
fn a_style_is_an_attribute_of_clocked_reads_alone() {
    let image: Vec<Vec<u64>> = (0..5).map(|at| vec![at]).collect();
    let text = &emit(&kernel(13, 5, &image), "").unwrap()[0].text;
    assert!(
        text.contains("  (* no_rw_check, ram_style = \"block\" *)\n  reg [12:0] late [0:4];\n"),
        "{text}"
    );
    let filled = "  (* ram_style = \"block\" *)\n  reg [12:0] filled [0:4];\n  \
                  initial $readmemh(\"image.mem\", filled);\n";
    assert!(text.contains(filled), "{text}");
    assert!(text.contains("\n\n  reg [12:0] now [0:4];\n"), "{text}");
    let rom = |style| {
        let mut k = Kernel::new("rom", "");
        let (addr, y) = (k.input("addr", 3), k.output("y", 13));
        let read = Read::Sync { enable: lit(1, 1), addr: addr.into() };
        let word = k.rom("image", 13, image.concat(), style, read, "image.mem");
        k.drive(y, word);
        emit(&k.build(), "").unwrap()
    };
    assert!(rom(Style::Distributed)[0].text.contains("  (* syn_romstyle = \"logic\" *)\n  reg [12:0] image"));
    assert!(rom(Style::Block)[0].text.contains("  (* rom_style = \"block\" *)\n  reg [12:0] image"));
    assert_eq!(
        rom(Style::Auto)[1],
        File { name: "image.mem".into(), text: "0000\n0001\n0002\n0003\n0004\n".into() }
    );
}

/// Registers that follow each other, in two modules.
#[test]
fn other_modules_see_noise_end_at_zero() {
    let kept = |name: &str| {
        let mut k = Kernel::new(name, "Keeps what came last while `en` is high.");
        let (en, d, q) = (k.input("en", 1), k.input("d", 64), k.output("q", 64));
        let held = k.reg("held", 64, None);
        k.next(held, Some(en.into()), d);
        k.drive(q, held);
        k.build()
    };
    let mut top = Group::new("both", "The second follows the first.");
    top.input("en", 1);
    top.input("d", 64);
    top.output("q", 64);
    top.child("first", &kept("first_kept"));
    top.child("second", &kept("second_kept"));
    top.link("en", "first.en");
    top.link("d", "first.d");
    top.tie("second.en", lit(1, 1));
    top.link("first.q", "second.d");
    top.link("second.q", "q");
    let mut sim = Sim::new(&top.build());
    let [en, d, q] = ["en", "d", "q"].map(|port| sim.port(port));
    sim.scramble(3);
    (0..3).for_each(|_| sim.clock());
    assert_ne!(sim.get(q), 0, "noise");
    sim.set(en, 1);
    sim.set(d, 0);
    (0..2).for_each(|_| sim.clock());
    assert_eq!(sim.get(q), 0);
}
