//! What a conversion to fewer lanes promises beside its stream: a beat is there until its last part is taken.

//@ parts
wire f_taken = m_ready && (part_q == %last%);
always @(posedge clk) if (f_past && !rst && !$past(rst) && $past(valid && !f_taken)) begin
  beat_stays: assert (valid && (held == $past(held)));
end
