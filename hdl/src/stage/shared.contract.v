//! What several stages promise alike.

//@ reset
reg f_past%s% = 1'b0;
always @(posedge clk) f_past%s% <= 1'b1;
always @(*) if (!f_past%s%) assume (rst);
//@ offers
// What is offered stays until it is taken.
always @(posedge clk) if (f_past%s% && !rst && !$past(rst) && $past(%valid% && !%ready%)) begin
  %valid%_stays: assert (%valid%);
%stays%end
//@ shows
always @(*) %valid%_waits_for_nothing: assert (%valid% == %held%);
//@ enters
// What the stage brings is what enters its FIFO: it shows behind an empty one.
always @(posedge clk)
  if (f_past%s% && !rst && !$past(rst) && !$past(rst, %cycles%) && $past(f_push%s%, %cycles%) && !$past(%valid%)) begin
    beat_enters%s%: assert (%valid% && (%data% == $past(f_data%s%, %cycles%)));
  end
//@ apart
always @(posedge clk) if (f_past && !rst) %memory%_is_written_elsewhere: assert (!f_%memory%_meet);
//@ end
always @(posedge clk) if (f_past && !rst) %counter%_end_is_known: assert (%counter%_last_q == (%counter%_q == %last%));
//@ stays
  %data%_stays: assert (%data% == $past(%data%));
//@ history
reg [%top%:0] %next%;
always @(posedge clk) %next% <= %now%;
