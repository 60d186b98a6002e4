// Model of iCE40's block RAM for simulation: 4 kbit, one port that writes and one that reads, 256 x 16 to
// 2048 x 2 bits.
module SB_RAM40_4K #(
  parameter WRITE_MODE = 0,
  parameter READ_MODE = 0,
  parameter INIT_FILE = "",
  parameter [255:0] INIT_0 = 256'd0,
  parameter [255:0] INIT_1 = 256'd0,
  parameter [255:0] INIT_2 = 256'd0,
  parameter [255:0] INIT_3 = 256'd0,
  parameter [255:0] INIT_4 = 256'd0,
  parameter [255:0] INIT_5 = 256'd0,
  parameter [255:0] INIT_6 = 256'd0,
  parameter [255:0] INIT_7 = 256'd0,
  parameter [255:0] INIT_8 = 256'd0,
  parameter [255:0] INIT_9 = 256'd0,
  parameter [255:0] INIT_A = 256'd0,
  parameter [255:0] INIT_B = 256'd0,
  parameter [255:0] INIT_C = 256'd0,
  parameter [255:0] INIT_D = 256'd0,
  parameter [255:0] INIT_E = 256'd0,
  parameter [255:0] INIT_F = 256'd0
) (
  output reg [15:0] RDATA,
  input wire RCLK, RCLKE, RE,
  input wire [10:0] RADDR,
  input wire WCLK, WCLKE, WE,
  input wire [10:0] WADDR,
  input wire [15:0] MASK, WDATA
);
  reg [15:0] memory [0:255];
  reg [15:0] word = 16'd0;
  reg [2:0] part = 3'd0;
  integer i, j;
  task load(input integer at, input [255:0] slice);
    for (i = 0; i < 16; i = i + 1) memory[16 * at + i] = slice[16 * i +: 16];
  endtask
  initial begin
    load(0, INIT_0);
    load(1, INIT_1);
    load(2, INIT_2);
    load(3, INIT_3);
    load(4, INIT_4);
    load(5, INIT_5);
    load(6, INIT_6);
    load(7, INIT_7);
    load(8, INIT_8);
    load(9, INIT_9);
    load(10, INIT_A);
    load(11, INIT_B);
    load(12, INIT_C);
    load(13, INIT_D);
    load(14, INIT_E);
    load(15, INIT_F);
  end

  // In mode m the lanes are groups of 2^m bits, of which the address picks one bit; its data is at bit
  // 2^(m-1) - 1 of the group.
  localparam W = 1 << WRITE_MODE, R = 1 << READ_MODE;
  localparam W_AT = WRITE_MODE == 0 ? 0 : W / 2 - 1, R_AT = READ_MODE == 0 ? 0 : R / 2 - 1;
  always @(posedge WCLK)
    if (WCLKE && WE)
      for (i = 0; i < 16; i = i + 1)
        if (WRITE_MODE == 0 ? !MASK[i] : i % W == WADDR[10:8] % W) memory[WADDR[7:0]][i] <= WDATA[i / W * W + W_AT];
  always @(posedge RCLK)
    if (RCLKE && RE) begin
      word <= memory[RADDR[7:0]];
      part <= RADDR[10:8];
    end
  always @* begin
    RDATA = 16'd0;
    for (j = 0; j < 16 / R; j = j + 1) RDATA[j * R + R_AT] = word[j * R + part % R];
  end
endmodule

// Model of iCE40 UltraPlus' single-port RAM for simulation: 256 kbit, 16384 x 16 bits, without contents at
// first.
module SB_SPRAM256KA (
  input wire [13:0] ADDRESS,
  input wire [15:0] DATAIN,
  input wire [3:0] MASKWREN,
  input wire WREN, CHIPSELECT, CLOCK, STANDBY, SLEEP, POWEROFF,
  output reg [15:0] DATAOUT
);
  reg [15:0] memory [0:16383];
  integer i;
  always @(posedge CLOCK)
    if (CHIPSELECT && !STANDBY && !SLEEP && POWEROFF) begin
      if (WREN) begin
        for (i = 0; i < 4; i = i + 1) if (MASKWREN[i]) memory[ADDRESS][4 * i +: 4] <= DATAIN[4 * i +: 4];
      end else DATAOUT <= memory[ADDRESS];
    end
endmodule
