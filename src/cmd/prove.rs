//! Implements `dq prove`: proves the contracts of a circuit's stages on the Verilog that is emitted.

use crate::shared::model::{ModelArg, topologies_such_as};
use crate::shared::plan::PlanArgs;
use crate::shared::table::table;
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::design::Design;
use dq_hdl::emit;
use dq_hdl::formal::{self, Prover, Verdict};
use serde_json::json;
use std::time::Instant;

/// Prove that the emitted stages keep their contracts
///
/// With Yosys, yosys-smtbmc and z3, on the Verilog and ROM images as they are emitted:
/// of each distinct stage, by induction, that no beat is lost, doubled, changed or out of
/// order, that what is offered stays until it is taken, and that no FIFO overflows; of each
/// quantizer, that every level is the number of thresholds reached, over the whole range of
/// its input; of each dot product, that it is the sum of products. Small matrix-vector units
/// are also unrolled against a flat dot product. The FIFO that all stages share is proved
/// alone as well, once for each set of its parameters. The contract is in each module's own
/// file, under `FORMAL`. Made for small networks: the solver's time grows with widths.
///
/// Examples:
///   dq prove lenet@1/4
///   dq prove model.json --stage step1
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("model", topologies_such_as("`lenet@1/4`")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    plan: PlanArgs,
    /// Only modules whose name begins so.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = args.model.open(ui)?;
    let plan = args.plan.plan(&network, None)?;
    let design = Design::new(&network, &plan)?;
    let emission = emit::emit(&design);
    let mut tasks = formal::tasks(&design, &emission);
    if let Some(name) = &args.stage {
        tasks.retain(|task| task.module.starts_with(name.as_str()));
        if tasks.is_empty() {
            bail!("--stage {name}: no module's name begins so");
        }
    }
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let prover = Prover::new(&emission, folder.path())?;
    let bar = ui.bar("prove", tasks.len() as u64, "modules");
    let (mut rows, mut found, mut failed) = (vec![], vec![], vec![]);
    for task in &tasks {
        ui.check_stop("nothing was proved to the end")?;
        let start = Instant::now();
        let verdict = prover.prove(task)?;
        let seconds = start.elapsed().as_secs_f64();
        let said = match &verdict {
            Verdict::Proved { steps } => format!("proved, {steps}-induction"),
            Verdict::Bounded { cycles } => format!("holds for {cycles} cycles"),
            Verdict::Undecided { seconds } => format!("UNDECIDED in {seconds} s"),
            Verdict::Failed { assertions } => format!("FAILED: {}", assertions.join(", ")),
        };
        if matches!(verdict, Verdict::Failed { .. } | Verdict::Undecided { .. }) {
            failed.push(format!("`{}`, {}: {said}", task.title(), task.property));
        }
        rows.push(vec![task.title(), task.property.into(), said, format!("{seconds:.1}")]);
        found.push(
            json!({"module": task.title(), "property": task.property, "verdict": verdict, "seconds": seconds}),
        );
        bar.inc(1);
    }
    bar.finish_and_clear();
    let text = format!(
        "{}\n{}: {} of {} hold",
        table(&["module", "property", "result", "seconds"], &rows),
        network.name,
        rows.len() - failed.len(),
        rows.len()
    );
    ui.result(
        || json!({"model": network.name, "hash": dq_net::content_hash(&network), "proofs": found}),
        text,
    )?;
    match failed.first() {
        Some(first) => bail!("{} not proved; the first: {first}", failed.len()),
        None => Ok(()),
    }
}
