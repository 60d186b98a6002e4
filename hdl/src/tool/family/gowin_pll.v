// The PLL that a board's wrapper uses, for simulation: the clock goes through, and is stable at once.
module rPLL #(
  parameter FCLKIN = "100.0",
  parameter IDIV_SEL = 0,
  parameter FBDIV_SEL = 0,
  parameter ODIV_SEL = 8
) (
  input wire CLKIN,
  input wire CLKFB,
  input wire RESET,
  input wire RESET_P,
  input wire [5:0] FBDSEL,
  input wire [5:0] IDSEL,
  input wire [5:0] ODSEL,
  input wire [3:0] PSDA,
  input wire [3:0] DUTYDA,
  input wire [3:0] FDLY,
  output wire CLKOUT,
  output wire LOCK
);
  assign CLKOUT = CLKIN;
  assign LOCK = 1'b1;
endmodule
