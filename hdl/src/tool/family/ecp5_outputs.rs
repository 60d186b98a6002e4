//! Moves the flip-flops behind ECP5's block RAMs into the RAMs' own output registers, which Yosys leaves unused.
//! A block RAM gives a word 5.6 ns after the clock, its register 1 ns after it (nextpnr's figures), and the way
//! from the RAM to a flip-flop, wherever that is placed, is gone.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// Number of data outputs of a port.
const OUTPUTS: usize = 18;

/// The cells of a module, by name, as Yosys's JSON has them.
type Cells = Map<String, Value>;

/// A port of a block RAM that reads: where its data, its clock and its registers are.
struct Port {
    /// Names of the sides whose outputs have the data.
    sides: &'static [&'static str],
    /// Name of the side whose clock and reset count.
    clock: &'static str,
}

/// What tells flip-flops apart that a register can stand for: their clock and their enable.
#[derive(Clone, PartialEq)]
struct Control {
    clock: Value,
    enable: Value,
}

/// What reads a bit.
enum User {
    /// The data input of a flip-flop of this name.
    FlipFlop(String),
    /// Anything else, or several.
    Other,
}

/// Moves the flip-flops of a netlist, Yosys's JSON of flattened modules.
pub(super) fn absorb(netlist: &mut Value) {
    for (_, module) in netlist["modules"].as_object_mut().into_iter().flatten() {
        let ports = module["ports"].clone();
        if let Some(cells) = module["cells"].as_object_mut() {
            let mut users = users(cells, &ports);
            let rams =
                cells.iter().filter(|(_, cell)| cell["type"] == "DP16KD").map(|(name, _)| name.clone());
            for ram in rams.collect::<Vec<_>>() {
                for port in ports_of(&cells[&ram]) {
                    absorb_port(cells, &ram, port, &mut users);
                }
            }
        }
    }
}

/// Returns what reads each bit that a block RAM gives.
fn users(cells: &Cells, ports: &Value) -> HashMap<u64, User> {
    let rams = cells.values().filter(|cell| cell["type"] == "DP16KD");
    let outputs = rams.flat_map(|ram| ["A", "B"].into_iter().flat_map(|side| outputs(ram, side)));
    let mut users: HashMap<u64, Option<User>> = outputs.map(|(_, bit)| (bit, None)).collect();
    let mut add = |bits: &Value, user: &dyn Fn() -> User| {
        for bit in bits.as_array().into_iter().flatten().filter_map(Value::as_u64) {
            if let Some(found) = users.get_mut(&bit) {
                *found = Some(if found.is_none() { user() } else { User::Other });
            }
        }
    };
    for (name, cell) in cells {
        for (port, bits) in cell["connections"].as_object().into_iter().flatten() {
            if cell["port_directions"][port] != "output" {
                let is_data = cell["type"] == "TRELLIS_FF" && port == "DI";
                add(bits, &|| if is_data { User::FlipFlop(name.clone()) } else { User::Other });
            }
        }
    }
    for (_, port) in ports.as_object().into_iter().flatten().filter(|(_, port)| port["direction"] != "input")
    {
        add(&port["bits"], &|| User::Other);
    }
    users.into_iter().filter_map(|(bit, user)| Some((bit, user?))).collect()
}

/// Returns the ports of a block RAM. One that reads 36 bits is one port: its lower half comes out at side A.
fn ports_of(ram: &Value) -> Vec<Port> {
    let width = |side: &str| {
        let width = ram["parameters"][format!("DATA_WIDTH_{side}")].as_str();
        width.and_then(|width| usize::from_str_radix(width.trim(), 2).ok())
    };
    match (width("A"), width("B")) {
        (Some(_), Some(36)) => vec![Port { sides: &["A", "B"], clock: "B" }],
        (Some(_), Some(_)) => {
            vec![Port { sides: &["A"], clock: "A" }, Port { sides: &["B"], clock: "B" }]
        }
        _ => vec![],
    }
}

/// Returns the data outputs of a side that are connected, with their bits.
fn outputs(ram: &Value, side: &str) -> Vec<(String, u64)> {
    let output = |i| {
        let name = format!("DO{side}{i}");
        let bit = ram["connections"][&name][0].as_u64()?;
        Some((name, bit))
    };
    (0..OUTPUTS).filter_map(output).collect()
}

/// Moves the flip-flops behind one port, if each of its bits goes to one, all of the same control.
fn absorb_port(cells: &mut Cells, ram: &str, port: Port, users: &mut HashMap<u64, User>) -> Option<()> {
    let cell = &cells[ram];
    let pin = |name: String| cell["connections"][name][0].clone();
    let read: Vec<(String, u64)> = port.sides.iter().flat_map(|side| outputs(cell, side)).collect();
    let read: Vec<_> = read.into_iter().filter(|(_, bit)| users.contains_key(bit)).collect();
    let behind = read.iter().map(|(_, bit)| match &users[bit] {
        User::FlipFlop(name) => Some(name.clone()),
        User::Other => None,
    });
    let behind: Vec<String> = behind.collect::<Option<_>>()?;
    let controls: Vec<Control> = behind.iter().map(|name| control(&cells[name])).collect::<Option<_>>()?;
    let control = controls.first()?.clone();
    let is_same = controls.iter().all(|other| *other == control);
    let has_reset = pin(format!("RST{}", port.clock)) != "0";
    if !is_same || has_reset || pin(format!("CLK{}", port.clock)) != control.clock {
        return None;
    }
    for ((output, bit), name) in read.into_iter().zip(behind) {
        let flip_flop = cells.remove(&name)?;
        users.remove(&bit);
        cells[ram]["connections"][output] = flip_flop["connections"]["Q"].clone();
    }
    for side in port.sides {
        cells[ram]["parameters"][format!("REGMODE_{side}")] = "OUTREG".into();
        cells[ram]["connections"][format!("OCE{side}")] = Value::Array(vec![control.enable.clone()]);
    }
    Some(())
}

