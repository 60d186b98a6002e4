//! What a concat promises beside its stream: of each pixel it takes all beats of x, then all beats of y.

//@ turns
// Beats of this pixel that were taken.
reg [%top%:0] f_x;
reg [%top%:0] f_y;
wire f_ends = y_valid && y_ready && (f_y + %one% == %of_y%);
always @(posedge clk) begin
  if (rst || f_ends) begin
    f_x <= %zero%;
    f_y <= %zero%;
  end else begin
    if (x_valid && x_ready) f_x <= f_x + %one%;
    if (y_valid && y_ready) f_y <= f_y + %one%;
  end
end
always @(*) if (f_past && !rst) begin
  position_counts: assert (position_q == f_x + f_y);
  beats_are_counted: assert ((f_x <= %of_x%) && (f_y < %of_y%) && ((f_y == %zero%) || (f_x == %of_x%)));
  x_has_its_turn: assert (!x_ready || (f_x != %of_x%));
  y_has_its_turn: assert (!y_ready || (f_x == %of_x%));
end
