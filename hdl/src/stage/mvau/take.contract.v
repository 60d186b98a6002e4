//! What the weights from outside promise: a word and a beat of levels move together, or neither does.

//@ take
always @(*) words_move_with_levels: assert ((x_valid && x_ready) == (y_valid && y_ready));
