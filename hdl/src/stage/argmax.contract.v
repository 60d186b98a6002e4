//! What the label promises beside its stream, where it says whether it is proved. One class is chosen freely, so
//! that what is shown of it holds of all.

//@ argmax
(* anyconst *) reg [%class%:0] f_class;
// Its score in this frame; whether a frame has ended; the class whose score is the next one.
reg %signed%[%top%:0] f_score;
reg f_any;
reg [%class%:0] f_next;
wire f_beat = s_valid && s_ready;
wire f_full = f_any && (class_q == %class_bits%'d0);
wire f_seen = f_full || (class_q > f_class);
wire f_two = f_full || (class_q > %class_bits%'d1);
wire %signed%[%top%:0] f_data_in = s_data;
wire %signed%[%top%:0] f_best = best_q;
wire %signed%[%top%:0] f_other = next_q;
// The frame as it was when its label was handed on.
reg %signed%[%top%:0] f_score1, f_best1;
reg [%class%:0] f_label1, f_next1;
// Wide enough for the difference of two scores, with a sign.
wire signed [%wide%:0] f_lead = f_best1 - f_score1;
always @(*) if (!f_past || rst) assume (f_class < %class_wide%'d%classes%);
always @(posedge clk) begin
  f_score1 <= f_score;
  f_best1 <= f_best;
  f_label1 <= label_q;
  f_next1 <= f_next;
  if (rst) f_any <= 1'b0;
  else if (f_beat) begin
    f_any <= 1'b1;
    if (class_q == f_class) f_score <= s_data;
    if (class_q == %class_bits%'d1 || f_data_in > f_best || f_data_in > f_other)
      f_next <= f_data_in > f_best ? label_q : class_q;
  end
end
always @(*) if (f_past && !rst) begin
  a_class_is_one: assert (f_class < %class_wide%'d%classes%);
  count_is_of_classes: assert (class_q < %class_wide%'d%classes%);
  nothing_before_the_first: assert (f_any || (class_q == %class_bits%'d0));
  label_was_seen: assert (!f_any || f_full || (label_q < class_q));
  label_is_a_class: assert (!f_any || (label_q < %class_wide%'d%classes%));
  best_is_of_the_label: assert (!f_any || !f_seen || (label_q != f_class) || (f_best == f_score));
  best_is_the_largest: assert (!f_any || !f_seen || (f_best >= f_score));
  label_is_the_lowest: assert (!f_any || !f_seen || (f_class >= label_q) || (f_best > f_score));
  next_is_no_more: assert (!f_any || (f_other <= f_best));
  next_is_no_less: assert (!f_any || !f_seen || (label_q == f_class) || (f_other >= f_score));
  next_is_not_the_label: assert (!f_any || !f_two || (f_next != label_q));
  next_was_seen: assert (!f_any || f_full || !f_two || (f_next < class_q));
  next_is_a_class: assert (!f_any || !f_two || (f_next < %class_wide%'d%classes%));
  next_is_of_its_class: assert (!f_any || !f_two || !f_seen || (f_next != f_class) || (f_other == f_score));
  next_is_none_at_first: assert (!f_any || f_two || (f_other == %least%));
  ends_are_handed_on: assert (!ended_q || f_full);
end
always @(posedge clk) if (f_past && !rst && !$past(rst) && f_push) begin
  label_is_handed_on: assert (f_data[%label%:0] == f_label1);
  // The label's score is the largest, the lowest class of equal ones.
  label_leads: assert ((f_class == f_label1) || (f_lead > 0) || ((f_lead == 0) && (f_class > f_label1)));
  // A set bit: every other class trails by the lead at least.
  bit_proves: assert (!f_data[%proved%] || (f_class == f_label1) || (f_lead >= %lead%));
  // A clear bit: one class, and not the label's own, trails by less.
  bit_is_denied_by_a_class: assert (f_next1 != f_label1);
  bit_is_clear_for_a_reason: assert (f_data[%proved%] || (f_class != f_next1) || (f_lead < %lead%));
end
