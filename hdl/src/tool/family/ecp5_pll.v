// The PLL that a board's wrapper uses, for simulation: the clock goes through, and is stable at once.
module EHXPLLL #(
  parameter CLKI_DIV = 1,
  parameter CLKFB_DIV = 1,
  parameter CLKOP_DIV = 1,
  parameter CLKOP_CPHASE = 0,
  parameter CLKOP_FPHASE = 0,
  parameter CLKOP_ENABLE = "ENABLED",
  parameter CLKOS_ENABLE = "DISABLED",
  parameter CLKOS2_ENABLE = "DISABLED",
  parameter CLKOS3_ENABLE = "DISABLED",
  parameter FEEDBK_PATH = "CLKOP",
  parameter PLLRST_ENA = "DISABLED",
  parameter INTFB_WAKE = "DISABLED",
  parameter STDBY_ENABLE = "DISABLED",
  parameter DPHASE_SOURCE = "DISABLED",
  parameter OUTDIVIDER_MUXA = "DIVA",
  parameter OUTDIVIDER_MUXB = "DIVB",
  parameter OUTDIVIDER_MUXC = "DIVC",
  parameter OUTDIVIDER_MUXD = "DIVD"
) (
  input wire CLKI,
  input wire CLKFB,
  output wire CLKOP,
  output wire LOCK,
  input wire RST,
  input wire STDBY,
  input wire PHASESEL0,
  input wire PHASESEL1,
  input wire PHASEDIR,
  input wire PHASESTEP,
  input wire PHASELOADREG,
  input wire PLLWAKESYNC,
  input wire ENCLKOP
);
  assign CLKOP = CLKI;
  assign LOCK = 1'b1;
endmodule
