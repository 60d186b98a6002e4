//! What a window promises beside its stream: that each tap is read where its pixel was written, and which rows
//! are held. Positions are whole numbers of rows, columns and channels; what the circuit keeps of them
//! (addresses, slots of the ring, bases) is shown to be theirs, by induction. With the loops' order, which is
//! that of plain counters, this is the order of the taps.

//@ slots
// Slots of the ring: of row 0, padding included, of the frame being read, and of the row being written.
reg [%top%:0] f_first, f_slot;
always @(posedge clk) if (rst) begin
  f_first <= %start%;
  f_slot <= 0;
end else begin
  if (frame_ends) f_first <= %next%;
  if (row_written) f_slot <= %after%;
end
//@ tap
reg [%top%:0] f_tap_at;
reg f_tap_real;
always @(posedge clk) begin
  f_tap_at <= %place%;
  f_tap_real <= !rst && %on_map%;
end
//@ claims
always @(posedge clk) if (f_past && !rst) begin
%claims%end
//@ claim
  %name%: assert (%claim%);

//! The claims. The next beat goes to its row's slot, its column and channel; and its row is the reader's
//! `rows`.

//@ column_in_range
%write_column% >= %column_before% && %write_column% < %column_end%
//@ place_written
%write_at% == %written_place%
//@ slot_written
f_slot == %slot_of_rows%

//! Of the rows that the window has passed all on the map are there, the last one at least in part.

//@ passed_in_row
!(%tap_column% > %first_column% && %row% >= %before% && %row% < %end%) || %rows% >= %row%
//@ passed_rows
!(%tap_row% > 0 && %row% > %before%) || %rows% + 1 >= (%row% <= %end% ? %row% : %end%)

//! The oldest row that is held is the first that the window needs, and no more are held than the ring has.

//@ needed_soon
%rows% + %stride% >= %needed%
//@ ring_suffices
%rows% + %released% <= %needed% + %ring%
//@ rows_held
%oldest% == %needed_modulo%
//@ rows_in_range
%rows% < %most_rows%

//! What is read for a tap on the map: its own place, by its row, column and channel.

//@ tap_is_read
!f_tap_real || %address% == f_tap_at

//! What a tap in the padding gives, when its beat comes: the padding's level, in every lane.

//@ padding
always @(posedge clk) if (f_past && !rst && f_push && %padded%) padding_is_its_level: assert (f_data == %level%);
