"""Builds an emitted circuit with a simulator and runs judge.py on it.

Usage: run.py RTL MODULE SIMULATOR FRAMES BUILD"""

import sys
from pathlib import Path

from cocotb_tools.runner import get_results, get_runner


def main():
    rtl, module, simulator, count, build = sys.argv[1:]
    rtl, build = Path(rtl).resolve(), Path(build).resolve()
    sources = [rtl / name for name in {f"{module}.v": 0, **dict.fromkeys((rtl / "files.f").read_text().split())}]
    runner = get_runner(simulator)
    options = {"verilator": ["-Wno-fatal", "-O0"], "icarus": ["-g2012"]}[simulator]
    runner.build(sources=sources, hdl_toplevel=module, build_dir=build, build_args=options, timescale=("1ns", "1ps"))
    # The ROM images are read from where the simulator runs.
    results = runner.test(hdl_toplevel=module, test_module="judge", build_dir=build, test_dir=rtl,
                          results_xml=str(build / "results.xml"), timescale=("1ns", "1ps"),
                          extra_env={"DQ_RTL": str(rtl), "DQ_FRAMES": count, "COCOTB_LOG_LEVEL": "ERROR",
                                     "PYTHONPATH": str(Path(__file__).parent)})
    tests, failed = get_results(results)
    print(f"{tests - failed} of {tests} tests pass")
    sys.exit(failed > 0 or tests == 0)


main()
