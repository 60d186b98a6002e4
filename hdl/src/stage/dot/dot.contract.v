//! What a dot product promises: some cycles later it is the sum of the products.

//@ dot
// Counts the cycles since the first clock, before which nothing is known, or since a reset, which empties
// registers on the way.
reg [31:0] f_age = 0;
always @(posedge clk) if (rst) f_age <= 1; else if (f_age != 32'hffffffff) f_age <= f_age + 1;
wire signed [%wide_top%:0] f_dot = %sum%
    + %wide%'sd%excess%;
always @(posedge clk) if (f_age > %delay%) dot_is_its_definition: assert (dot == f_dot[%top%:0]);
