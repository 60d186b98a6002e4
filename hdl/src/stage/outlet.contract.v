//! What an output FIFO promises: every beat that was promised a place comes a fixed time later and finds it;
//! beats leave as they came, in order, none lost and none twice; what is offered stays until it is taken.

//@ on time at once
// A place that is promised is filled after a fixed time.
always @(*) if (!rst) on_time%s%: assert (f_push%s% == f_spend%s%);
//@ on time
// A place that is promised is filled after a fixed time.
reg [%delay_top%:0] f_spent%s%;
always @(posedge clk) if (rst) f_spent%s% <= 0; else f_spent%s% <= %shifted%;
always @(posedge clk) if (f_past%s% && !rst) on_time%s%: assert (f_push%s% == f_spent%s%[%delay_top%]);
//@ places
wire [%wide%:0] f_places%s% = %places%;
always @(posedge clk) if (f_past%s% && !rst) begin
  places_add_up%s%: assert (f_places%s% == %wider%'d%depth%);
  no_overflow%s%: assert (!f_push%s% || (count%s%_q < %bits%'d%depth%));
end
always @(*) valid_waits_for_nothing%s%: assert (m%s%_valid == %valid%);
//@ order
// One beat, any, on its way through the memory.
(* anyconst *) reg [%bits%:0] f_number%s%;
reg [%bits%:0] f_come%s%;
reg [%bits%:0] f_gone%s%;
always @(posedge clk) if (rst) begin
  f_come%s% <= 0;
  f_gone%s% <= 0;
end else begin
  f_come%s% <= f_come%s% + {%bits%'d0, f_push%s%};
  f_gone%s% <= f_gone%s% + {%bits%'d0, pop%s%};
end
wire [%bits%:0] f_here%s% = f_come%s% - f_gone%s%;
wire [%bits%:0] f_before%s% = f_number%s% - f_gone%s%;
wire [%bits%:0] f_sum%s% = {%pad%'d0, fifo_out%s%_q} + f_before%s%;
wire [%bits%:0] f_place%s% = (f_sum%s% >= %all%) ? f_sum%s% - %all% : f_sum%s%;
wire [%bits%:0] f_end_sum%s% = {%pad%'d0, fifo_out%s%_q} + f_here%s%;
wire [%bits%:0] f_end%s% = (f_end_sum%s% >= %all%) ? f_end_sum%s% - %all% : f_end_sum%s%;
reg [$bits(f_data%s%)-1:0] f_word%s%;
always @(posedge clk) if (f_push%s% && (f_come%s% == f_number%s%)) f_word%s% <= f_data%s%;
always @(posedge clk) if (f_past%s% && !rst) begin
  count_is_right%s%: assert (f_here%s% == {1'd0, count%s%_q});
  pointers_in_range%s%: assert (({%pad%'d0, fifo_in%s%_q} < %all%) && ({%pad%'d0, fifo_out%s%_q} < %all%));
  pointers_fit%s%: assert ({%pad%'d0, fifo_in%s%_q} == f_end%s%);
  beat_is_kept%s%: assert (!(f_before%s% < f_here%s%) || (fifo%s%[f_place%s%[%at_top%:0]] == f_word%s%));
  beat_in_order%s%: assert (!(pop%s% && (f_gone%s% == f_number%s%)) || (m%s%_data == f_word%s%));
end
//@ stable
always @(posedge clk) if (f_past%s% && !rst && !$past(rst) && $past(m%s%_valid && !m%s%_ready)) begin
  valid_stays%s%: assert (m%s%_valid);
  data_stays%s%: assert (m%s%_data == $past(m%s%_data));
end
