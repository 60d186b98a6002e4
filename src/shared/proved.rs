//! Makes the rule by which labels are proved within a radius, for commands that judge scores by it.

use super::table::thousands;
use anyhow::{Result, ensure};
use dq_net::Network;
use dq_net::proved::ProvedRadius;

/// Returns the rule for labels of `network` within `radius`; an error where no label could be proved.
pub fn rule(network: &Network, radius: u8) -> Result<ProvedRadius> {
    let rule = ProvedRadius::new(network, radius);
    ensure!(
        rule.is_possible(network),
        "--proved-radius {radius}: expected a network some scores of which can lead by {}, found none: no label of \
         {} would be proved (`model.normalization` aol bounds a network)",
        thousands(rule.lead as u64),
        network.name
    );
    Ok(rule)
}
