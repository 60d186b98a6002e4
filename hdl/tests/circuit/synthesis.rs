//! Synthesis of emitted stages: the estimates are within a factor of two, and no product becomes a DSP block.

use crate::common;
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::{estimate, tools};
use dq_net::random::{self, Options};

/// A cell's count in the output of Yosys's `stat`.
fn cells(text: &str, cell: &str) -> u64 {
    let count = |line: &str| {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some(count), Some(name)) if name == cell => count.parse::<u64>().ok(),
            (Some(name), Some(count)) if name == cell => count.parse().ok(),
            _ => None,
        }
    };
    text.lines().rev().find_map(count).unwrap_or(0)
}

#[test]
fn estimates_are_within_a_factor_of_two() {
    let Some(yosys) = tools::require("yosys") else { return };
    let options = Options { weight_bits: Some(4), level_bits: Some(4), ..Options::default() };
    for seed in [3, 11] {
        let network = random::network(seed, &options);
        let design = Design::new(&network, &common::plan(&network, seed)).unwrap();
        let emission = emit(&design);
        let folder = tempfile::tempdir().unwrap();
        for file in &emission.files {
            std::fs::write(folder.path().join(&file.name), &file.text).unwrap();
        }
        let sources = &emission.files.iter().find(|file| file.name == "files.f").unwrap().text;
        let sources = sources.replace('\n', " ");
        let script = format!("read_verilog {sources}; synth_ecp5 -top top; tee -o stat.txt stat");
        let output = yosys.command().args(["-q", "-p", &script]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(folder.path().join("stat.txt")).unwrap();
        let lut = cells(&text, "LUT4") + 2 * cells(&text, "CCU2C") + 6 * cells(&text, "TRELLIS_DPR16X4");
        let found = estimate::Resources {
            lut,
            ff: cells(&text, "TRELLIS_FF"),
            bram: cells(&text, "DP16KD"),
            dsp: cells(&text, "MULT18X18D"),
        };
        let estimated = emission.report.estimate.total;
        eprintln!("seed {seed}: estimated {estimated:?}, found {found:?}");
        for (guess, fact) in [(estimated.lut, found.lut), (estimated.ff, found.ff)] {
            assert!(
                fact > 0 && guess <= 2 * fact && fact <= 2 * guess,
                "seed {seed}: {estimated:?}, {found:?}"
            );
        }
        assert_eq!(found.dsp, 0);
    }
}
