// Drives top: beats from stdin, beats and their cycles to stdout, under seeded stalls of source and sink.
// Arguments: source seed, closed, block; sink seed, closed, block; output beats wanted; 64-bit words of an
// input beat; cycles after which the circuit is stuck.
// stdin: for each beat its words, then tlast, each as a 64-bit little-endian word.
// stdout: for each beat cycle, word, tlast; at the end the error flag.
#include "Vtop.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
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

void write(uint64_t word) { fwrite(&word, sizeof word, 1, stdout); }

}  // namespace

int main(int argc, char** argv) {
    if (argc != 10) {
        fprintf(stderr, "9 arguments expected, %d given\n", argc - 1);
        return 2;
    }
    const Pattern source = pattern(argv + 1);
    const Pattern sink = pattern(argv + 4);
    const uint64_t wanted = strtoull(argv[7], nullptr, 10);
    const std::size_t beat_words = strtoull(argv[8], nullptr, 10) + 1;
    const uint64_t limit = strtoull(argv[9], nullptr, 10);
    std::vector<uint64_t> input;
    uint64_t buffer[512];
    for (std::size_t got; (got = fread(buffer, sizeof *buffer, 512, stdin)) > 0;)
        input.insert(input.end(), buffer, buffer + got);

    const std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    context->randReset(2);
    context->randSeed(1);
    const std::unique_ptr<Vtop> top{new Vtop{context.get()}};
    const auto clock = [&] {
        top->clk = 1;
        top->eval();
        top->clk = 0;
    };
    top->clk = 0;
    top->rst = 1;
    top->s_axis_tvalid = 0;
    top->m_axis_tready = 0;
    for (int i = 0; i < 4; i++) {
        top->eval();
        clock();
    }
    top->rst = 0;

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
        top->eval();
        if (top->m_axis_tready && top->m_axis_tvalid) {
            write(cycle);
            write(top->m_axis_tdata);
            write(top->m_axis_tlast);
            given++;
        }
        if (held && top->s_axis_tready) {
            next += beat_words;
            held = false;
        }
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
    return fflush(stdout) == 0 ? 0 : 4;
}
