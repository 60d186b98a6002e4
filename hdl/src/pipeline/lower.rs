//! Lowers a network: every node becomes the stages of its layer, which read each other's streams.

use super::build::{Build, Goal, Stream};
use super::detector;
use crate::names;
use crate::plan::data::{NodePlan, Plan, PlanError};
use crate::plan::wires::wires;
use crate::stage;
use crate::stage::hardware::{Hardware, Node};
use crate::stage::kind::Stage;
use crate::stage::site::Lanes;
use crate::timing::{Timing, size};
use dq_net::{Network, Wire};
use std::borrow::Cow;
use std::sync::Arc;

/// Holds a network whose parameters are shared: all stages that are made of it, for one plan or for a
/// thousand, hold the same ones.
pub struct Model<'a> {
    pub network: &'a Network,
    layers: Vec<Arc<dyn Hardware>>,
    /// Instance names of the nodes.
    names: Vec<String>,
}

/// Returns the stages of `network` under `plan`, in topological order: ingress first, egress last. FIFOs
/// that the plan leaves open have the fewest places that keep full throughput; an error where those that it
/// names deadlock.
///
/// # Panics
/// If `plan` was not checked against `network`.
pub fn stages(network: &Network, plan: &Plan) -> Result<Vec<Stage>, PlanError> {
    Model::new(network).timed(plan).map(|(stages, _)| stages)
}

impl<'a> Model<'a> {
    /// Copies the parameters of `network`, once.
    pub fn new(network: &'a Network) -> Self {
        let layers = network.nodes().iter().map(|node| stage::of_layer(&node.layer).share()).collect();
        Model { network, layers, names: names::of_nodes(network, &[]) }
    }

    /// Returns [`stages`] and their timing, which the sizes of FIFOs come from.
    pub fn timed(&self, plan: &Plan) -> Result<(Vec<Stage>, Timing), PlanError> {
        let mut stages = self.lower(plan);
        let timing = size::size(&mut stages, |stage| {
            let name = &self.network.nodes()[stage.site.node].name;
            let is_fixed = plan.node(name).is_some_and(|entry| !entry.forks.is_empty());
            (name.clone(), is_fixed || detector::is_fork(plan, stage))
        })?;
        Ok((stages, timing))
    }

    /// Lowers as [`stages`] does, but forks whose FIFOs the plan leaves open have as few places as can be,
    /// whatever comes of it.
    pub fn lower(&self, plan: &Plan) -> Vec<Stage> {
        plan.check(self.network).unwrap_or_else(|error| panic!("plan not checked: {error}"));
        let wires = wires(self.network, plan);
        let lead = plan.proved(self.network).map(|rule| rule.lead);
        let mut build = Build::new(goal(plan, lead));
        let names = match plan.detector {
            None => Cow::Borrowed(&self.names),
            Some(_) => Cow::Owned(names::of_nodes(self.network, &[detector::NAME])),
        };
        for (i, node) in self.network.nodes().iter().enumerate() {
            let entry = plan.node(&node.name).cloned().unwrap_or_else(|| NodePlan::new(&node.name));
            let (fifo, forks) = (entry.fifo, entry.forks.clone());
            (build.name, build.node, build.entry) = (names[i].clone(), i, entry);
            let sources = self.network.sources(i);
            let inputs = sources.iter().map(|&source| build.read(source)).collect();
            let mut stream = self.node(&mut build, &wires, i, inputs);
            if let Some(depth) = fifo {
                build.fix(&mut stream, depth);
            }
            if let (0, Some(squeezing)) = (i, plan.detector) {
                stream = detector::passes(&mut build, stream, wires[i].shape, squeezing);
            }
            let readers = self.network.readers(i).len();
            let least = vec![2; readers];
            build.end(stream, readers, if forks.is_empty() { &least } else { &forks });
        }
        build.stages
    }

    /// Returns the stages of node `i`, which folds as `entry` says, alone: fed with the lanes that it takes.
    /// `plan` needs no entries.
    pub fn alone(&self, plan: &Plan, i: usize, entry: &NodePlan) -> Vec<Stage> {
        let wires: Vec<Wire> = (0..=i).map(|i| self.network.wire(i)).collect();
        let mut build = Build::new(goal(plan, None));
        (build.name, build.node, build.entry) = (entry.node.clone(), i, entry.clone());
        let feed = Build::feed(Lanes::new(entry.simd, wires[self.network.sources(i)[0]].range));
        self.node(&mut build, &wires, i, vec![feed]);
        build.stages
    }

    /// Adds the stages of node `i`, which reads `inputs`, and gives its stream.
    fn node(&self, build: &mut Build, wires: &[Wire], i: usize, inputs: Vec<Stream>) -> Stream {
        let from = self.network.sources(i).iter().map(|&source| wires[source]).collect();
        self.layers[i].clone().lower(&Node { inputs, from, to: wires[i] }, build)
    }
}

fn goal(plan: &Plan, lead: Option<i64>) -> Goal {
    let detects = plan.detector.is_some();
    Goal { family: plan.family(), output: plan.output, control: plan.control, detects, lead }
}
