// A FIFO with credits, which ends a stage: an operation takes a place where it issues (spend), its beat
// comes DELAY cycles later (push) and finds that place. So nothing in a stage waits but its first cycle.
//
//   free      there is a place without a beat that is not promised to one either; follows registers alone
//   spend     promises a place; only while free
//   push      brings push_data, DELAY cycles after each spend: in the same cycle where DELAY is 0
//   m_*       gives the beats in the order in which they came; an offer stays until it is taken
//
// A beat is offered in the cycle after its push, or one later out of block RAM; one beat a cycle.
// State: DEPTH beats, two pointers, the count of beats; the credit, unless DELAY and BLOCK are 0; with BLOCK
// one more beat. Contract: under FORMAL.
module dq_fifo #(
  parameter WIDTH = 8,  // Bits of a beat; at least 1.
  parameter DEPTH = 2,  // Places, those of beats on their way included; at least 2, any number.
  parameter DELAY = 0,  // Cycles from a spend to its push.
  parameter BLOCK = 0   // 1: block RAM with a register behind it. 0: a memory with a combinational read.
) (
  input  wire             clk,
  input  wire             rst,
  output wire             free,
  input  wire             spend,
  input  wire             push,
  input  wire [WIDTH-1:0] push_data,
  output wire [WIDTH-1:0] m_data,
  output wire             m_valid,
  input  wire             m_ready
);

  // No tool finds this module.
  generate
    if (WIDTH < 1 || DEPTH < 2 || DELAY < 0 || (BLOCK != 0 && BLOCK != 1)) begin : g_refused
      dq_fifo_with_refused_parameters u_refused ();
    end
  endgenerate

  localparam COUNT_BITS = $clog2(DEPTH + 1);
  localparam PLACE_BITS = $clog2(DEPTH);
  localparam [COUNT_BITS-1:0] ALL = DEPTH[COUNT_BITS-1:0];
  localparam [PLACE_BITS-1:0] LAST = ALL[PLACE_BITS-1:0] - 1'b1;
  // A counter of all bits goes from the last place to the first by itself.
  localparam WRAPS = (DEPTH & (DEPTH - 1)) == 0;

  function [PLACE_BITS-1:0] after(input [PLACE_BITS-1:0] place);
    after = (!WRAPS && (place == LAST)) ? {PLACE_BITS{1'b0}} : place + 1'b1;
  endfunction

  reg [COUNT_BITS-1:0] count_q;  // Beats in the memory.
  reg [PLACE_BITS-1:0] in_q;     // The place of the next beat that comes,
  reg [PLACE_BITS-1:0] out_q;    // and of the oldest that is there.

  wire held = |count_q;
  wire pop = m_valid & m_ready;
  wire read;  // The oldest beat leaves the memory.

  always @(posedge clk) begin
    if (push & ~read) count_q <= count_q + 1'b1;
    if (~push & read) count_q <= count_q - 1'b1;
    if (push) in_q <= after(in_q);
    if (read) out_q <= after(out_q);
    if (rst) begin
      count_q <= {COUNT_BITS{1'b0}};
      in_q <= {PLACE_BITS{1'b0}};
      out_q <= {PLACE_BITS{1'b0}};
    end
  end

  generate
    if (BLOCK != 0) begin : g_block
      // What is read was written before: tools need not see to both in one cycle.
      (* no_rw_check, ram_style = "block" *)
      reg [WIDTH-1:0] memory [0:DEPTH-1];
      reg [WIDTH-1:0] data_q;  // The beat behind the memory, while shown.
      reg             shown_q;

      always @(posedge clk) begin
        if (push) memory[in_q] <= push_data;
        if (read) data_q <= memory[out_q];
      end

      always @(posedge clk) begin
        shown_q <= read | (shown_q & ~m_ready);
        if (rst) shown_q <= 1'b0;
      end

      assign read = held & (~shown_q | m_ready);
      assign m_data = data_q;
      assign m_valid = shown_q;
    end else begin : g_logic
      reg [WIDTH-1:0] memory [0:DEPTH-1];

      always @(posedge clk) if (push) memory[in_q] <= push_data;

      assign read = pop;
      assign m_data = memory[out_q];
      assign m_valid = held;
    end
  endgenerate

  generate
    if (DELAY == 0 && BLOCK == 0) begin : g_at_once
      // All promised places hold their beats.
      wire unused_ok = &{1'b0, spend};
      assign free = count_q != ALL;
    end else begin : g_credit
      reg [COUNT_BITS-1:0] credit_q;  // Places without a beat that are not promised.

      always @(posedge clk) begin
        if (spend & ~pop) credit_q <= credit_q - 1'b1;
        if (~spend & pop) credit_q <= credit_q + 1'b1;
        if (rst) credit_q <= ALL;
      end

      assign free = |credit_q;
    end
  endgenerate

`ifdef FORMAL
  // What a stage owes this module is proved in the stage, and assumed where the module is proved alone.
`ifdef DQ_ALONE
  `define DQ_OWED assume
`else
  `define DQ_OWED assert
`endif
  reg f_past = 1'b0;
  always @(posedge clk) f_past <= 1'b1;
  always @(*) if (!f_past) assume (rst);

  // Bit d: a place was promised d cycles ago.
  reg  [DELAY:0]   f_spent_q;
  wire [DELAY+1:0] f_spent = {f_spent_q, spend};
  always @(posedge clk) f_spent_q <= rst ? 0 : f_spent[DELAY:0];
  always @(posedge clk) if (f_past && !rst) begin
    spends_what_is_free: `DQ_OWED (!spend || free);
    on_time: `DQ_OWED (push == f_spent[DELAY]);
  end

  // Every place is free, promised or taken.
  localparam f_top = $clog2(2 * DEPTH + DELAY + 2);
  integer f_d;
  reg [f_top:0] f_places;
  always @(*) begin
    f_places = count_q;
    if (BLOCK != 0) f_places = f_places + m_valid;
    for (f_d = 1; f_d <= DELAY; f_d = f_d + 1) f_places = f_places + f_spent[f_d];
  end
  always @(posedge clk) if (f_past && !rst) begin
    no_more_than_all: assert (f_places <= ALL);
    no_overflow: assert (!push || (count_q != ALL));
    read_elsewhere: assert (!(push && read && (in_q == out_q)));
  end
  generate
    if (DELAY != 0 || BLOCK != 0) begin : f_credit
      always @(posedge clk) if (f_past && !rst) places_add_up: assert (g_credit.credit_q + f_places == ALL);
    end
  endgenerate

  // The pointers are as far apart as there are beats.
  localparam [COUNT_BITS:0] f_all = {1'b0, ALL};
  wire [COUNT_BITS:0] f_end_sum = out_q + count_q;
  wire [COUNT_BITS:0] f_end = (f_end_sum >= f_all) ? f_end_sum - f_all : f_end_sum;
  always @(posedge clk) if (f_past && !rst) begin
    pointers_in_range: assert ((in_q <= LAST) && (out_q <= LAST));
    pointers_fit: assert (in_q == f_end);
  end
  always @(posedge clk) if (f_past && !rst && !$past(rst)) begin
    valid_waits_for_nothing: assert (BLOCK != 0 ? !$past(held) || m_valid : m_valid == (count_q != 0));
  end
  always @(posedge clk) if (f_past && !rst && !$past(rst) && $past(m_valid && !m_ready)) begin
    valid_stays: assert (m_valid);
    data_stays: assert (m_data == $past(m_data));
  end

`ifdef DQ_ALONE
  // One beat, any, on its way through the memory. Beats are numbered modulo more than twice DEPTH.
  (* anyconst *) reg [COUNT_BITS:0] f_number;
  reg [COUNT_BITS:0] f_come, f_gone;
  reg [WIDTH-1:0] f_word;
  always @(posedge clk) begin
    f_come <= rst ? 0 : f_come + push;
    f_gone <= rst ? 0 : f_gone + read;
    if (push && (f_come == f_number)) f_word <= push_data;
  end
  wire [COUNT_BITS:0] f_held = f_come - f_gone;
  wire [COUNT_BITS:0] f_before = f_number - f_gone;
  wire [COUNT_BITS:0] f_sum = out_q + f_before;
  wire [COUNT_BITS:0] f_place = (f_sum >= f_all) ? f_sum - f_all : f_sum;
  wire f_here = f_before < count_q;
  always @(posedge clk) if (f_past && !rst) count_is_right: assert (f_held == count_q);
  generate
    if (BLOCK != 0) begin : f_block
      wire [COUNT_BITS:0] f_shown = f_gone - 1'b1;
      always @(posedge clk) if (f_past && !rst) begin
        beat_is_kept: assert (!f_here || (g_block.memory[f_place[PLACE_BITS-1:0]] == f_word));
        beat_in_order: assert (!(m_valid && (f_shown == f_number)) || (m_data == f_word));
      end
    end else begin : f_logic
      always @(posedge clk) if (f_past && !rst) begin
        beat_is_kept: assert (!f_here || (g_logic.memory[f_place[PLACE_BITS-1:0]] == f_word));
        beat_in_order: assert (!(m_valid && (f_gone == f_number)) || (m_data == f_word));
      end
    end
  endgenerate
`endif
`endif

endmodule