/// Returns the control of a flip-flop that is neither set nor reset, on a rising edge.
fn control(flip_flop: &Value) -> Option<Control> {
    let parameter = |name: &str| flip_flop["parameters"][name].as_str().unwrap_or_default().trim();
    let pin = |name: &str| flip_flop["connections"][name][0].clone();
    let has_reset = !(pin("LSR") == "0" || pin("LSR").is_null());
    if parameter("CLKMUX") != "CLK" || has_reset || parameter("REGSET") != "RESET" {
        return None;
    }
    let enable = match parameter("CEMUX") {
        "1" => "1".into(),
        "CE" => pin("CE"),
        _ => return None,
    };
    Some(Control { clock: pin("CLK"), enable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Makes a RAM of two outputs, bits 10 and 11, and a flip-flop behind each.
    fn netlist() -> Value {
        let flip_flop = |from: u64| {
            json!({
                "type": "TRELLIS_FF",
                "parameters": { "CEMUX": "CE", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET" },
                "port_directions": { "CE": "input", "CLK": "input", "DI": "input", "LSR": "input", "Q": "output" },
                "connections": { "CE": [3], "CLK": [2], "DI": [from], "LSR": ["0"], "Q": [from + 10] },
            })
        };
        let ram = json!({
            "type": "DP16KD",
            "parameters": { "DATA_WIDTH_A": "010010", "DATA_WIDTH_B": "100100", "REGMODE_B": "NOREG" },
            "port_directions": { "CLKB": "input", "RSTB": "input", "DOA0": "output", "DOB1": "output", "DOB2": "output" },
            "connections": {
                "CLKB": [2], "RSTB": ["0"], "OCEA": ["0"], "OCEB": ["1"], "DOA0": [10], "DOB1": [11], "DOB2": [12],
            },
        });
        json!({ "modules": { "top": {
            "ports": { "y": { "direction": "output", "bits": [20, 21] } },
            "cells": { "ram": ram, "a": flip_flop(10), "b": flip_flop(11) },
        } } })
    }

    fn absorbed(mut netlist: Value) -> (usize, Value) {
        absorb(&mut netlist);
        let cells = netlist["modules"]["top"]["cells"].take();
        (cells.as_object().unwrap().len(), cells["ram"].clone())
    }

    #[test]
    fn flip_flops_become_the_registers_of_both_halves() {
        let (cells, ram) = absorbed(netlist());
        assert_eq!(cells, 1);
        assert_eq!(
            (&ram["parameters"]["REGMODE_A"], &ram["parameters"]["REGMODE_B"]),
            (&"OUTREG".into(), &"OUTREG".into())
        );
        let connections = &ram["connections"];
        for (pin, bit) in [("DOA0", 20), ("DOB1", 21), ("DOB2", 12), ("OCEA", 3), ("OCEB", 3)] {
            assert_eq!(connections[pin], json!([bit]), "{pin}");
        }
    }

    #[test]
    fn what_a_register_cannot_do_stays() {
        let change = |pointer: &str, value: Value| {
            let mut netlist = netlist();
            *netlist["modules"]["top"].pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
            let (cells, ram) = absorbed(netlist);
            (cells, ram["parameters"]["REGMODE_B"].clone())
        };
        let stays = (3, Value::from("NOREG"));
        assert_eq!(change("/cells/a/connections/LSR", json!([5])), stays, "a reset");
        assert_eq!(change("/cells/b/connections/CE", json!([5])), stays, "enables that differ");
        assert_eq!(change("/cells/a/connections/CLK", json!([5])), stays, "clocks that differ");
        assert_eq!(change("/cells/a/parameters/REGSET", json!("SET")), stays, "a start of one");
        assert_eq!(change("/cells/a/parameters/CLKMUX", json!("INV")), stays, "a falling edge");
        assert_eq!(change("/cells/ram/connections/RSTB", json!([5])), stays, "a reset of the RAM");
        assert_eq!(change("/cells/ram/connections/CLKB", json!([5])), stays, "another clock");
        assert_eq!(change("/ports/y/bits", json!([10, 21])), stays, "an output that sees the word itself");
        assert_eq!(change("/cells/b/connections/DI", json!([10])), stays, "two flip-flops of a bit");
        assert_eq!(change("/cells/a/type", json!("LUT4")), stays, "logic between");
        let both = change("/cells/ram/parameters/DATA_WIDTH_B", json!("010010"));
        assert_eq!(both, (2, "OUTREG".into()), "sides of their own: A's clock is not B's");
    }
}
