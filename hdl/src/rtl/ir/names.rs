//! Names that every tool of the flow takes: plain identifiers, no keyword of Verilog, SystemVerilog or C++.

/// The 248 keywords of IEEE 1800-2017, annex B: tools read `.v` files as Verilog or as SystemVerilog.
const SYSTEM_VERILOG_KEYWORDS: &str = "
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before
    begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class
    clocking cmos config const constraint context continue cover covergroup coverpoint cross deassign
    default defparam design disable dist do edge else end endcase endchecker endclass endclocking
    endconfig endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram
    endproperty endspecify endsequence endtable endtask enum event eventually expect export extends
    extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include
    initial inout input inside instance int integer interconnect interface intersect join join_any
    join_none large let liblist library local localparam logic longint macromodule matches medium
    modport module nand negedge nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or
    output package packed parameter pmos posedge primitive priority program property protected pull0
    pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence
    rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal
    showcancelled signed small soft solve specify specparam static string strong strong0 strong1 struct
    super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union
    unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait wait_order
    wand weak weak0 weak1 while wildcard wire with within wor xnor xor
";

/// Begins the name of every instance, and of nothing else: an instance never hides a net, nor bears a
/// module's name.
pub(crate) const INSTANCE: &str = "u_";

/// The keywords of C++20 (ISO/IEC 14882:2020, tables 5 and 6), which Verilator's output is: 81, and 11 for
/// operators.
const CPP_KEYWORDS: &str = "
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
    char32_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export extern
    false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register reinterpret_cast requires return short signed
    sizeof static static_assert static_cast struct switch template this thread_local throw true try
    typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
";

/// What else a class of Verilator's cannot have as a member: what the tool warns of, macros of C's headers
/// and of compilers, and its own members.
const VERILATOR_WORDS: &str = "
    abort atomic_cancel atomic_commit atomic_noexcept bit_vector cdecl complex
    const_iterator const_reference deque errno far huge i386 interrupt iterator linux list map multimap
    multiset name near override pascal queue reference sc_clock sc_in sc_inout sc_out sc_signal
    sensitive sensitive_neg sensitive_pos set stack stderr stdin stdout synchronized transaction_safe
    transaction_safe_dynamic type_info uint16_t uint32_t uint8_t unix vector
";

/// Returns all words that may name nothing in an emission.
pub fn reserved() -> impl Iterator<Item = &'static str> {
    [SYSTEM_VERILOG_KEYWORDS, CPP_KEYWORDS, VERILATOR_WORDS].into_iter().flat_map(str::split_whitespace)
}

/// Says whether `name` may name a module, an instance or a net.
pub fn is_valid(name: &str) -> bool {
    let mut chars = name.chars();
    let head = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    head && !name.contains("__")
        && !name.starts_with(INSTANCE)
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && reserved().all(|word| word != name)
}

/// Panics unless `name` is valid, naming the `place` that wanted it.
pub(crate) fn check(name: &str, place: &str) {
    assert!(is_valid(name), "{place}: `{name}` is no usable Verilog name");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_lists_of_keywords_are_whole() {
        for (list, count) in [(SYSTEM_VERILOG_KEYWORDS, 248), (CPP_KEYWORDS, 92)] {
            let words: BTreeSet<&str> = list.split_whitespace().collect();
            assert_eq!((words.len(), list.split_whitespace().count()), (count, count));
        }
    }

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
