//! Places and routes by nextpnr: its options, the cells that do not fit, its report.

use super::FlowError;
use crate::board::Board;
use crate::tool::family::{Flow, Target};
use crate::tool::run::{self, RunError, Watch};
use crate::tool::synthesis::NETLIST;
use crate::tool::{self, Tool};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// Names a resource of which more is used than the device has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{used} {kind} needed, {there} there ({} too many)", used - there)]
pub struct Over {
    /// Name of the resource, as the tool has it.
    pub kind: String,
    /// Number that is needed.
    pub used: u64,
    /// Number that the device has.
    pub there: u64,
}

/// Counts cells of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Number of cells that are used.
    pub used: u64,
    /// Number of cells that the device has.
    pub available: u64,
}

/// Describes the slowest path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticalPath {
    /// The cell where it starts.
    pub from: String,
    /// The cell where it ends.
    pub to: String,
}

/// Holds what place and route says.
pub(super) struct Placed {
    pub fmax_khz: u64,
    pub critical_path: Option<CriticalPath>,
    pub utilization: BTreeMap<String, Used>,
}

/// Holds the best of some seeds.
pub(super) struct Best {
    pub seed: u64,
    pub placed: Placed,
    /// The clock in kHz that each seed gives that was tried.
    pub tried: BTreeMap<u64, u64>,
}

/// Runs the router for a board, in a folder with the netlist and the constraints file.
pub(super) struct Router<'a> {
    pub tool: Tool,
    pub board: &'a Board,
    pub flow: &'static Flow,
    pub target: &'a Target<'a>,
    pub folder: &'a Path,
}

impl<'a> Router<'a> {
    /// Finds the router of `flow`.
    pub fn new(
        board: &'a Board,
        flow: &'static Flow,
        target: &'a Target<'a>,
        folder: &'a Path,
    ) -> Result<Self, RunError> {
        Ok(Router { tool: tool::find(flow.router)?, board, flow, target, folder })
    }

    /// Tries the seeds from 1 to `seeds`, `jobs` of them at a time, until one gives `khz`; returns the best: the
    /// same whatever `jobs` is.
    pub fn best(&self, seeds: u64, jobs: usize, khz: u64, watch: Watch) -> Result<Best, FlowError> {
        let all: Vec<u64> = (1..=seeds.max(1)).collect();
        let mut best: Option<(u64, Placed)> = None;
        let mut tried = BTreeMap::new();
        'all: for wave in all.chunks(jobs.max(1)) {
            for (seed, placed) in wave.iter().zip(self.wave(wave, khz, watch)) {
                // One that was stopped comes after one that gives the clock.
                let Some(placed) = placed? else { break };
                let met = placed.fmax_khz >= khz;
                tried.insert(*seed, placed.fmax_khz);
                if best.as_ref().is_none_or(|(_, old)| placed.fmax_khz > old.fmax_khz) {
                    best = Some((*seed, placed));
                }
                if met {
                    break 'all;
                }
            }
        }
        let (seed, placed) = best.expect("at least one seed");
        Ok(Best { seed, placed, tried })
    }

    /// Places and routes with each of these seeds side by side. As soon as one gives `khz`, those after it are
    /// stopped: `None`.
    fn wave(&self, seeds: &[u64], khz: u64, watch: Watch) -> Vec<Result<Option<Placed>, FlowError>> {
        let first_met = AtomicU64::new(u64::MAX);
        let place = |seed: u64| {
            let is_late = || first_met.load(Ordering::SeqCst) < seed;
            match self.place(seed, &|what| watch(what) || is_late()) {
                Err(FlowError::Run(RunError::Stopped(_))) if is_late() => Ok(None),
                Err(error) => Err(error),
                Ok(placed) => {
                    if placed.fmax_khz >= khz {
                        first_met.fetch_min(seed, Ordering::SeqCst);
                    }
                    Ok(Some(placed))
                }
            }
        };
        std::thread::scope(|scope| {
            let placed: Vec<_> = seeds.iter().map(|&seed| scope.spawn(move || place(seed))).collect();
            placed.into_iter().map(|thread| thread.join().expect("place and route does not panic")).collect()
        })
    }

    /// Places and routes with `seed`; writes `routed<seed>`.
    fn place(&self, seed: u64, watch: Watch) -> Result<Placed, FlowError> {
        let Router { tool, board, flow, target, folder } = self;
        let (log, report) = (format!("route{seed}.log"), format!("report{seed}.json"));
        let (seed, routed) = (seed.to_string(), format!("routed{seed}"));
        let options = (flow.options)(target, &routed);
        let mut args = vec!["--json", NETLIST, "--seed", &seed, "--report", &report, "--log", &log];
        args.extend(["--timing-allow-fail", "-q"]);
        args.extend(options.iter().map(String::as_str));
        let ran = run::run(tool, &args, folder, &log, watch);
        if let Err(RunError::Failed { .. }) = ran {
            let text = fs::read_to_string(folder.join(&log)).unwrap_or_default();
            let over = overflows(&text);
            if !over.is_empty() {
                return Err(FlowError::Overflow { device: board.device.name, over });
            }
        }
        ran?;
        Ok(read_report(&folder.join(&report))?)
    }
}

