// A board behind a pseudo-terminal: bytes from the terminal become levels on rx, levels on tx become bytes.
// Arguments: clocks a bit; the flash's contents, and the byte at which they start. stdout: the terminal's
// name, one line, once the board is out of reset. Ends with its parent, which holds the other end of stdin.
#include "Vboard_top.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

namespace {

// Clocks from one look at terminal and parent to the next.
constexpr unsigned LOOK = 1024;
// Clocks without a byte after which the board sleeps between looks: longer than any frame takes.
constexpr uint64_t IDLE = uint64_t(1) << 26;
// Clocks within which reset must be over.
constexpr unsigned RESET = 1u << 24;

[[noreturn]] void fail(const char* what) {
    perror(what);
    exit(1);
}

// The board's end of a new terminal that passes bytes as they are.
int terminal() {
    const int board = posix_openpt(O_RDWR | O_NOCTTY);
    if (board < 0 || grantpt(board) != 0 || unlockpt(board) != 0) fail("error: opening a pseudo-terminal");
    const char* name = ptsname(board);
    // Kept open here as well, so that the line does not hang up between two hosts.
    const int host = name ? open(name, O_RDWR | O_NOCTTY) : -1;
    termios mode;
    if (host < 0 || tcgetattr(host, &mode) != 0) fail("error: opening the terminal");
    cfmakeraw(&mode);
    if (tcsetattr(host, TCSANOW, &mode) != 0 || fcntl(board, F_SETFL, O_NONBLOCK) != 0) fail("error: setting the terminal");
    printf("%s\n", name);
    fflush(stdout);
    return board;
}

bool parent_is_there() {
    pollfd end = {STDIN_FILENO, POLLIN, 0};
    char byte;
    return poll(&end, 1, 0) == 0 || read(STDIN_FILENO, &byte, 1) > 0;
}

#ifdef DQ_FLASH
// A serial flash, asleep as configuration leaves it: wakes on 0xAB, reads on 0x03. Bits come in with the
// rising clock, and leave with the falling one.
class Flash {
public:
    Flash(const char* path, uint32_t offset) : offset_(offset) {
        FILE* file = fopen(path, "rb");
        if (!file) fail("error: opening the flash's contents");
        for (int byte; (byte = fgetc(file)) != EOF;) bytes_.push_back(static_cast<uint8_t>(byte));
        fclose(file);
    }

    // The level on miso.
    bool step(bool cs, bool sck, bool mosi) {
        if (cs) {
            if (bits_ == 8 && command_ == 0xab) asleep_ = false;
            bits_ = in_ = command_ = 0;
            miso_ = true;
        } else if (sck && !sck_) {
            in_ = in_ << 1 | uint32_t(mosi);
            if (++bits_ == 8) command_ = in_ & 0xff;
            if (bits_ == 32) address_ = in_ & 0xffffff;
        } else if (!sck && sck_ && bits_ >= 32 && command_ == 0x03 && !asleep_) {
            const uint64_t bit = bits_ - 32;
            const uint64_t at = address_ + bit / 8 - offset_;
            miso_ = at >= bytes_.size() || (bytes_[at] >> (7 - bit % 8) & 1) != 0;
        }
        sck_ = sck;
        return miso_;
    }

private:
    std::vector<uint8_t> bytes_;
    uint64_t offset_, address_ = 0, bits_ = 0;
    uint32_t in_ = 0, command_ = 0;
    bool asleep_ = true, sck_ = false, miso_ = true;
};
#endif

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 || atoi(argv[1]) < 1) {
        fprintf(stderr, "error: expected the clocks of a bit and the flash\n");
        return 2;
    }
    const unsigned clocks = static_cast<unsigned>(atoi(argv[1]));
    const auto context = std::make_unique<VerilatedContext>();
    const auto board = std::make_unique<Vboard_top>(context.get());
    std::deque<uint8_t> to_board;
    // Bits still to send, stop bit on top, and clocks until the next; bits seen, and clocks until the next is
    // looked at.
    unsigned sending = 0, send_wait = 0, seen = 0, seen_bits = 0, look_wait = 0;
    uint64_t last_byte = 0;
#ifdef DQ_FLASH
    Flash flash(argv[2], static_cast<uint32_t>(strtoul(argv[3], nullptr, 10)));
#endif
    const auto tick = [&] {
#ifdef DQ_FLASH
        board->flash_miso = flash.step(board->flash_cs, board->flash_sck, board->flash_mosi);
        board->eval();
#endif
        board->clk = 1;
        board->eval();
        board->clk = 0;
        board->eval();
    };
    // Bit 0: an error; bit 1: out of reset.
    const auto lamps = [&] {
#ifdef DQ_LAMPS_LOW
        return static_cast<unsigned>(~board->led);
#else
        return static_cast<unsigned>(board->led);
#endif
    };
    board->clk = 0;
    board->rx = 1;
    board->eval();
    // What comes before the end of reset would be lost.
    unsigned waited = 0;
    for (; (lamps() & 2) == 0 && waited < RESET; waited++) tick();
    if (waited == RESET) {
        const char* why = lamps() & 1 ? " (its flash holds something else)" : "";
        fprintf(stderr, "error: the board stays in reset%s\n", why);
        return 1;
    }
    const int line = terminal();
    for (uint64_t clock = 0;; clock++) {
        if (clock % LOOK == 0) {
            uint8_t bytes[256];
            const ssize_t count = read(line, bytes, sizeof bytes);
            if (count > 0) {
                to_board.insert(to_board.end(), bytes, bytes + count);
                last_byte = clock;
            }
            if (!parent_is_there()) return 0;
            if (clock - last_byte > IDLE) usleep(1000);
        }
        if (send_wait == 0) {
            if (sending == 0 && !to_board.empty()) {
                sending = 1u << 9 | unsigned(to_board.front()) << 1;
                to_board.pop_front();
            }
            board->rx = sending == 0 || (sending & 1) != 0;
            sending >>= 1;
            send_wait = clocks;
        }
        send_wait--;
        tick();
        if (seen_bits == 0) {
            // A start bit; its middle is looked at first.
            if (!board->tx) {
                seen_bits = 10;
                seen = 0;
                look_wait = clocks / 2;
            }
        } else if (look_wait > 0) {
            look_wait--;
        }
        if (seen_bits > 0 && look_wait == 0) {
            seen |= unsigned(board->tx) << (10 - seen_bits);
            seen_bits--;
            look_wait = clocks;
            if (seen_bits == 0) {
                const uint8_t byte = static_cast<uint8_t>(seen >> 1);
                last_byte = clock;
                // The terminal's buffer is far larger than all answers under way.
                if (write(line, &byte, 1) != 1) fail("error: writing to the terminal");
            }
        }
    }
}
