//! Each stage of small networks keeps its contract: proved by induction, sums against flat dot products
//! unrolled.

use crate::circuit::synthesis::unit;
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::formal::{self, Kept, Prover, Verdict};
use dq_hdl::plan::{Mac, Memory, Output, Plan};
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
fn forms_that_know_their_weights_keep_their_contracts() {
    if !ready() {
        return;
    }
    for (bits, simd, mac) in [
        (1, 4, Mac::Xnor),
        (1, 4, Mac::BitPairs),
        (2, 4, Mac::BitPairs),
        (3, 4, Mac::BitPairs),
        (1, 4, Mac::BitHeap),
        (2, 4, Mac::BitHeap),
        (3, 2, Mac::BitHeap),
    ] {
        let network = unit(bits, 2);
        let mut plan = plan::default(&network, Output::Label).unwrap();
        for node in plan.nodes.iter_mut().filter(|node| node.node == "conv") {
            (node.simd, node.mac) = (simd, mac);
        }
        prove_planned(&network, &plan, "dq_");
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

/// Lets the weights of every layer of `network` come from outside.
pub fn streamed(network: &Network) -> Plan {
    let mut plan = plan::default(network, Output::Scores).unwrap();
    for node in &mut plan.nodes {
        if network.nodes()[network.position(&node.node).unwrap()].layer.weight_bits().is_some() {
            (node.memory, node.port) = (Memory::Stream, Some(8));
        }
    }
    plan
}

#[test]
fn weights_from_outside_keep_their_contracts() {
    if !ready() {
        return;
    }
    // One with a sum that is small enough to be unrolled, with words as its port brings them.
    let unrolled = |network: &Network| {
        let design = Design::new(network, &streamed(network)).unwrap();
        formal::tasks(&design, &emit(&design)).iter().any(|task| task.harness.is_some())
    };
    let mut found = (0..).map(|seed| random::network(seed, &small(false)));
    let network = found.find(unrolled).unwrap();
    prove_planned(&network, &streamed(&network), "");
}

#[test]
fn labels_that_say_whether_they_are_proved_keep_their_contracts() {
    if !ready() {
        return;
    }
    for (network, plan) in proving().take(3) {
        prove_planned(&network, &plan, "");
    }
}

/// Small networks of few classes and a plan for each whose labels say whether they are proved.
pub fn proving() -> impl Iterator<Item = (Network, Plan)> {
    let networks = (0..).map(|seed| random::network(seed, &Options { max_layers: 1, ..small(false) }));
    networks.filter_map(|network| {
        let plan = plan::default(&network, Output::Label).unwrap();
        let plan = Plan { proved_radius: Some(1), ..plan };
        plan.check(&network).is_ok().then_some((network, plan))
    })
}

#[test]
fn a_proof_is_found_again_until_a_file_of_it_changes() {
    if !ready() {
        return;
    }
    let network = topology::build("lenet", 1).unwrap();
    let design = Design::new(&network, &plan::default(&network, Output::Label).unwrap()).unwrap();
    let emission = emit(&design);
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("rtl");
    std::fs::create_dir(&folder).unwrap();
    let prover = Prover::new(&emission, &folder).unwrap();
    let kept = Kept::open(&scratch.path().join("proofs"), &prover);
    let tasks = formal::tasks(&design, &emission);
    let task = tasks.iter().find(|task| task.module == "classifier_mvau").unwrap();
    assert_eq!(kept.find(&prover, task).unwrap(), None);
    let proof = Verdict::Proved { steps: task.steps };
    kept.keep(&prover, task, &Verdict::Failed { assertions: vec!["a".into()] }).unwrap();
    assert_eq!(kept.find(&prover, task).unwrap(), None, "a failure is tried again");
    kept.keep(&prover, task, &proof).unwrap();
    assert_eq!(kept.find(&prover, task).unwrap(), Some(proof.clone()));
    assert!(tasks.iter().filter(|other| *other != task).all(|t| kept.find(&prover, t).unwrap().is_none()));
    // Its Verilog and its ROM image alike; the file of another module does not matter.
    for (name, found) in [
        ("classifier_fetch.v", false),
        ("images/classifier/classifier_weights.mem", false),
        ("step2_step.v", true),
    ] {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}\n")).unwrap();
        assert_eq!(kept.find(&prover, task).unwrap().is_some(), found, "{name}");
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(kept.find(&prover, task).unwrap(), Some(proof));
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
