//! Defines the ports of weights at the top: their names, their signals and what they are linked with.

use crate::pipeline::Stage;
use crate::rtl::{Direction, Group, Kernel, Module, any_of};
use crate::stage::weight_port;

/// Name of the instance that joins the errors of several inputs.
const ERRORS: &str = "errors";
/// Signals of one bit of a port of weights.
const SIGNALS: [(&str, Direction); 3] =
    [("tvalid", Direction::In), ("tready", Direction::Out), ("tlast", Direction::In)];

/// Describes a port of weights.
#[derive(Clone, Copy)]
pub struct WeightPort<'a> {
    /// Instance name of the node whose weights they are.
    pub node: &'a str,
    /// The stage that takes them, and its kind.
    pub stage: &'a Stage,
    pub kind: &'a weight_port::shape::WeightPort,
}

impl WeightPort<'_> {
    /// Returns the name of the file that is played in a loop.
    pub fn file(&self) -> String {
        format!("weights-{}.bin", self.node)
    }

    /// Returns its name at the top.
    pub fn name(&self) -> String {
        format!("s_axis_{}", self.node)
    }

    /// Returns the name of its `signal` at the top.
    pub fn signal(&self, signal: &str) -> String {
        format!("{}_{signal}", self.name())
    }
}

/// Lists the ports of weights, in the order of the stages.
pub fn weight_ports(stages: &[Stage]) -> impl Iterator<Item = WeightPort<'_>> {
    stages.iter().filter_map(|stage| {
        let kind = stage.kind.weight_port()?;
        let node = stage.site.name.strip_suffix(weight_port::SUFFIX).expect("the name of a port of weights");
        Some(WeightPort { node, stage, kind })
    })
}

/// Adds the signals of the ports of weights to the top.
pub fn declare(g: &mut Group, stages: &[Stage]) {
    for port in weight_ports(stages) {
        g.input(&port.signal("tdata"), port.stage.site.output.width().next_multiple_of(8));
        for (signal, direction) in SIGNALS {
            g.add_port(&port.signal(signal), 1, direction);
        }
    }
}

/// Links the ports of weights, and gives the end that says whether any input had a wrong `tlast`.
pub fn link(g: &mut Group, stages: &[Stage]) -> String {
    let mut errors = vec![format!("{}.error", stages[0].site.name)];
    for port in weight_ports(stages) {
        let name = &port.stage.site.name;
        errors.push(format!("{name}.error"));
        g.link(&port.signal("tdata"), &format!("{name}.s_axis_tdata"));
        for (signal, direction) in SIGNALS {
            let (outer, inner) = (port.signal(signal), format!("{name}.s_axis_{signal}"));
            match direction {
                Direction::In => g.link(&outer, &inner),
                Direction::Out => g.link(&inner, &outer),
            }
        }
    }
    if errors.len() == 1 {
        return errors.remove(0);
    }
    g.child(ERRORS, &any_error(errors.len()));
    for (i, error) in errors.iter().enumerate() {
        g.link(error, &format!("{ERRORS}.error{i}"));
    }
    format!("{ERRORS}.error")
}

/// Joins the errors of `inputs` inputs.
fn any_error(inputs: usize) -> Module {
    let mut k = Kernel::new("dq_errors", "Says whether any input had a wrong tlast.");
    let errors: Vec<_> = (0..inputs).map(|i| k.input(&format!("error{i}"), 1)).collect();
    let error = k.output("error", 1);
    k.drive(error, any_of(errors));
    k.build()
}
