// Drives top: beats from stdin, beats and their cycles to stdout, under seeded stalls of source and sink.
// Arguments: source seed, closed, block; sink seed, closed, block; output beats wanted; 64-bit words of an
// input beat; cycles after which the circuit is stuck. stdin, in 64-bit little-endian words: the number of
// accesses to the control port, for each write (1), expect (0) or word from flash (2), address, data; then
// for each port of weights the beats of its round; then for each beat its words, then tlast. DQ_WEIGHTS(X),
// where there are such ports, is X(port) of each; five more arguments per port are its seed, closed, block,
// the 64-bit words of a beat and the beats of a round. DQ_WAVES, where it was built for them: the waves' file,
// in which the clock rises at even times. stdout: for each beat cycle, word, tlast; at the end the error flag.
// DQ_USER: the bits of tdata, above which a word has tuser.
#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

namespace {

// The same lines as Pattern in stalls.rs.
struct Pattern {
    uint64_t seed;
    unsigned closed;
    unsigned block;

    static uint64_t mix(uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }

    bool open(uint64_t cycle) const {
        return closed == 0 || (mix(seed + (cycle >> block) * 0x9e3779b97f4a7c15ull) >> 56) >= closed;
    }
};

Pattern pattern(char** arguments) {
    return {strtoull(arguments[0], nullptr, 10), static_cast<unsigned>(atoi(arguments[1])),
            static_cast<unsigned>(atoi(arguments[2]))};
}

template <class T>
void put(T& port, const uint64_t* words) {
    port = static_cast<T>(words[0]);
}

template <std::size_t N>
void put(VlWide<N>& port, const uint64_t* words) {
    for (std::size_t i = 0; i < N; i++) port[i] = static_cast<uint32_t>(words[i / 2] >> (32 * (i % 2)));
}

#ifdef DQ_CONTROL
// An AXI4-Lite master.
struct Control {
    Vtop& top;
    std::function<void()> clock;

    template <class Valid, class Ready>
    bool hand_over(Valid& valid, const Ready& ready) {
        valid = 1;
        const bool there = wait(ready);
        clock();
        valid = 0;
        return there;
    }

    template <class Port>
    bool wait(const Port& port) {
        for (int i = 0; i < 100; i++) {
            top.eval();
            if (port) return true;
            clock();
        }
        fprintf(stderr, "error: the control port does not answer\n");
        return false;
    }

    bool play(uint64_t writes, uint64_t address, uint64_t data) {
        uint64_t found = data, response = 0;
        if (writes) {
            top.s_axil_awaddr = address;
            top.s_axil_wdata = data;
            top.s_axil_wstrb = 15;
            if (!hand_over(top.s_axil_wvalid, top.s_axil_wready)) return false;
            if (!hand_over(top.s_axil_awvalid, top.s_axil_awready)) return false;
            if (!wait(top.s_axil_bvalid)) return false;
            response = top.s_axil_bresp;
            top.s_axil_bready = 1;
            clock();
            top.s_axil_bready = 0;
        } else {
            top.s_axil_araddr = address;
            if (!hand_over(top.s_axil_arvalid, top.s_axil_arready)) return false;
            if (!wait(top.s_axil_rvalid)) return false;
            found = top.s_axil_rdata;
            response = top.s_axil_rresp;
            top.s_axil_rready = 1;
            clock();
            top.s_axil_rready = 0;
        }
        if (response == 0 && found == data) return true;
        fprintf(stderr, "error: control port, address 0x%03llx: expected 0x%08llx, found 0x%08llx, response %llu\n",
                static_cast<unsigned long long>(address), static_cast<unsigned long long>(data),
                static_cast<unsigned long long>(found), static_cast<unsigned long long>(response));
        return false;
    }
};
#endif

#ifdef DQ_WEIGHTS
// Plays the weights of a port, round after round.
struct Player {
    Pattern pattern;
    std::size_t beat_words;
    uint64_t beats;
    std::vector<uint64_t> words;
    uint64_t at = 0;
    bool held = false;

    explicit Player(char** arguments)
        : pattern(::pattern(arguments)),
          beat_words(strtoull(arguments[3], nullptr, 10)),
          beats(strtoull(arguments[4], nullptr, 10)),
          words(beat_words * beats) {}

    bool read() { return fread(words.data(), sizeof(uint64_t), words.size(), stdin) == words.size(); }

    template <class Data>
    void offer(uint64_t cycle, Data& data, CData& valid, CData& last) {
        held = held || pattern.open(cycle);
        valid = held;
        if (!held) return;
        put(data, &words[at * beat_words]);
        last = at + 1 == beats;
    }

    void take(const CData& ready) {
        if (!held || !ready) return;
        at = at + 1 == beats ? 0 : at + 1;
        held = false;
    }
};
#define DQ_COUNT(port) +1
constexpr int PORTS = 0 DQ_WEIGHTS(DQ_COUNT);
#else
constexpr int PORTS = 0;
#endif

void write(uint64_t word) { fwrite(&word, sizeof word, 1, stdout); }

}  // namespace

