// Model of ECP5's block RAM for simulation: 18 kbit, two ports of 1 to 18 bits, or one that writes and one
// that reads up to 36 bits. Bits that one port writes while the other reads them are read wrong: the data
// sheet promises nothing. Each port has a register behind its data, which REGMODE puts to use.
module DP16KD #(
  parameter DATA_WIDTH_A = 18,
  parameter DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG",
  parameter REGMODE_B = "NOREG",
  parameter RESETMODE = "SYNC",
  parameter ASYNC_RESET_RELEASE = "SYNC",
  parameter CSDECODE_A = "0b000",
  parameter CSDECODE_B = "0b000",
  parameter CLKAMUX = "CLKA",
  parameter CLKBMUX = "CLKB",
  parameter WRITEMODE_A = "NORMAL",
  parameter WRITEMODE_B = "NORMAL",
  parameter GSR = "AUTO",
  parameter [319:0] INITVAL_00 = 320'd0,
  parameter [319:0] INITVAL_01 = 320'd0,
  parameter [319:0] INITVAL_02 = 320'd0,
  parameter [319:0] INITVAL_03 = 320'd0,
  parameter [319:0] INITVAL_04 = 320'd0,
  parameter [319:0] INITVAL_05 = 320'd0,
  parameter [319:0] INITVAL_06 = 320'd0,
  parameter [319:0] INITVAL_07 = 320'd0,
  parameter [319:0] INITVAL_08 = 320'd0,
  parameter [319:0] INITVAL_09 = 320'd0,
  parameter [319:0] INITVAL_0A = 320'd0,
  parameter [319:0] INITVAL_0B = 320'd0,
  parameter [319:0] INITVAL_0C = 320'd0,
  parameter [319:0] INITVAL_0D = 320'd0,
  parameter [319:0] INITVAL_0E = 320'd0,
  parameter [319:0] INITVAL_0F = 320'd0,
  parameter [319:0] INITVAL_10 = 320'd0,
  parameter [319:0] INITVAL_11 = 320'd0,
  parameter [319:0] INITVAL_12 = 320'd0,
  parameter [319:0] INITVAL_13 = 320'd0,
  parameter [319:0] INITVAL_14 = 320'd0,
  parameter [319:0] INITVAL_15 = 320'd0,
  parameter [319:0] INITVAL_16 = 320'd0,
  parameter [319:0] INITVAL_17 = 320'd0,
  parameter [319:0] INITVAL_18 = 320'd0,
  parameter [319:0] INITVAL_19 = 320'd0,
  parameter [319:0] INITVAL_1A = 320'd0,
  parameter [319:0] INITVAL_1B = 320'd0,
  parameter [319:0] INITVAL_1C = 320'd0,
  parameter [319:0] INITVAL_1D = 320'd0,
  parameter [319:0] INITVAL_1E = 320'd0,
  parameter [319:0] INITVAL_1F = 320'd0,
  parameter [319:0] INITVAL_20 = 320'd0,
  parameter [319:0] INITVAL_21 = 320'd0,
  parameter [319:0] INITVAL_22 = 320'd0,
  parameter [319:0] INITVAL_23 = 320'd0,
  parameter [319:0] INITVAL_24 = 320'd0,
  parameter [319:0] INITVAL_25 = 320'd0,
  parameter [319:0] INITVAL_26 = 320'd0,
  parameter [319:0] INITVAL_27 = 320'd0,
  parameter [319:0] INITVAL_28 = 320'd0,
  parameter [319:0] INITVAL_29 = 320'd0,
  parameter [319:0] INITVAL_2A = 320'd0,
  parameter [319:0] INITVAL_2B = 320'd0,
  parameter [319:0] INITVAL_2C = 320'd0,
  parameter [319:0] INITVAL_2D = 320'd0,
  parameter [319:0] INITVAL_2E = 320'd0,
  parameter [319:0] INITVAL_2F = 320'd0,
  parameter [319:0] INITVAL_30 = 320'd0,
  parameter [319:0] INITVAL_31 = 320'd0,
  parameter [319:0] INITVAL_32 = 320'd0,
  parameter [319:0] INITVAL_33 = 320'd0,
  parameter [319:0] INITVAL_34 = 320'd0,
  parameter [319:0] INITVAL_35 = 320'd0,
  parameter [319:0] INITVAL_36 = 320'd0,
  parameter [319:0] INITVAL_37 = 320'd0,
  parameter [319:0] INITVAL_38 = 320'd0,
  parameter [319:0] INITVAL_39 = 320'd0,
  parameter [319:0] INITVAL_3A = 320'd0,
  parameter [319:0] INITVAL_3B = 320'd0,
  parameter [319:0] INITVAL_3C = 320'd0,
  parameter [319:0] INITVAL_3D = 320'd0,
  parameter [319:0] INITVAL_3E = 320'd0,
  parameter [319:0] INITVAL_3F = 320'd0
) (
  input wire CLKA,
  input wire CEA,
  input wire OCEA,
  input wire WEA,
  input wire RSTA,
  input wire CSA0,
  input wire CSA1,
  input wire CSA2,
  input wire ADA0,
  input wire ADA1,
  input wire ADA2,
  input wire ADA3,
  input wire ADA4,
  input wire ADA5,
  input wire ADA6,
  input wire ADA7,
  input wire ADA8,
  input wire ADA9,
  input wire ADA10,
  input wire ADA11,
  input wire ADA12,
  input wire ADA13,
  input wire DIA0,
  input wire DIA1,
  input wire DIA2,
  input wire DIA3,
  input wire DIA4,
  input wire DIA5,
  input wire DIA6,
  input wire DIA7,
  input wire DIA8,
  input wire DIA9,
  input wire DIA10,
  input wire DIA11,
  input wire DIA12,
  input wire DIA13,
  input wire DIA14,
  input wire DIA15,
  input wire DIA16,
  input wire DIA17,
  output wire DOA0,
  output wire DOA1,
  output wire DOA2,
  output wire DOA3,
  output wire DOA4,
  output wire DOA5,
  output wire DOA6,
  output wire DOA7,
  output wire DOA8,
  output wire DOA9,
  output wire DOA10,
  output wire DOA11,
  output wire DOA12,
  output wire DOA13,
  output wire DOA14,
  output wire DOA15,
  output wire DOA16,
  output wire DOA17,
  input wire CLKB,
  input wire CEB,
  input wire OCEB,
  input wire WEB,
  input wire RSTB,
  input wire CSB0,
  input wire CSB1,
  input wire CSB2,
  input wire ADB0,
  input wire ADB1,
  input wire ADB2,
  input wire ADB3,
  input wire ADB4,
  input wire ADB5,
  input wire ADB6,
  input wire ADB7,
  input wire ADB8,
  input wire ADB9,
  input wire ADB10,
  input wire ADB11,
  input wire ADB12,
  input wire ADB13,
  input wire DIB0,
  input wire DIB1,
  input wire DIB2,
  input wire DIB3,
  input wire DIB4,
  input wire DIB5,
  input wire DIB6,
  input wire DIB7,
  input wire DIB8,
  input wire DIB9,
  input wire DIB10,
  input wire DIB11,
  input wire DIB12,
  input wire DIB13,
  input wire DIB14,
  input wire DIB15,
  input wire DIB16,
  input wire DIB17,
  output wire DOB0,
  output wire DOB1,
  output wire DOB2,
  output wire DOB3,
  output wire DOB4,
  output wire DOB5,
  output wire DOB6,
  output wire DOB7,
  output wire DOB8,
  output wire DOB9,
  output wire DOB10,
  output wire DOB11,
  output wire DOB12,
  output wire DOB13,
  output wire DOB14,
  output wire DOB15,
  output wire DOB16,
  output wire DOB17
);
  wire [13:0] ad_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [17:0] di_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  reg [35:0] do_a = 36'd0, register_a = 36'd0;
  wire [13:0] ad_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] di_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  reg [35:0] do_b = 36'd0, register_b = 36'd0;

  always @(posedge CLKA) if (OCEA) register_a <= RSTA ? 36'd0 : do_a;
  always @(posedge CLKB) if (OCEB) register_b <= RSTB ? 36'd0 : do_b;
  wire [35:0] out_a = REGMODE_A == "OUTREG" ? register_a : do_a;
  wire [35:0] out_b = REGMODE_B == "OUTREG" ? register_b : do_b;
  // Port B of 36 bits gives the lower half at port A.
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

  // The first bit of a word within its 36.
  function [5:0] first(input integer width, input [13:0] ad);
    case (width)
      36: first = 0;
      18: first = 18 * ad[4];
      9: first = 9 * ad[4:3];
      4: first = 9 * ad[4:3] + 4 * ad[2];
      2: first = 9 * ad[4:3] + 2 * ad[2:1];
      default: first = 9 * ad[4:3] + ad[2:0];
    endcase
  endfunction
  // The bits of a word that a port writes.
  function [35:0] lanes(input integer width, input [13:0] ad);
    case (width)
      36: lanes = {{9{ad[3]}}, {9{ad[2]}}, {9{ad[1]}}, {9{ad[0]}}};
      18: lanes = {18'd0, {9{ad[1]}}, {9{ad[0]}}};
      default: lanes = (36'd1 << width) - 36'd1;
    endcase
  endfunction

  reg [35:0] memory [0:511];
  integer i;
  task load(input integer at, input [319:0] slice);
    for (i = 0; i < 8; i = i + 1) memory[8 * at + i] = {slice[40 * i + 20 +: 18], slice[40 * i +: 18]};
  endtask
  initial begin
    load(0, INITVAL_00);
    load(1, INITVAL_01);
    load(2, INITVAL_02);
    load(3, INITVAL_03);
    load(4, INITVAL_04);
    load(5, INITVAL_05);
    load(6, INITVAL_06);
    load(7, INITVAL_07);
    load(8, INITVAL_08);
    load(9, INITVAL_09);
    load(10, INITVAL_0A);
    load(11, INITVAL_0B);
    load(12, INITVAL_0C);
    load(13, INITVAL_0D);
    load(14, INITVAL_0E);
    load(15, INITVAL_0F);
    load(16, INITVAL_10);
    load(17, INITVAL_11);
    load(18, INITVAL_12);
    load(19, INITVAL_13);
    load(20, INITVAL_14);
    load(21, INITVAL_15);
    load(22, INITVAL_16);
    load(23, INITVAL_17);
    load(24, INITVAL_18);
    load(25, INITVAL_19);
    load(26, INITVAL_1A);
    load(27, INITVAL_1B);
    load(28, INITVAL_1C);
    load(29, INITVAL_1D);
    load(30, INITVAL_1E);
    load(31, INITVAL_1F);
    load(32, INITVAL_20);
    load(33, INITVAL_21);
    load(34, INITVAL_22);
    load(35, INITVAL_23);
    load(36, INITVAL_24);
    load(37, INITVAL_25);
    load(38, INITVAL_26);
    load(39, INITVAL_27);
    load(40, INITVAL_28);
    load(41, INITVAL_29);
    load(42, INITVAL_2A);
    load(43, INITVAL_2B);
    load(44, INITVAL_2C);
    load(45, INITVAL_2D);
    load(46, INITVAL_2E);
    load(47, INITVAL_2F);
    load(48, INITVAL_30);
    load(49, INITVAL_31);
    load(50, INITVAL_32);
    load(51, INITVAL_33);
    load(52, INITVAL_34);
    load(53, INITVAL_35);
    load(54, INITVAL_36);
    load(55, INITVAL_37);
    load(56, INITVAL_38);
    load(57, INITVAL_39);
    load(58, INITVAL_3A);
    load(59, INITVAL_3B);
    load(60, INITVAL_3C);
    load(61, INITVAL_3D);
    load(62, INITVAL_3E);
    load(63, INITVAL_3F);
  end

  wire write_a = CEA && WEA;
  wire [35:0] mask_a = write_a ? lanes(DATA_WIDTH_A, ad_a) << first(DATA_WIDTH_A, ad_a) : 36'd0;
  wire [35:0] data_a = (DATA_WIDTH_A == 36 ? {di_b, di_a} : {18'd0, di_a}) << first(DATA_WIDTH_A, ad_a);
  wire [35:0] word_a = memory[ad_a[13:5]];
  wire [35:0] wrong_a = ad_a[13:5] == ad_b[13:5] ? mask_b : 36'd0;
  wire write_b = CEB && WEB;
  wire [35:0] mask_b = write_b ? lanes(DATA_WIDTH_B, ad_b) << first(DATA_WIDTH_B, ad_b) : 36'd0;
  wire [35:0] data_b = {18'd0, di_b} << first(DATA_WIDTH_B, ad_b);
  wire [35:0] word_b = memory[ad_b[13:5]];
  wire [35:0] wrong_b = ad_b[13:5] == ad_a[13:5] ? mask_a : 36'd0;

  wire [35:0] next_a = WRITEMODE_A == "WRITETHROUGH" ? (word_a & ~mask_a) | (data_a & mask_a) : word_a;
  always @(posedge CLKA) begin
    for (i = 0; i < 36; i = i + 1) if (mask_a[i]) memory[ad_a[13:5]][i] <= data_a[i];
    if (RSTA) do_a <= 36'd0;
    else if (CEA && !(WEA && WRITEMODE_A == "NORMAL"))
      do_a <= ((next_a ^ wrong_a) >> first(DATA_WIDTH_A, ad_a)) & ((36'd1 << DATA_WIDTH_A) - 36'd1);
  end
  wire [35:0] next_b = WRITEMODE_B == "WRITETHROUGH" ? (word_b & ~mask_b) | (data_b & mask_b) : word_b;
  always @(posedge CLKB) begin
    for (i = 0; i < 36; i = i + 1) if (mask_b[i]) memory[ad_b[13:5]][i] <= data_b[i];
    if (RSTB) do_b <= 36'd0;
    else if (CEB && !(WEB && WRITEMODE_B == "NORMAL"))
      do_b <= ((next_b ^ wrong_b) >> first(DATA_WIDTH_B, ad_b)) & ((36'd1 << DATA_WIDTH_B) - 36'd1);
  end
endmodule

// Model of ECP5's multiplier as synthesis uses it: no registers, operands side by side, no cascade.
module MULT18X18D (
  input wire A17, input wire A16, input wire A15, input wire A14, input wire A13, input wire A12,
  input wire A11, input wire A10, input wire A9, input wire A8, input wire A7, input wire A6,
  input wire A5, input wire A4, input wire A3, input wire A2, input wire A1, input wire A0,
  input wire B17, input wire B16, input wire B15, input wire B14, input wire B13, input wire B12,
  input wire B11, input wire B10, input wire B9, input wire B8, input wire B7, input wire B6,
  input wire B5, input wire B4, input wire B3, input wire B2, input wire B1, input wire B0,
  input wire C17, input wire C16, input wire C15, input wire C14, input wire C13, input wire C12,
  input wire C11, input wire C10, input wire C9, input wire C8, input wire C7, input wire C6,
  input wire C5, input wire C4, input wire C3, input wire C2, input wire C1, input wire C0,
  input wire SIGNEDA, input wire SIGNEDB, input wire SOURCEA, input wire SOURCEB,
  output wire P35, output wire P34, output wire P33, output wire P32, output wire P31, output wire P30,
  output wire P29, output wire P28, output wire P27, output wire P26, output wire P25, output wire P24,
  output wire P23, output wire P22, output wire P21, output wire P20, output wire P19, output wire P18,
  output wire P17, output wire P16, output wire P15, output wire P14, output wire P13, output wire P12,
  output wire P11, output wire P10, output wire P9, output wire P8, output wire P7, output wire P6,
  output wire P5, output wire P4, output wire P3, output wire P2, output wire P1, output wire P0
);
  wire signed [18:0] a = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire signed [18:0] b = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  wire signed [37:0] product = a * b;
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];
endmodule
