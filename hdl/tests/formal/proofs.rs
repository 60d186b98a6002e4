//! Each stage of small networks keeps its contract: proved by induction, sums against flat dot products
//! unrolled.

use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::formal::{self, Prover, Verdict};
use dq_hdl::plan::{Output, Plan};
use dq_hdl::{plan, tool};
use dq_net::layer::Layer;
use dq_net::random::{self, Options};
use dq_net::{Network, topology};

/// Whether all tools are there.
pub fn ready() -> bool {
    ["yosys", "yosys-smtbmc", "z3"].into_iter().all(|tool| tool::require(tool).is_some())
}

/// Small networks of few bits, as the solver likes them.
pub fn small(residuals: bool) -> Options {
    let bits = Some(2);
    Options { max_side: 4, max_channels: 4, max_layers: 3, weight_bits: bits, level_bits: bits, residuals }
}

/// Whether a convolution of `network` is padded with another level than 0.
pub fn is_padded(network: &Network) -> bool {
    network.nodes().iter().any(|n| matches!(&n.layer, Layer::Conv(conv) if conv.pad_level != 0))
}

fn prove(network: &Network, output: Output) {
    prove_planned(network, &plan::default(network, output).unwrap(), "");
}

/// Proves the modules whose names begin with `prefix`.
fn prove_planned(network: &Network, plan: &Plan, prefix: &str) {
    let design = Design::new(network, plan).unwrap();
    let emission = emit(&design);
    let folder = tempfile::tempdir().unwrap();
    let prover = Prover::new(&emission, folder.path()).unwrap();
    let mut tasks = formal::tasks(&design, &emission);
    tasks.retain(|task| task.module.starts_with(prefix));
    assert!(tasks.len() > 3, "{tasks:?}");
    for task in tasks {
        let verdict = prover.prove(&task).unwrap();
        let good = match verdict {
            Verdict::Proved { .. } => task.induction,
            Verdict::Bounded { .. } => !task.induction,
            Verdict::Failed { .. } | Verdict::Undecided { .. } => false,
        };
        assert!(good, "{}: `{}`, {}: {verdict:?}", network.name, task.module, task.property);
    }
}

#[test]
fn a_chain_keeps_its_contracts() {
    if ready() {
        prove(&topology::build("lenet@1/4", 1).unwrap(), Output::Label);
    }
}

#[test]
fn a_residual_keeps_its_contracts() {
    if !ready() {
        return;
    }
    // Small, with a median, a fork, a mix, a sum or a concat, a rescale, and a padding of another level
    // than 0.
    let options = small(true);
    let has = |network: &Network, kind: &str| network.nodes().iter().any(|n| n.layer.kind().name() == kind);
    for join in ["mix", "sum", "concat"] {
        let mut found = (0..).map(|seed| random::network(seed, &options));
        let all = [join, "rescale", "median", "max_pool"];
        let network = found.find(|n| all.iter().all(|kind| has(n, kind)) && is_padded(n));
        prove(&network.unwrap(), Output::Scores);
    }
}

#[test]
fn a_detector_keeps_its_contracts() {
    if !ready() {
        return;
    }
    let network = (0..).map(|seed| random::network(seed, &small(false))).find(|n| n.input().has_pixels());
    let network = network.unwrap();
    let plan = plan::with_detector(&network, "bits=3,median".parse().unwrap()).unwrap();
    prove_planned(&network, &plan, "detector_");
}

/// The long suite, some minutes: `cargo test --release -p dq-hdl --test hdl -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn random_networks_keep_their_contracts() {
    if !ready() {
        return;
    }
    for seed in 0..24 {
        prove(
            &random::network(seed, &small(seed % 2 == 1)),
            if seed % 3 == 0 { Output::Label } else { Output::Scores },
        );
    }
}
