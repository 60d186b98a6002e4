//! What several stages promise alike.

//@ reset
reg f_past%s% = 1'b0;
always @(posedge clk) f_past%s% <= 1'b1;
always @(*) if (!f_past%s%) assume (rst);
//@ ring
wire [%top%:0] f_sum = {%pad%'d0, fifo_out_q} + {2'd0, count_q};
wire [%top%:0] f_end = (f_sum >= %wide%'d%depth%) ? f_sum - %wide%'d%depth% : f_sum;
always @(posedge clk) if (f_past && !rst) begin
  pointers_in_range: assert (({%pad%'d0, fifo_in_q} < %wide%'d%depth%) && ({%pad%'d0, fifo_out_q} < %wide%'d%depth%));
  pointers_fit: assert ({%pad%'d0, fifo_in_q} == f_end);
end
always @(*) valid_waits_for_nothing: assert (%valid% == (|count_q));
always @(posedge clk) if (f_past && !rst) count_in_range: assert (count_q <= %bits%'d%depth%);
always @(posedge clk) if (f_past && !rst && !$past(rst) && $past(%valid% && !%ready%)) begin
  valid_stays: assert (%valid%);
%stays%end
//@ stays
  %data%_stays: assert (%data% == $past(%data%));
//@ history
reg [%top%:0] %next%;
always @(posedge clk) %next% <= %now%;