int main(int argc, char** argv) {
    if (argc != 10 + 5 * PORTS) {
        fprintf(stderr, "%d arguments expected, %d given\n", 9 + 5 * PORTS, argc - 1);
        return 2;
    }
    const Pattern source = pattern(argv + 1);
    const Pattern sink = pattern(argv + 4);
    const uint64_t wanted = strtoull(argv[7], nullptr, 10);
    const std::size_t beat_words = strtoull(argv[8], nullptr, 10) + 1;
    const uint64_t limit = strtoull(argv[9], nullptr, 10);
    uint64_t accesses = 0;
    std::vector<uint64_t> access;
    if (fread(&accesses, sizeof accesses, 1, stdin) != 1) return 2;
    access.resize(3 * accesses);
    if (accesses && fread(access.data(), sizeof(uint64_t), access.size(), stdin) != access.size()) return 2;
#ifdef DQ_WEIGHTS
    std::vector<Player> players;
    for (int i = 0; i < PORTS; i++) {
        players.emplace_back(argv + 10 + 5 * i);
        if (!players.back().read()) return 2;
    }
#endif
    std::vector<uint64_t> input;
    uint64_t buffer[512];
    for (std::size_t got; (got = fread(buffer, sizeof *buffer, 512, stdin)) > 0;)
        input.insert(input.end(), buffer, buffer + got);

    const std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    context->randReset(2);
    context->randSeed(1);
#if VM_TRACE
    context->traceEverOn(true);
#endif
    const std::unique_ptr<Vtop> top{new Vtop{context.get()}};
#if VM_TRACE
    const char* path = getenv("DQ_WAVES");
    Waves waves;
    if (path) {
        top->trace(&waves, 99);
        waves.open(path);
        if (!waves.isOpen()) {
            fprintf(stderr, "error: %s: opening the waves\n", path);
            return 3;
        }
    }
    uint64_t time = 0;
    const auto dump = [&] {
        if (path) waves.dump(time++);
    };
#else
    const auto dump = [] {};
#endif
    const auto clock = [&] {
        dump();
        top->clk = 1;
        top->eval();
        dump();
        top->clk = 0;
    };
    top->clk = 0;
    top->rst = 1;
    top->s_axis_tvalid = 0;
    top->m_axis_tready = 0;
#ifdef DQ_WEIGHTS
#define DQ_IDLE(port) top->port##_tvalid = 0;
    DQ_WEIGHTS(DQ_IDLE)
#endif
#ifdef DQ_BOOT
    top->boot_valid = 0;
#endif
#ifdef DQ_CONTROL
    top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_arvalid = 0;
    top->s_axil_bready = top->s_axil_rready = 0;
#endif
    for (int i = 0; i < 4; i++) {
        top->eval();
        clock();
    }
    top->rst = 0;
#ifdef DQ_CONTROL
    Control control{*top, clock};
    for (std::size_t i = 0; i < access.size(); i += 3)
        if (!control.play(access[i], access[i + 1], access[i + 2])) return 3;
#elif defined DQ_BOOT
    for (std::size_t i = 0; i < access.size(); i += 3) {
        if (access[i] != 2) return 2;
        top->boot_data = static_cast<uint32_t>(access[i + 2]);
        for (int now = 1; now >= 0; now--) {
            top->boot_valid = now;
            top->eval();
            clock();
        }
    }
    // The checksum's register, and what it says.
    clock();
    top->eval();
    if (!top->booted || top->boot_failed) {
        fprintf(stderr, "error: the circuit refused its parameters%s\n",
                top->boot_failed ? " (identity or checksum)" : ": it waits for more");
        return 3;
    }
#else
    if (accesses) return 2;
#endif

    uint64_t given = 0, cycle = 0;
    std::size_t next = 0;
    bool held = false;
    while (given < wanted) {
        held = next < input.size() && (held || source.open(cycle));
        top->s_axis_tvalid = held;
        if (held) {
            put(top->s_axis_tdata, &input[next]);
            top->s_axis_tlast = input[next + beat_words - 1];
        }
        top->m_axis_tready = sink.open(cycle);
#ifdef DQ_WEIGHTS
        auto player = players.begin();
#define DQ_OFFER(port) (player++)->offer(cycle, top->port##_tdata, top->port##_tvalid, top->port##_tlast);
        DQ_WEIGHTS(DQ_OFFER)
#endif
        top->eval();
        if (top->m_axis_tready && top->m_axis_tvalid) {
            write(cycle);
#ifdef DQ_USER
            write(top->m_axis_tdata | uint64_t{top->m_axis_tuser} << DQ_USER);
#else
            write(top->m_axis_tdata);
#endif
            write(top->m_axis_tlast);
            given++;
        }
        if (held && top->s_axis_tready) {
            next += beat_words;
            held = false;
        }
#ifdef DQ_WEIGHTS
        player = players.begin();
#define DQ_TAKE(port) (player++)->take(top->port##_tready);
        DQ_WEIGHTS(DQ_TAKE)
#endif
        clock();
        cycle++;
        if (cycle > limit) {
            fprintf(stderr, "error: %llu of %llu output beats after %llu cycles\n",
                    static_cast<unsigned long long>(given), static_cast<unsigned long long>(wanted),
                    static_cast<unsigned long long>(cycle));
            return 3;
        }
    }
    top->eval();
    write(top->error);
    top->final();
#if VM_TRACE
    if (path) waves.close();
#endif
    return fflush(stdout) == 0 ? 0 : 4;
}
