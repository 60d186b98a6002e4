//! Writes scripts for AMD's Vivado beside the emitted Verilog: an AXI4-Stream IP, out-of-context synthesis,
//! the clock. They are plain Tcl of commands that have been there for many versions. They are never run here:
//! the tool is not freely available.

use crate::circuit::testbench;
use crate::design::Design;
use crate::emit::{Emission, File};

/// Returns the files `package_ip.tcl`, `ooc.tcl`, `constraints.xdc`.
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
    let add_images =
        if images.is_empty() { String::new() } else { format!("add_files -norecurse {{{images}}}\n") };
    let control = if design.has_control() {
        "ipx::associate_bus_interfaces -busif s_axil -clock clk [ipx::current_core]\n"
    } else {
        ""
    };
    let package = format!(
        "# Packages top as an IP with AXI4-Stream interfaces: vivado -mode batch -source package_ip.tcl\n\
         create_project -force dq_ip dq_ip -part {part}\n\
         add_files -norecurse {{{verilog}}}\n{add_images}\
         set_property top top [current_fileset]\n\
         update_compile_order -fileset sources_1\n\
         ipx::package_project -root_dir dq_ip/ip -vendor dq -library dq -taxonomy /UserIP -import_files \
         -force\n\
         set core [ipx::current_core]\n\
         set_property name dq_network $core\n\
         set_property version 1.0 $core\n\
         set_property description {{{description}}} $core\n\
         ipx::infer_bus_interface clk xilinx.com:signal:clock_rtl:1.0 $core\n\
         ipx::infer_bus_interface rst xilinx.com:signal:reset_rtl:1.0 $core\n\
         set_property value ACTIVE_HIGH [ipx::add_bus_parameter POLARITY [ipx::get_bus_interfaces rst \
         -of_objects $core]]\n\
         ipx::associate_bus_interfaces -busif s_axis -clock clk $core\n\
         ipx::associate_bus_interfaces -busif m_axis -clock clk $core\n{control}\
         ipx::update_checksums $core\n\
         ipx::save_core $core\n",
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
    use crate::plan;
    use crate::plan::Output;

    #[test]
    fn scripts_name_every_file_and_close_what_they_open() {
        let network = dq_net::topology::build("lenet@1/4", 1).unwrap();
        let design = Design::new(&network, &plan::default(&network, Output::Scores).unwrap()).unwrap();
        let emission = emit(&design);
        let files = files(&design, &emission, "xc7z020clg400-1");
        assert!(files[2].text.contains("-period 10.000 "));
        for script in &files {
            for (open, close) in [('{', '}'), ('[', ']')] {
                let count = |c| script.text.matches(c).count();
                assert_eq!(count(open), count(close), "{}", script.name);
            }
        }
        for file in emission.files.iter().filter(|file| !testbench::is_file(&file.name)) {
            let wanted = file.name.ends_with(".v") || file.name.ends_with(".mem");
            for script in &files[..2] {
                assert_eq!(script.text.contains(&file.name), wanted, "{}: {}", script.name, file.name);
            }
        }
    }
}
