//! Implements `dq load`: lists the accesses that load a network into a circuit that is there already.

use crate::shared::files::{Files, shown};
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::control::Access;
use dq_hdl::design::Design;
use dq_hdl::emit::Report;
use dq_hdl::plan::{Control, Plan};
use dq_net::atomic;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Load a network's parameters into a circuit of the same shape
///
/// Writes what a host does on the AXI4-Lite control port of a circuit emitted with
/// `--control load`: one access per line, `w ADDRESS DATA` (write) or `r ADDRESS DATA`
/// (read, and compare). The first checks that the circuit has the network's shape,
/// the last ones how much was loaded and its checksum. docs/control.md has the map.
///
/// Examples:
///   dq emit model.json --control load -o rtl
///   dq load retrained.json --into rtl -o retrained.load
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file: nodes, shapes and bits as those of the circuit.
    model: PathBuf,
    /// Folder that `dq emit --control load` wrote.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The accesses.
    #[arg(short, long = "output", value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let (plan_file, report_file) = (args.into.join("plan.json"), args.into.join("report.json"));
    Files::default()
        .read("MODEL", args.model.as_path())
        .read("--into", plan_file.as_path())
        .read("--into", report_file.as_path())
        .written("-o", args.output.as_path())
        .check()?;
    let network = dq_net::read_network(&args.model)?;
    let plan = Plan::read(&plan_file, &network)?;
    if plan.control != Control::Load {
        bail!("{}: control: expected `load` (emit with --control load)", plan_file.display());
    }
    let text = dq_net::read::text(&report_file, 1 << 26)
        .with_context(|| format!("{}: reading", report_file.display()))?;
    let report: Report =
        serde_json::from_str(&text).with_context(|| format!("{}: not a report", report_file.display()))?;
    let image = Design::new(&network, &plan)?.image();
    if report.control_identity != Some(image.identity) {
        bail!(
            "{}: not the shape of the circuit in {}: expected identity {}, found {:#010x} (layers, shapes \
             and bits must \
             be equal)",
            args.model.display(),
            args.into.display(),
            report.control_identity.map_or("none".into(), |identity| format!("{identity:#010x}")),
            image.identity
        );
    }
    let accesses = image.accesses();
    let mut lines = String::new();
    for access in &accesses {
        let (kind, address, data) = match access {
            Access::Write { address, data } => ('w', address, data),
            Access::Expect { address, data } => ('r', address, data),
        };
        writeln!(lines, "{kind} {address:#05x} {data:#010x}").expect("writing to a string");
    }
    let output = &args.output;
    atomic::write(output, lines.as_bytes()).with_context(|| format!("{}: writing", output.display()))?;
    let words: usize = image.stages.iter().map(Vec::len).sum();
    let checksum = image.checksum();
    ui.result(
        || {
            json!({"output": shown(output), "name": network.name, "hash": dq_net::content_hash(&network),
                "identity": image.identity, "words": words, "accesses": accesses.len(),
                "checksum": checksum})
        },
        format!(
            "{}: {words} words of parameters for circuit {:#010x}, checksum {checksum:#010x}\nwritten: {} \
             ({} accesses)",
            network.name,
            image.identity,
            output.display(),
            accesses.len()
        ),
    )
}
