// @banner@
// Self-checking testbench of top: @frames@ frames back to back, first with source and sink always open (words and
// cycles are compared), then under pseudo-random stalls of both (words are compared). Prints PASS or FAIL.
// Cycle 0 is @first_cycle@.
// Runs in the folder that holds it, where the memory images are read.
`default_nettype none

module tb;
  reg clk;
  initial clk = 1'b0;
  always begin
    #5;
    clk = !clk;
  end

  // Vectors: input beats, expected words and their cycles.
@memories@
  // Nothing runs before every image is there, and every word of the vectors with it: each is read over zeros and over
  // ones, so that a word that its file lacks differs.
  integer i;
  integer file;
  integer lacking;
  initial begin
    lacking = 0;
@images@@loads@    if (lacking != 0) begin
      $display("FAIL: %0d images or words of the vectors are missing or unknown", lacking);
      $finish;
    end
  end

  reg rst;
  reg [2:0] reset_count;
  reg stalled;
  reg s_valid;
  reg m_ready;
  reg [31:0] noise;
  reg [63:0] cycle;
  reg [31:0] errors;
  reg [31:0] compared;
  reg [@in_at_top@:0] in_at;       // input beat
  reg [@in_tail_top@:0] in_tail;   // its place in the frame
  reg in_done;
  reg [@out_at_top@:0] out_at;     // output beat
  reg [@out_tail_top@:0] out_tail; // its place in the frame
  initial begin
    rst = 1'b1;
    reset_count = 3'd0;
    stalled = 1'b0;
    s_valid = 1'b0;
    m_ready = 1'b0;
    noise = 32'd1;
    cycle = 64'd0;
    errors = 32'd0;
    compared = 32'd0;
    in_at = @in_at_bits@'d0;
    in_tail = @in_tail_bits@'d0;
    in_done = 1'b0;
    out_at = @out_at_bits@'d0;
    out_tail = @out_tail_bits@'d0;
  end
@weight_wires@
  wire s_ready;
  wire m_valid;
  wire m_last;
  wire error;
  wire [@out_top@:0] m_data;
@boot_wires@@control_wires@  wire s_last = in_tail == @in_tail_bits@'d@frame_in_top@;
  wire wanted_last = out_tail == @out_tail_bits@'d@frame_out_top@;
  wire in_ends = in_at == @in_at_bits@'d@beats_in_top@;
  wire out_ends = out_at == @out_at_bits@'d@beats_out_top@;
  wire given = s_valid && s_ready;
  wire taken = m_valid && m_ready;
  wire wrong_data = (m_data !== words[out_at]) || (m_last !== wanted_last);
  wire wrong = wrong_data || (!stalled && (cycle !== cycles[out_at])) || (error !== 1'b0);
  wire unknown = (^{s_ready, m_valid}) === 1'bx;

  top dut (
    .clk(clk),
    .rst(rst),
    .s_axis_tdata(frames[in_at]),
    .s_axis_tvalid(s_valid),
    .s_axis_tready(s_ready),
    .s_axis_tlast(s_last),
    .m_axis_tdata(@m_data@),
@user_port@    .m_axis_tvalid(m_valid),
    .m_axis_tready(m_ready),
    .m_axis_tlast(m_last),
@boot_ports@@weight_ports@@control@    .error(error)
  );

  always @(posedge clk) begin
@boot_clocked@    noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};
    if (rst) begin
      reset_count <= reset_count + 3'd1;
      in_at <= @in_at_bits@'d0;
      in_tail <= @in_tail_bits@'d0;
      in_done <= 1'b0;
      out_at <= @out_at_bits@'d0;
      out_tail <= @out_tail_bits@'d0;
      cycle <= 64'd0;
      if (reset_count == 3'd7) begin
        rst <= 1'b0;
        s_valid <= 1'b1;
        m_ready <= 1'b1;
@weight_begin@      end
    end else@running@ begin
      cycle <= cycle + 64'd1;
@weight_clocked@      m_ready <= !stalled || noise[7];
      // A beat that was offered stays until it moves.
      if (!s_valid || s_ready) s_valid <= !in_done && !(given && in_ends) && (!stalled || noise[0]);
      if (given) begin
        in_at <= in_ends ? @in_at_bits@'d0 : in_at + @in_at_bits@'d1;
        in_tail <= s_last ? @in_tail_bits@'d0 : in_tail + @in_tail_bits@'d1;
        if (in_ends) in_done <= 1'b1;
      end
      if (taken) begin
        out_at <= out_ends ? @out_at_bits@'d0 : out_at + @out_at_bits@'d1;
        out_tail <= wanted_last ? @out_tail_bits@'d0 : out_tail + @out_tail_bits@'d1;
        compared <= compared + 32'd1;
        if (wrong) begin
          errors <= errors + 32'd1;
          $display("beat %0d, cycle %0d: %h, tlast %b, error %b; expected %h, %b, cycle %0d", out_at, cycle, m_data,
                   m_last, error, words[out_at], wanted_last, cycles[out_at]);
        end
      end
      if (unknown) begin
        $display("FAIL: cycle %0d: s_axis_tready is %b, m_axis_tvalid is %b", cycle, s_ready, m_valid);
        $finish;
      end else if (cycle == 64'd@limit@) begin
        $display("FAIL: no end after %0d cycles", cycle);
        $finish;
      end else if (taken && out_ends) begin
        if (!stalled) begin
          // Second pass.
          rst <= 1'b1;
          reset_count <= 3'd0;
          stalled <= 1'b1;
          s_valid <= 1'b0;
          m_ready <= 1'b0;
@weight_end@        end else begin
          if ((errors == 32'd0) && !wrong && (compared == 32'd@beats_before_last@))
            $display("PASS: %0d beats compared", compared + 32'd1);
          else $display("FAIL: wrong beats");
          $finish;
        end
      end
    end
  end
endmodule

`default_nettype wire
