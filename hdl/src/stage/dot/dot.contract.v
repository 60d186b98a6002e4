//! What a dot product promises: some cycles later it is the sum of the products.

//@ dot
// What was before the first clock is not known, and a reset empties registers on the way.
reg [31:0] f_age = 0;
always @(posedge clk) if (rst) f_age <= 0; else if (f_age != 32'hffffffff) f_age <= f_age + 1;
wire signed [%wide_top%:0] f_dot = %sum%
    + %wide%'sd%excess%;
always @(posedge clk) if (f_age > %delay%) dot_is_its_definition: assert (dot == f_dot[%top%:0]);
