//! Checks what every list of named nodes must satisfy, whatever its layers: names, and inputs that come
//! before their use.

use crate::error::{Fault, NetworkError};
use crate::shape::MAX_ELEMENTS;
use std::collections::HashMap;

/// Largest number of nodes of a network.
pub const MAX_NODES: usize = 4096;

/// Checks names and inputs of nodes given as `(name, input names)` in topological order; returns each node's
/// inputs as positions. Every node but the last must be read by some later node.
pub fn resolve<'a>(
    nodes: impl ExactSizeIterator<Item = (&'a str, &'a [String])>,
) -> Result<Vec<Vec<usize>>, NetworkError> {
    let count = nodes.len();
    if count == 0 || count > MAX_NODES {
        let fault = Fault::new("nodes", format!("1 to {MAX_NODES} nodes"), count);
        return Err(NetworkError::at("(network)", fault));
    }
    let mut position = HashMap::new();
    let mut resolved = Vec::with_capacity(count);
    let mut names = Vec::with_capacity(count);
    for (i, (name, inputs)) in nodes.enumerate() {
        check_name(name).map_err(|fault| NetworkError::at(format!("#{i}"), fault))?;
        let found = inputs
            .iter()
            .map(|input| {
                position.get(input.as_str()).copied().ok_or_else(|| {
                    let fault = Fault::new("inputs", "names of earlier nodes", format!("`{input}`"));
                    NetworkError::at(name, fault)
                })
            })
            .collect::<Result<Vec<usize>, _>>()?;
        if position.insert(name, i).is_some() {
            return Err(NetworkError::at(name, Fault::new("name", "a name used once", "it twice")));
        }
        resolved.push(found);
        names.push(name);
    }
    let mut read = vec![false; count];
    resolved.iter().flatten().for_each(|&i| read[i] = true);
    if let Some(i) = (0..count - 1).find(|&i| !read[i]) {
        let fault = Fault::new("name", "a node that a later node reads", "a result that is never used");
        return Err(NetworkError::at(names[i], fault));
    }
    Ok(resolved)
}

/// Checks a network's own name, which goes into file heads, tables and reports.
pub fn check_network_name(name: &str) -> Result<(), NetworkError> {
    let ok = (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c));
    let shown: String = name.chars().take(80).collect();
    let rule = "1 to 128 letters, digits, `-`, `_` or `.`";
    if ok {
        Ok(())
    } else {
        Err(NetworkError::at("(network)", Fault::new("name", rule, format!("{shown:?}"))))
    }
}

/// Checks that all feature maps together fit a machine's memory. `elements` are the elements of each.
pub fn check_total(node: &str, elements: impl Iterator<Item = usize>) -> Result<(), NetworkError> {
    let total: usize = elements.sum();
    if total <= MAX_ELEMENTS {
        return Ok(());
    }
    let rule = "at most 2^26 elements in all feature maps up to here";
    Err(NetworkError::at(node, Fault::new("shape", rule, total)))
}

/// Checks a node's name. Names become Verilog identifiers and file names: lower case, so that they differ on
/// every file system.
fn check_name(name: &str) -> Result<(), Fault> {
    let ok = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let shown: String = name.chars().take(80).collect();
    let rule = "a lower-case letter, then letters, digits or `_`, at most 64";
    if ok { Ok(()) } else { Err(Fault::new("name", rule, format!("`{shown}`"))) }
}
