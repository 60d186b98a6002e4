//! Writes the links of a structure in rust-hdl's syntax tree, for rust-hdl's own printer.

use crate::rtl::ir::module::{Driver, End, Structure};
use rust_hdl::core::ast::{
    VerilogExpression, VerilogLink, VerilogLinkDetails, VerilogLiteral, VerilogStatement,
};

/// Returns the links of a structure in rust-hdl's AST: own ports are links, siblings are assignments.
pub(crate) fn links(structure: &Structure) -> Vec<VerilogStatement> {
    let name = |end: &End| match end.child {
        Some(child) => format!("{}${}", structure.children[child].0, end.port),
        None => end.port.clone(),
    };
    let statement = |sink: &End| {
        let target = name(sink);
        match &structure.drivers[sink] {
            Driver::Net(source) if source.child.is_some() && sink.child.is_some() => {
                VerilogStatement::Assignment(
                    VerilogExpression::Signal(target),
                    VerilogExpression::Signal(name(source)),
                )
            }
            Driver::Net(source) => {
                VerilogStatement::Link(vec![VerilogLink::Bidirectional(VerilogLinkDetails {
                    my_name: String::new(),
                    owner_name: target,
                    other_name: name(source),
                })])
            }
            Driver::Constant(value) => {
                let bits = value.literal().expect("tie() takes literals");
                let literal = VerilogLiteral::from(bits[0]);
                VerilogStatement::Assignment(
                    VerilogExpression::Signal(target),
                    VerilogExpression::Literal(literal),
                )
            }
        }
    };
    structure.order.iter().map(statement).collect()
}
