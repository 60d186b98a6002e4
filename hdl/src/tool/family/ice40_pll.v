// The PLL that a board's wrapper uses, for simulation: the clock goes through, and is stable at once.
module SB_PLL40_PAD #(
  parameter FEEDBACK_PATH = "SIMPLE",
  parameter DIVR = 0,
  parameter DIVF = 0,
  parameter DIVQ = 0,
  parameter FILTER_RANGE = 0
) (
  input wire PACKAGEPIN,
  output wire PLLOUTGLOBAL,
  output wire LOCK,
  input wire RESETB,
  input wire BYPASS
);
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign LOCK = 1'b1;
endmodule
