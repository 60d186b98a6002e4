//! What the comparison of a detector promises beside its stream: the label is that of the first pass, and the
//! flag is high exactly where the second one differs from it.

//@ compare
// Whether the image's own label was taken, and that label.
reg f_second;
reg [%top%:0] f_own;
always @(posedge clk) begin
  if (rst) f_second <= 1'b0;
  else if (s_valid && s_ready) begin
    f_second <= !f_second;
    if (!f_second) f_own <= s_data;
  end
end
always @(*) if (f_past && !rst) begin
  passes_alternate: assert (pass_q == f_second);
  own_label_is_kept: assert (!f_second || (own_q == f_own));
  one_beat_of_two_passes: assert (f_push == (s_valid && s_ready && f_second));
  label_is_the_own: assert (!f_push || (f_data[%top%:0] == f_own));
  flag_says_that_labels_differ: assert (!f_push || (f_data[%flag%] == (s_data != f_own)));
end
