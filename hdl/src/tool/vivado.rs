//! Writes scripts for AMD's Vivado beside the emitted Verilog: an AXI4-Stream IP, out-of-context synthesis,
//! the clock. They are plain Tcl of commands that have been there for many versions. The tool is not freely
//! available, so they are only run by Tcl with its commands as stubs, which check their arguments.

use crate::circuit::{testbench, wrapper};
use crate::design::Design;
use crate::emit::{Emission, File};

/// Returns the files `package_ip.tcl`, `ooc.tcl`, `constraints.xdc`. The IP is of the module that [`wrapper`]
/// writes, which `emission` must hold.
pub fn files(design: &Design, emission: &Emission, part: &str) -> Vec<File> {
    let sources: Vec<&str> = emission.files.iter().map(|file| file.name.as_str()).collect();
    let of = |suffix: &str| {
        let names = sources.iter().filter(|name| name.ends_with(suffix) && !testbench::is_file(name));
        names.copied().collect::<Vec<_>>().join(" ")
    };
    let (verilog, images) = (of(".v"), of(".mem"));
    // The period is in ps, rounded down: never slower than the plan's clock.
    let period = 1_000_000 / design.plan.clock_mhz;
    let nanoseconds = format!("{}.{:03}", period / 1_000, period % 1_000);
    let package = format!(
        "# Packages top_axi as an IP with AXI4-Stream interfaces: vivado -mode batch -source package_ip.tcl\n\
         create_project -force dq_ip dq_ip -part {part}\n\
         # Vivado packages files into one folder, so there the memories are filled from files without one.\n\
         set sources {{}}\n\
         file mkdir dq_ip/sources\n\
         foreach name {{{verilog}}} {{\n\
         \x20 set from [open $name]\n\
         \x20 set to [open dq_ip/sources/$name w]\n\
         \x20 puts -nonewline $to [regsub -all {{images/[^/\"]+/}} [read $from] {{}}]\n\
         \x20 close $from\n\
         \x20 close $to\n\
         \x20 lappend sources dq_ip/sources/$name\n\
         }}\n\
         foreach name {{{images}}} {{\n\
         \x20 file copy -force $name dq_ip/sources\n\
         \x20 lappend sources dq_ip/sources/[file tail $name]\n\
         }}\n\
         add_files -norecurse $sources\n\
         set_property top {top} [current_fileset]\n\
         update_compile_order -fileset sources_1\n\
         ipx::package_project -root_dir dq_ip/ip -vendor dq -library dq -taxonomy /UserIP -import_files \
         -force\n\
         set core [ipx::current_core]\n\
         set_property name dq_network $core\n\
         set_property version 1.0 $core\n\
         set_property description {{{description}}} $core\n\
         # The interfaces and their clock follow from the ports' names and attributes.\n\
         ipx::update_checksums $core\n\
         ipx::save_core $core\n",
        top = wrapper::MODULE,
        description = format_args!("Integer network, hash {}", emission.report.network),
    );
    let ooc = format!(
        "# Out-of-context synthesis and implementation: vivado -mode batch -source ooc.tcl\n\
         read_verilog {{{verilog}}}\n\
         {read_images}\
         read_xdc -mode out_of_context constraints.xdc\n\
         synth_design -top top -part {part} -mode out_of_context\n\
         opt_design\n\
         place_design\n\
         route_design\n\
         report_utilization -hierarchical -file utilization.rpt\n\
         report_timing_summary -file timing.rpt\n\
         write_checkpoint -force top.dcp\n",
        read_images = if images.is_empty() { String::new() } else { format!("read_mem {{{images}}}\n") },
    );
    let constraints = format!(
        "# The plan's clock, {} MHz.\ncreate_clock -name clk -period {nanoseconds} [get_ports clk]\n",
        design.plan.clock_mhz
    );
    [("package_ip.tcl", package), ("ooc.tcl", ooc), ("constraints.xdc", constraints)]
        .map(|(name, text)| File { name: name.into(), text })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::emit;
    use crate::plan::{self, Control, Output};
    use crate::tool::run::write_file;
    use std::io::Write;
    use std::process::Command;

    /// Vivado's commands as stubs: each checks that the files and the top that it names are there.
    const STUBS: &str = r#"
proc there {names} { foreach name $names { if {![file exists $name]} { error "no file $name" } } }
proc log {args} { lappend ::said [join $args] }
proc create_project {args} { log create_project {*}$args }
proc add_files {args} { there [lindex $args end]; log add_files }
proc read_verilog {names} { there $names; log read_verilog }
proc read_mem {names} { there $names; log read_mem }
proc read_xdc {args} { there [list [lindex $args end]]; uplevel #0 [list source [lindex $args end]]; log read_xdc }
proc current_fileset {} { return sources_1 }
proc set_property {name value object} { if {$name eq "top"} { there [list $value.v] }; log set $name $value }
proc update_compile_order {args} {}
proc synth_design {args} { there [list [dict get [lrange $args 0 3] -top].v]; log synth_design }
proc create_clock {args} { log clock [dict get [lrange $args 0 3] -period] }
proc get_ports {name} {
  set file [open top.v]; set text [read $file]; close $file
  if {![regexp "input +wire +$name," $text]} { error "no port $name" }
}
foreach name {opt_design place_design route_design} { proc $name {} [list log $name] }
foreach name {report_utilization report_timing_summary write_checkpoint} { proc $name {args} [list log $name] }
namespace eval ipx {
  proc package_project {args} { log package }
  proc current_core {} { return core }
  proc update_checksums {core} {}
  proc save_core {core} { log save $core }
}
source $script
puts [join $said "\n"]
"#;

    /// Runs a script by Tcl; none, said aloud, where there is no Tcl.
    fn run(script: &str, folder: &std::path::Path) -> Option<String> {
        std::fs::write(folder.join("stubs.tcl"), format!("set script {script}\nset said {{}}\n{STUBS}"))
            .unwrap();
        let output = Command::new("tclsh").arg("stubs.tcl").current_dir(folder).output();
        let Ok(output) = output else {
            let _ =
                writeln!(std::io::stderr(), "\nSKIPPED a test: no tclsh on PATH runs the scripts for Vivado");
            return None;
        };
        let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{script}: {text}");
        Some(text)
    }

    #[test]
    fn tcl_runs_the_scripts_on_the_files_that_are_emitted() {
        let network = dq_net::topology::build("lenet", 1).unwrap();
        for control in [Control::None, Control::Load] {
            let mut plan = plan::default(&network, Output::Scores).unwrap();
            plan.control = control;
            let design = Design::new(&network, &plan).unwrap();
            let mut emission = emit(&design);
            emission.files.push(wrapper::file(&design, &emission));
            emission.files.extend(files(&design, &emission, "xc7z020clg400-1"));
            let folder = tempfile::tempdir().unwrap();
            for file in &emission.files {
                write_file(folder.path(), &file.name, &file.text).unwrap();
            }
            let Some(packaged) = run("package_ip.tcl", folder.path()) else { return };
            assert!(packaged.contains("set top top_axi") && packaged.contains("save core"), "{packaged}");
            // Each memory of the IP is filled from a file beside its module.
            let sources = folder.path().join("dq_ip/sources");
            let text = |name: &str| std::fs::read_to_string(sources.join(name)).unwrap();
            let modules = emission.files.iter().map(|file| &file.name);
            let modules = modules.filter(|name| name.ends_with(".v") && !testbench::is_file(name));
            let texts: String = modules.map(|name| text(name)).collect();
            let images: Vec<&str> =
                texts.split("$readmemh(\"").skip(1).map(|at| at.split('"').next().unwrap()).collect();
            assert!(!images.is_empty());
            for image in images {
                assert!(!image.contains('/') && sources.join(image).is_file(), "{image}");
            }
            let built = run("ooc.tcl", folder.path()).unwrap();
            for step in [
                "clock 10.000",
                "read_verilog",
                "read_mem",
                "synth_design",
                "route_design",
                "write_checkpoint",
            ] {
                assert!(built.contains(step), "{step}: {built}");
            }
            // Every source is named, and nothing that is not one.
            let script = |name: &str| &emission.files.iter().find(|file| file.name == name).unwrap().text;
            for File { name, .. } in emission.files.iter().filter(|file| !file.name.ends_with(".xdc")) {
                let is_source = (name.ends_with(".v") || name.ends_with(".mem")) && !testbench::is_file(name);
                for of in ["package_ip.tcl", "ooc.tcl"] {
                    assert_eq!(script(of).contains(name.as_str()), is_source || name == of, "{of}: {name}");
                }
            }
        }
    }
}
