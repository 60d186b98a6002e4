//! Reads bytes as an attack's report and merges it with another one. Each step succeeds or is refused.
#![no_main]

use dq_sim::attack::merge::merge;
use dq_sim::report::{Report, Shard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(found) = serde_json::from_slice::<Report>(data) else { return };
    let mut other: Report =
        serde_json::from_str(include_str!("../../sim/tests/report.json")).expect("a sound report");
    other.shard = Some(Shard { index: 2, count: 2 });
    _ = merge(vec![found.clone(), other.clone()]);
    _ = merge(vec![other, found]);
});
