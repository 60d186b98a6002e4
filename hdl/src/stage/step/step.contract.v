//! What a quantizer promises: the level of each lane is the number of its channel's thresholds that are
//! reached.

//@ fold
always @(posedge clk) if (f_past && !rst) fold_in_range: assert ({1'd0, fold_q} < %bits%'d%folds%);
//@ input
// The input keeps within its range.
//@ input of a lane
always @(*) if (s_valid) assume ((%now% >= %lo%) && (%now% <= %hi%));
//@ lane
wire signed [%acc_top%:0] f_acc%l% = %acc%;
reg [%bits%:0] f_level%l%;
always @(*) begin
  f_level%l% = 0;
%counts%end
always @(posedge clk) if (f_past && !rst && f_push) level%l%_is_its_definition: assert (f_data[%top%:%low%] == f_level%l%[%level_top%:0]);
