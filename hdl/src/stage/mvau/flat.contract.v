//! A matrix-vector unit beside its definition: the sums of all folds as flat dot products of what came in.

//@ module
module %name% (
  input wire clk,
  input wire rst,
  input wire [%in_top%:0] s_data,
  input wire s_valid,
%weight_valid%  input wire m_ready
);
  wire s_ready, m_valid;
  wire [%out_top%:0] m_data;
  %module% unit (.clk(clk), .rst(rst), %streams%,
    .m_data(m_data), .m_valid(m_valid), .m_ready(m_ready));
  reg f_past = 1'b0;
  always @(posedge clk) f_past <= 1'b1;
  always @(*) assume (rst == !f_past);
  wire beat = s_valid && s_ready;
  wire given = m_valid && m_ready;
  reg [%at_top%:0] place;
%words%  reg [31:0] tap;
  reg [15:0] come, gone;
  (* anyconst *) reg [15:0] number;
  reg [%out_top%:0] expected;
%lanes%  always @(posedge clk) if (rst) begin
    place <= 0;
    tap <= 0;
    come <= 0;
    gone <= 0;
  end else begin
    if (beat) begin
      place <= (place == %at%'d%last%) ? %at%'d0 : place + %at%'d1;
      tap <= (tap == %last_tap%) ? 0 : tap + 1;
%sums%      if (tap == %last_tap%) begin
        come <= come + 1;
%expected%      end
    end
    if (given) gone <= gone + 1;
  end
  always @(posedge clk) if (f_past && !rst) begin
%together%    none_too_many: assert (!given || (gone < come));
    sums_are_flat: assert (!(given && (gone == number)) || (m_data == expected));
  end
endmodule
//@ words
  // The port brings the layer's words in their order, with gaps wherever it likes.
  wire w_ready;
  reg [%word_top%:0] w_data;
  always @(*) case (place)
%word_cases%    default: w_data = 0;
  endcase
//@ word
    %at%'d%place%: w_data = %bits%'h%word%;
//@ together
    words_move_with_levels: assert (beat == (w_valid && w_ready));
//@ lane
  reg signed [%top%:0] sum%p%;
  reg signed [%top%:0] term%p%;
  always @(*) begin
    term%p% = 0;
    case (place)
%cases%      default: ;
    endcase
  end
//@ case
      %at%'d%place%: term%p% = %terms%;
//@ sum
      sum%p% <= ((tap == 0) ? term%p% : sum%p% + term%p%);
//@ expected
        if (come == number) expected[%top%:%low%] <= ((tap == 0) ? term%p% : sum%p% + term%p%);
