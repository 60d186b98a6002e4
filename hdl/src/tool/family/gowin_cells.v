// Models of Gowin's cells of which Yosys has none, for simulation, as synthesis uses them: block RAMs without
// output register and block select, reset synchronous; multipliers without registers and cascade.

// What all block RAMs share: 16 kbit, or 18 in bytes of 9 bits, and two ports that read and write. Bits that
// one port writes while the other reads them are read wrong: the data sheet promises nothing.
module dq_gowin_ram #(
  parameter BYTE = 8,
  parameter WIDTH_A = 32,
  parameter WIDTH_B = 32,
  parameter [1:0] MODE_A = 0,
  parameter [1:0] MODE_B = 0,
  parameter [2048*BYTE-1:0] INIT = 0
) (
  input wire clk_a, ce_a, we_a, rst_a,
  input wire [13:0] ad_a,
  input wire [35:0] di_a,
  output reg [35:0] do_a,
  input wire clk_b, ce_b, we_b, rst_b,
  input wire [13:0] ad_b,
  input wire [35:0] di_b,
  output reg [35:0] do_b
);
  localparam ROW = 4 * BYTE;
  reg [ROW-1:0] memory [0:511];
  integer i;
  initial begin
    for (i = 0; i < 512; i = i + 1) memory[i] = INIT[i * ROW +: ROW];
    do_a = 36'd0;
    do_b = 36'd0;
  end

  // The first bit of a word within its row.
  function [5:0] first(input integer width, input [13:0] ad);
    case (width)
      4 * BYTE: first = 0;
      2 * BYTE: first = 2 * BYTE * ad[4];
      BYTE: first = BYTE * ad[4:3];
      4: first = BYTE * ad[4:3] + 4 * ad[2];
      2: first = BYTE * ad[4:3] + 2 * ad[2:1];
      default: first = BYTE * ad[4:3] + ad[2:0];
    endcase
  endfunction
  // The bits of a word that a port writes: wide words have write enables in the low bits of their address.
  function [35:0] lanes(input integer width, input [13:0] ad);
    case (width)
      4 * BYTE: lanes = {{BYTE{ad[3]}}, {BYTE{ad[2]}}, {BYTE{ad[1]}}, {BYTE{ad[0]}}};
      2 * BYTE: lanes = {{BYTE{ad[1]}}, {BYTE{ad[0]}}};
      default: lanes = (36'd1 << width) - 36'd1;
    endcase
  endfunction

  wire [35:0] mask_a = ce_a && we_a ? lanes(WIDTH_A, ad_a) << first(WIDTH_A, ad_a) : 36'd0;
  wire [35:0] mask_b = ce_b && we_b ? lanes(WIDTH_B, ad_b) << first(WIDTH_B, ad_b) : 36'd0;
  wire [35:0] data_a = di_a << first(WIDTH_A, ad_a);
  wire [35:0] data_b = di_b << first(WIDTH_B, ad_b);
  wire [35:0] word_a = memory[ad_a[13:5]];
  wire [35:0] word_b = memory[ad_b[13:5]];
  wire [35:0] wrong_a = ad_a[13:5] == ad_b[13:5] ? mask_b : 36'd0;
  wire [35:0] wrong_b = ad_b[13:5] == ad_a[13:5] ? mask_a : 36'd0;
  // Mode 0 reads nothing while it writes, 1 the new word, 2 the old one.
  wire [35:0] next_a = MODE_A == 2'd1 ? (word_a & ~mask_a) | (data_a & mask_a) : word_a;
  wire [35:0] next_b = MODE_B == 2'd1 ? (word_b & ~mask_b) | (data_b & mask_b) : word_b;

  always @(posedge clk_a) begin
    for (i = 0; i < ROW; i = i + 1) if (mask_a[i]) memory[ad_a[13:5]][i] <= data_a[i];
    if (rst_a) do_a <= 36'd0;
    else if (ce_a && !(we_a && MODE_A == 2'd0))
      do_a <= ((next_a ^ wrong_a) >> first(WIDTH_A, ad_a)) & ((36'd1 << WIDTH_A) - 36'd1);
  end
  always @(posedge clk_b) begin
    for (i = 0; i < ROW; i = i + 1) if (mask_b[i]) memory[ad_b[13:5]][i] <= data_b[i];
    if (rst_b) do_b <= 36'd0;
    else if (ce_b && !(we_b && MODE_B == 2'd0))
      do_b <= ((next_b ^ wrong_b) >> first(WIDTH_B, ad_b)) & ((36'd1 << WIDTH_B) - 36'd1);
  end
endmodule

// One port that reads and writes.
module SP #(
  parameter READ_MODE = 0,
  parameter WRITE_MODE = 0,
  parameter BIT_WIDTH = 32,
  parameter BLK_SEL = 0,
  parameter RESET_MODE = "SYNC",
  parameter [255:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [255:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [255:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [255:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [255:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [255:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [255:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [255:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [255:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [255:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [255:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [255:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [255:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [255:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [255:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [255:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLK, CE, OCE, WRE, RESET,
  input wire [2:0] BLKSEL,
  input wire [13:0] AD,
  input wire [31:0] DI,
  output wire [31:0] DO
);
  wire [35:0] word;
  assign DO = word[31:0];
  dq_gowin_ram #(
    .BYTE(8), .WIDTH_A(BIT_WIDTH), .WIDTH_B(1), .MODE_A(WRITE_MODE), .MODE_B(0),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLK), .ce_a(CE), .we_a(WRE), .rst_a(RESET), .ad_a(AD), .di_a({4'd0, DI}), .do_a(word),
    .clk_b(1'b0), .ce_b(1'b0), .we_b(1'b0), .rst_b(1'b0), .ad_b(14'd0), .di_b(36'd0), .do_b()
  );
endmodule

// One port that reads and writes.
module SPX9 #(
  parameter READ_MODE = 0,
  parameter WRITE_MODE = 0,
  parameter BIT_WIDTH = 36,
  parameter BLK_SEL = 0,
  parameter RESET_MODE = "SYNC",
  parameter [287:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [287:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [287:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [287:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [287:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [287:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [287:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [287:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [287:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [287:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [287:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [287:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [287:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [287:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [287:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [287:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLK, CE, OCE, WRE, RESET,
  input wire [2:0] BLKSEL,
  input wire [13:0] AD,
  input wire [35:0] DI,
  output wire [35:0] DO
);
  wire [35:0] word;
  assign DO = word[35:0];
  dq_gowin_ram #(
    .BYTE(9), .WIDTH_A(BIT_WIDTH), .WIDTH_B(1), .MODE_A(WRITE_MODE), .MODE_B(0),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLK), .ce_a(CE), .we_a(WRE), .rst_a(RESET), .ad_a(AD), .di_a(DI), .do_a(word),
    .clk_b(1'b0), .ce_b(1'b0), .we_b(1'b0), .rst_b(1'b0), .ad_b(14'd0), .di_b(36'd0), .do_b()
  );
endmodule

// One port that writes and one that reads.
module SDPB #(
  parameter READ_MODE = 0,
  parameter BIT_WIDTH_0 = 32,
  parameter BIT_WIDTH_1 = 32,
  parameter BLK_SEL_0 = 0,
  parameter BLK_SEL_1 = 0,
  parameter RESET_MODE = "SYNC",
  parameter [255:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [255:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [255:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [255:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [255:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [255:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [255:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [255:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [255:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [255:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [255:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [255:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [255:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [255:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [255:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [255:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE,
  input wire [2:0] BLKSELA, BLKSELB,
  input wire [13:0] ADA, ADB,
  input wire [31:0] DI,
  output wire [31:0] DO
);
  wire [35:0] word;
  assign DO = word[31:0];
  dq_gowin_ram #(
    .BYTE(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(0), .MODE_B(0),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLKA), .ce_a(CEA), .we_a(1'b1), .rst_a(RESETA), .ad_a(ADA), .di_a({4'd0, DI}), .do_a(),
    .clk_b(CLKB), .ce_b(CEB), .we_b(1'b0), .rst_b(RESETB), .ad_b(ADB), .di_b(36'd0), .do_b(word)
  );
endmodule

// One port that writes and one that reads.
module SDPX9B #(
  parameter READ_MODE = 0,
  parameter BIT_WIDTH_0 = 36,
  parameter BIT_WIDTH_1 = 36,
  parameter BLK_SEL_0 = 0,
  parameter BLK_SEL_1 = 0,
  parameter RESET_MODE = "SYNC",
  parameter [287:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [287:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [287:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [287:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [287:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [287:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [287:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [287:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [287:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [287:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [287:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [287:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [287:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [287:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [287:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [287:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE,
  input wire [2:0] BLKSELA, BLKSELB,
  input wire [13:0] ADA, ADB,
  input wire [35:0] DI,
  output wire [35:0] DO
);
  wire [35:0] word;
  assign DO = word[35:0];
  dq_gowin_ram #(
    .BYTE(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(0), .MODE_B(0),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLKA), .ce_a(CEA), .we_a(1'b1), .rst_a(RESETA), .ad_a(ADA), .di_a(DI), .do_a(),
    .clk_b(CLKB), .ce_b(CEB), .we_b(1'b0), .rst_b(RESETB), .ad_b(ADB), .di_b(36'd0), .do_b(word)
  );
endmodule

// Two ports that read and write.
module DPB #(
  parameter READ_MODE0 = 0, READ_MODE1 = 0,
  parameter WRITE_MODE0 = 0, WRITE_MODE1 = 0,
  parameter BIT_WIDTH_0 = 16, BIT_WIDTH_1 = 16,
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0,
  parameter RESET_MODE = "SYNC",
  parameter [255:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [255:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [255:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [255:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [255:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [255:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [255:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [255:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [255:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [255:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [255:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [255:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [255:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [255:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [255:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [255:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLKA, CEA, OCEA, WREA, RESETA, CLKB, CEB, OCEB, WREB, RESETB,
  input wire [2:0] BLKSELA, BLKSELB,
  input wire [13:0] ADA, ADB,
  input wire [15:0] DIA, DIB,
  output wire [15:0] DOA, DOB
);
  wire [35:0] word_a, word_b;
  assign DOA = word_a[15:0];
  assign DOB = word_b[15:0];
  dq_gowin_ram #(
    .BYTE(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(WRITE_MODE0), .MODE_B(WRITE_MODE1),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLKA), .ce_a(CEA), .we_a(WREA), .rst_a(RESETA), .ad_a(ADA), .di_a({20'd0, DIA}), .do_a(word_a),
    .clk_b(CLKB), .ce_b(CEB), .we_b(WREB), .rst_b(RESETB), .ad_b(ADB), .di_b({20'd0, DIB}), .do_b(word_b)
  );
endmodule

// Two ports that read and write.
module DPX9B #(
  parameter READ_MODE0 = 0, READ_MODE1 = 0,
  parameter WRITE_MODE0 = 0, WRITE_MODE1 = 0,
  parameter BIT_WIDTH_0 = 18, BIT_WIDTH_1 = 18,
  parameter BLK_SEL_0 = 0, BLK_SEL_1 = 0,
  parameter RESET_MODE = "SYNC",
  parameter [287:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0,
  parameter [287:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0,
  parameter [287:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
  parameter [287:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0,
  parameter [287:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
  parameter [287:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
  parameter [287:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0,
  parameter [287:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0,
  parameter [287:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
  parameter [287:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
  parameter [287:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0,
  parameter [287:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
  parameter [287:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0,
  parameter [287:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0,
  parameter [287:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
  parameter [287:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0
) (
  input wire CLKA, CEA, OCEA, WREA, RESETA, CLKB, CEB, OCEB, WREB, RESETB,
  input wire [2:0] BLKSELA, BLKSELB,
  input wire [13:0] ADA, ADB,
  input wire [17:0] DIA, DIB,
  output wire [17:0] DOA, DOB
);
  wire [35:0] word_a, word_b;
  assign DOA = word_a[17:0];
  assign DOB = word_b[17:0];
  dq_gowin_ram #(
    .BYTE(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(WRITE_MODE0), .MODE_B(WRITE_MODE1),
    .INIT({INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A,
      INIT_RAM_39, INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34,
      INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E,
      INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22,
      INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C,
      INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
      INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A,
      INIT_RAM_09, INIT_RAM_08, INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04,
      INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00})
  ) ram (
    .clk_a(CLKA), .ce_a(CEA), .we_a(WREA), .rst_a(RESETA), .ad_a(ADA), .di_a({18'd0, DIA}), .do_a(word_a),
    .clk_b(CLKB), .ce_b(CEB), .we_b(WREB), .rst_b(RESETB), .ad_b(ADB), .di_b({18'd0, DIB}), .do_b(word_b)
  );
endmodule

module MULT9X9 #(
  parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input wire [8:0] A, SIA, B, SIB,
  input wire ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output wire [17:0] DOUT,
  output wire [8:0] SOA, SOB
);
  wire signed [9:0] a = {ASIGN & A[8], A};
  wire signed [9:0] b = {BSIGN & B[8], B};
  wire signed [19:0] product = a * b;
  assign DOUT = product[17:0];
  assign SOA = 9'd0;
  assign SOB = 9'd0;
endmodule

module MULT18X18 #(
  parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input wire [17:0] A, SIA, B, SIB,
  input wire ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output wire [35:0] DOUT,
  output wire [17:0] SOA, SOB
);
  wire signed [18:0] a = {ASIGN & A[17], A};
  wire signed [18:0] b = {BSIGN & B[17], B};
  wire signed [37:0] product = a * b;
  assign DOUT = product[35:0];
  assign SOA = 18'd0;
  assign SOB = 18'd0;
endmodule
