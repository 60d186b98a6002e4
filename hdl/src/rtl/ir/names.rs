//! Names that every tool of the flow takes: plain identifiers, no keyword of Verilog, SystemVerilog or C++.

/// Reserved by Verilog-2005, by SystemVerilog (tools read `.v` files in either mode) or by C++ (Verilator).
const RESERVED: &str = "
    accept_on alias alignas alignof always always_comb always_ff always_latch and and_eq asm assert
    assign assume auto automatic before begin bind bins bit bitand bitor bool break buf bufif0 bufif1
    byte case casex casez catch cell chandle char checker class clocking cmos compl config const
    constexpr constraint context continue cover covergroup coverpoint cross deassign decltype default
    defparam delete design disable dist do double dynamic_cast edge else end endcase endclass endconfig
    endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram
    endproperty endsequence endspecify endtable endtask enum event eventually expect explicit export
    extends extern false final float for force foreach forever fork forkjoin friend function generate
    genvar global goto highz0 highz1 if iff ifnone implies import incdir include initial inline inout
    input inside instance int integer interface intersect join large let liblist library local
    localparam logic long longint macromodule matches medium modport module mutable namespace nand
    negedge nettype new nexttime nmos noexcept nor noshowcancelled not not_eq notif0 notif1 null nullptr
    operator or or_eq output package packed parameter pmos posedge primitive priority private program
    property protected public pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure
    rand randc randcase randsequence rcmos real realtime ref reg register reject_on release repeat
    restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime s_until
    s_until_with scalared sequence short shortint shortreal showcancelled signed sizeof small soft solve
    specify specparam static static_assert static_cast string strong strong0 strong1 struct super
    supply0 supply1 switch sync_accept_on sync_reject_on table tagged task template this thread_local
    throughout throw time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg
    true try type typedef typeid typename union unique unique0 unsigned until until_with untyped use
    using uwire var vectored virtual void volatile wait wait_order wand wchar_t weak weak0 weak1 while
    wildcard wire with within wor xnor xor xor_eq
";

/// Begins the name of every instance, and of nothing else: an instance never hides a net, nor bears a module's name.
pub(crate) const INSTANCE: &str = "u_";

/// Says whether `name` may name a module, an instance or a net.
pub fn is_valid(name: &str) -> bool {
    let mut chars = name.chars();
    let head = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    head && !name.contains("__")
        && !name.starts_with(INSTANCE)
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && RESERVED.split_whitespace().all(|word| word != name)
}

/// Panics unless `name` is valid, naming the `place` that wanted it.
pub(crate) fn check(name: &str, place: &str) {
    assert!(is_valid(name), "{place}: `{name}` is no usable Verilog name");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_unreserved_identifiers_pass() {
        for good in ["conv1", "x_q", "_unused", "m_data", "top"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "1conv", "a b", "a$b", "wire", "new", "a__b", "u_fifo", "é"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
