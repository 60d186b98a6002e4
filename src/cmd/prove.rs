//! Implements `dq prove`: proves the contracts of a circuit's stages on the Verilog that is emitted.

use crate::shared::model::{ModelArg, topologies_such_as};
use crate::shared::plan::PlanArgs;
use crate::shared::table::table;
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::design::Design;
use dq_hdl::emit;
use dq_hdl::formal::{self, Kept, Prover, Task, Verdict};
use rayon::prelude::*;
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
/// Independent modules are proved side by side, one on each thread. What was proved is kept in
/// the user's cache under the hash of Verilog, ROM images, parameters and tools, so that after
/// a change of one layer, or Ctrl-C, only what is new is proved.
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
    /// Prove again what was proved before.
    #[arg(long)]
    again: bool,
}

/// What came of one task.
struct Answer {
    verdict: Verdict,
    /// Whether it was proved by an earlier call.
    kept: bool,
    seconds: f64,
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
    // Where the environment names no cache, every proof is made.
    let cache = dq_hdl::tool::cache_folder().ok();
    let kept = cache.map(|cache| Kept::open(&cache.join("proofs"), &prover));
    let prove = |task: &Task| args.prove(ui, &prover, kept.as_ref(), task).inspect(|_| bar.inc(1));
    let answers = tasks.par_iter().map(prove).collect::<Result<Vec<_>>>();
    bar.finish_and_clear();
    let (mut rows, mut found, mut failed) = (vec![], vec![], vec![]);
    for (task, Answer { verdict, kept, seconds }) in tasks.iter().zip(answers?) {
        let said = match &verdict {
            Verdict::Proved { steps } => format!("proved, {steps}-induction"),
            Verdict::Bounded { cycles } => format!("holds for {cycles} cycles"),
            Verdict::Undecided { seconds } => format!("UNDECIDED in {seconds} s"),
            Verdict::Failed { assertions } => format!("FAILED: {}", assertions.join(", ")),
        };
        if !verdict.is_proof() {
            failed.push(format!("`{}`, {}: {said}", task.title(), task.property));
        }
        let time = if kept { "kept".into() } else { format!("{seconds:.1}") };
        rows.push(vec![task.title(), task.property.into(), said, time]);
        found.push(json!({"module": task.title(), "property": task.property, "verdict": verdict,
            "kept": kept, "seconds": seconds}));
    }
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

impl Args {
    /// Finds or makes one proof.
    fn prove(&self, ui: &Ui, prover: &Prover, kept: Option<&Kept>, task: &Task) -> Result<Answer> {
        let stopped = "what was proved so far is kept; the same command goes on";
        ui.check_stop(stopped)?;
        let start = Instant::now();
        let found = match kept {
            Some(kept) if !self.again => kept.find(prover, task)?,
            _ => None,
        };
        let is_kept = found.is_some();
        let verdict = match found {
            Some(verdict) => verdict,
            None => {
                let verdict = prover.prove(task);
                // Ctrl-C reaches the tools as well, which then fail.
                ui.check_stop(stopped)?;
                let verdict = verdict?;
                if let Some(kept) = kept {
                    kept.keep(prover, task, &verdict)?;
                }
                verdict
            }
        };
        Ok(Answer { verdict, kept: is_kept, seconds: start.elapsed().as_secs_f64() })
    }
}
