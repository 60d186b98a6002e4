//! Plans, simulates and emits synthesizable Verilog for integer networks.