/// Resources above 100 % in nextpnr's table, whose lines are `Info: KIND: USED/ AVAILABLE PERCENT%`.
fn overflows(log: &str) -> Vec<Over> {
    let parse = |line: &str| -> Option<Over> {
        let line = line.strip_prefix("Info:")?.trim();
        let (kind, rest) = line.split_once(':')?;
        let (used, rest) = rest.trim().split_once('/')?;
        let there = rest.split_whitespace().next()?;
        let over = Over { kind: kind.into(), used: used.trim().parse().ok()?, there: there.parse().ok()? };
        (rest.trim_end().ends_with('%') && over.used > over.there).then_some(over)
    };
    log.lines().filter_map(parse).collect()
}

fn read_report(path: &Path) -> Result<Placed, RunError> {
    let missing = |expected| RunError::Report { path: path.into(), expected };
    let text = run::read(path)?;
    let report: Value = serde_json::from_str(&text).map_err(|_| missing("JSON"))?;
    let clocks = report["fmax"].as_object().ok_or_else(|| missing("`fmax`"))?;
    let fmax = clocks.iter().filter_map(|(name, clock)| Some((name, clock["achieved"].as_f64()?)));
    let slowest = fmax.min_by(|a, b| a.1.total_cmp(&b.1)).ok_or_else(|| missing("a clock in `fmax`"))?;
    let used =
        |value: &Value| Some(Used { used: value["used"].as_u64()?, available: value["available"].as_u64()? });
    let utilization = report["utilization"].as_object().ok_or_else(|| missing("`utilization`"))?;
    let utilization = utilization.iter().filter_map(|(kind, value)| Some((kind.clone(), used(value)?)));
    let utilization = utilization.filter(|(_, used)| used.used > 0).collect();
    // The path is the one within the slowest clock.
    let paths = report["critical_paths"].as_array().cloned().unwrap_or_default();
    let within = |path: &&Value| {
        let end = |end: &str| path[end].as_str().is_some_and(|text| text.ends_with(slowest.0.as_str()));
        end("from") && end("to")
    };
    let critical_path = paths.iter().find(within).and_then(|path| {
        let steps = path["path"].as_array()?;
        let cell = |step: Option<&Value>, end: &str| Some(step?[end]["cell"].as_str()?.to_owned());
        Some(CriticalPath { from: cell(steps.first(), "from")?, to: cell(steps.last(), "to")? })
    });
    Ok(Placed { fmax_khz: (slowest.1 * 1_000.0) as u64, critical_path, utilization })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Stands for nextpnr: of each seed it says another clock, and the slower it is the later.
    const ROUTER: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --seed) seed="$2" ;; --report) report="$2" ;; esac
  shift
done
case $seed in 1) fmax=40; sleep 0.3 ;; 2) fmax=55; sleep 0.2 ;; 3) fmax=60 ;; *) fmax=30; sleep 30 ;; esac
echo "{\"fmax\": {\"core\": {\"achieved\": $fmax}}, \"utilization\": {}, \"critical_paths\": []}" > "$report"
"#;

    #[test]
    fn as_many_seeds_as_wanted_at_a_time_give_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("router");
        fs::write(&program, ROUTER).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let board = Board::find("ulx3s").unwrap();
        let (flow, target) = (board.flow().0, board.target(50_000_000));
        let tool = Tool { name: "nextpnr-ecp5", program, env: vec![] };
        let router = Router { tool, board: &board, flow, target: &target, folder: folder.path() };
        for jobs in [1, 2, 4] {
            // Seed 2 is the first that gives 50 MHz; seed 4, which takes long, is stopped or never begins.
            let best = router.best(4, jobs, 50_000, &|_| false).unwrap();
            assert_eq!((best.seed, best.placed.fmax_khz), (2, 55_000), "{jobs} at a time");
            assert_eq!(best.tried, [(1, 40_000), (2, 55_000)].into(), "{jobs} at a time");
            let best = router.best(3, jobs, 100_000, &|_| false).unwrap();
            assert_eq!(best.seed, 3, "{jobs} at a time: the best where none gives the clock");
            assert_eq!(best.tried, [(1, 40_000), (2, 55_000), (3, 60_000)].into(), "{jobs} at a time");
        }
        let stopped = router.best(3, 2, 50_000, &|_| true);
        assert!(matches!(stopped, Err(FlowError::Run(RunError::Stopped(_)))));
    }

    #[test]
    fn overflows_are_read_from_the_table() {
        let log = "Info: Device utilisation:\nInfo: \t         ICESTORM_LC:  7000/ 5280   132%\n\
                   Info: \t        ICESTORM_RAM:    12/   30    40%\nERROR: Unable to place cell\n";
        let over = overflows(log);
        assert_eq!(over, [Over { kind: "ICESTORM_LC".into(), used: 7000, there: 5280 }]);
        assert_eq!(over[0].to_string(), "7000 ICESTORM_LC needed, 5280 there (1720 too many)");
    }
}
