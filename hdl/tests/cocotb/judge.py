"""Drives an emitted circuit from outside: its AXI4-Stream ports and its AXI4-Lite port by cocotbext-axi, whose authors
know nothing of this project. The folder of the emission is in DQ_RTL; its testbench's frames and words are what must
come. The module is `top`, or `top_axi`, whose clock and reset have other names.

A test is a coroutine; run.py builds the circuit with Verilator or Icarus and runs all of them."""

import itertools
import os
import random
import zlib
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

RTL = Path(os.environ["DQ_RTL"])
FRAMES = int(os.environ["DQ_FRAMES"])
IDENTITY, SIZE, CONTROL, STATUS, FRAMES_IN, FRAMES_OUT = 0x000, 0x004, 0x008, 0x00C, 0x014, 0x018
LOAD_SELECT, LOAD_DATA, LOAD_COUNT, CHECKSUM = 0x01C, 0x020, 0x024, 0x028
# A round of each port of weights; such a circuit has nothing to load.
ROUNDS = sorted(RTL.glob("tb_s_axis_*.mem"))
HOLD, CLEAR_COUNTERS, RESTART_CHECKSUM = 1, 2, 4


def lines(path):
    """Reads the testbench's words, behind the line that says whose they are."""
    return [int(line, 16) for line in path.read_text().split("\n")[1:] if line]


def frames(name):
    """Reads the testbench's words, frame by frame."""
    words = lines(RTL / name)
    size = len(words) // FRAMES
    return [words[i : i + size] for i in range(0, len(words), size)]


def in_bytes(frame, port):
    return b"".join(word.to_bytes(len(port) // 8, "little") for word in frame)


class Bench:
    """The circuit with a source, a sink and a watch on its output."""

    def __init__(self, dut, seed=1):
        self.dut, self.random = dut, random.Random(seed)
        renamed = hasattr(dut, "aclk")
        self.clk, self.rst, self.active = (dut.aclk, dut.aresetn, 0) if renamed else (dut.clk, dut.rst, 1)
        cocotb.start_soon(Clock(self.clk, 10, "ns").start())
        ends = self.clk, self.rst, bool(self.active)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *ends)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *ends)
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), *ends)
        # The two models take and give the bytes of a beat, low byte first.
        self.sent, self.wanted = ([in_bytes(frame, port) for frame in frames(name)]
                                  for name, port in (("tb_input.mem", dut.s_axis_tdata), ("tb_output.mem", dut.m_axis_tdata)))
        self.beat = len(dut.s_axis_tdata) // 8
        self.awake = Event()
        self.weights = [self.play(path, dut, ends) for path in ROUNDS]
        cocotb.start_soon(self.watch())

    def play(self, path, dut, ends):
        """Plays a round of weights again and again."""
        port = path.stem.removeprefix("tb_")
        source = AxiStreamSource(AxiStreamBus.from_prefix(dut, port), *ends)
        source.queue_occupancy_limit_frames = 2
        whole = in_bytes(lines(path), getattr(dut, f"{port}_tdata"))

        async def loop():
            # Whoever offers during reset loses what the circuit does not hold.
            await self.awake.wait()
            while True:
                await source.send(AxiStreamFrame(whole))

        cocotb.start_soon(loop())
        return source

    async def watch(self):
        """Asserts what AXI4-Stream asks of a master: once offered, a beat stays until it is taken."""
        offered = None
        while True:
            await RisingEdge(self.clk)
            await ReadOnly()
            if self.rst.value == self.active:
                offered = None
                continue
            here = self.dut.m_axis_tvalid.value == 1
            beat = (int(self.dut.m_axis_tdata.value), int(self.dut.m_axis_tlast.value)) if here else None
            assert offered is None or beat == offered, f"offered {offered}, then {beat}"
            taken = here and self.dut.m_axis_tready.value == 1
            offered = None if taken else beat

    async def reset(self, cycles=4):
        self.rst.value = self.active
        await ClockCycles(self.clk, cycles)
        self.rst.value = 1 - self.active
        self.awake.set()
        await RisingEdge(self.clk)

    def pauses(self, share):
        """Yields for each cycle whether to wait."""
        chance = random.Random(self.random.random())
        return (chance.random() < share for _ in itertools.count())

    async def check(self, count):
        """Sends frames and compares what comes."""
        for n in range(count):
            await self.source.send(AxiStreamFrame(self.sent[n % FRAMES]))
        for n in range(count):
            found = await with_timeout(self.sink.recv(), 2, "ms")
            assert bytes(found.tdata) == self.wanted[n % FRAMES], f"frame {n}: {found.tdata.hex()}"


@cocotb.test()
async def frames_come_out_as_computed(dut):
    bench = Bench(dut)
    await bench.reset()
    await bench.check(2 * FRAMES)
    assert dut.error.value == 0


@cocotb.test()
async def gaps_and_back_pressure_change_nothing(dut):
    bench = Bench(dut, seed=7)
    await bench.reset()
    for source, sink in [(0.7, 0.0), (0.0, 0.9), (0.5, 0.5)]:
        bench.source.set_pause_generator(bench.pauses(source))
        bench.sink.set_pause_generator(bench.pauses(sink))
        for weights in bench.weights:
            weights.set_pause_generator(bench.pauses(source))
        await bench.check(FRAMES)
        assert dut.error.value == 0


@cocotb.test()
async def a_reset_in_the_middle_of_a_frame_leaves_nothing_of_it(dut):
    bench = Bench(dut, seed=3)
    await bench.reset()
    for _ in range(3):
        bench.source.send_nowait(AxiStreamFrame(bench.sent[0]))
        await ClockCycles(bench.clk, bench.random.randrange(10, 2 * len(bench.sent[0])))
        await bench.reset(1)
        bench.source.clear()
        bench.sink.clear()
        await bench.reset(1)
        await bench.check(FRAMES)
        assert dut.error.value == 0


@cocotb.test()
async def a_wrong_tlast_is_an_error_until_reset(dut):
    bench = Bench(dut, seed=5)
    whole = bench.sent[0]
    for wrong in (whole[: bench.beat], whole[: -bench.beat], whole + whole[: bench.beat]):
        await bench.reset()
        assert dut.error.value == 0
        await bench.source.send(AxiStreamFrame(wrong))
        await bench.source.wait()
        await ClockCycles(bench.clk, 4)
        assert dut.error.value == 1, f"{len(wrong)} of {len(whole)} bytes"
        assert int((await bench.control.read(STATUS, 4)).data[0]) & 2
        bench.source.clear()
        await bench.reset()
        bench.sink.clear()
        await bench.check(1)
        assert dut.error.value == 0


async def word(bench, address):
    found = await bench.control.read(address, 4)
    assert found.resp == AxiResp.OKAY, hex(address)
    return int.from_bytes(found.data, "little")


async def write(bench, address, value, size=4):
    return (await bench.control.write(address, value.to_bytes(size, "little"))).resp


@cocotb.test(skip=bool(ROUNDS))
async def the_control_port_answers_as_its_map_says(dut):
    # The address before the data, the data before the address, and answers that are taken late.
    bench = Bench(dut, seed=11)
    port = bench.control
    for address, data, answer in [(0, 0, 0), (0.9, 0, 0), (0, 0.9, 0), (0.5, 0.5, 0.9)]:
        await bench.reset()
        port.write_if.aw_channel.set_pause_generator(bench.pauses(address))
        port.write_if.w_channel.set_pause_generator(bench.pauses(data))
        port.write_if.b_channel.set_pause_generator(bench.pauses(answer))
        port.read_if.ar_channel.set_pause_generator(bench.pauses(address))
        port.read_if.r_channel.set_pause_generator(bench.pauses(answer))
        stages = await word(bench, SIZE)
        assert stages & 0xFFFF and stages >> 16, f"{stages:#x}: stages to count and to load"
        identity = await word(bench, IDENTITY)
        # Read-only registers, addresses that are not there, and parts of words have no effect.
        assert await write(bench, IDENTITY, 5) == AxiResp.SLVERR
        assert await write(bench, 0xFFC, 5) == AxiResp.SLVERR
        assert (await port.read(0xFFC, 4)).resp == AxiResp.SLVERR
        assert await write(bench, LOAD_SELECT, 1) == AxiResp.OKAY
        for place, size in [(LOAD_SELECT, 1), (LOAD_SELECT + 1, 2), (LOAD_SELECT + 3, 1)]:
            assert await write(bench, place, 0, size) == AxiResp.SLVERR, f"{size} bytes at {place:#x}"
        assert await word(bench, LOAD_SELECT) == 1
        assert await word(bench, IDENTITY) == identity


@cocotb.test()
async def a_held_input_takes_nothing_and_frames_are_counted(dut):
    bench = Bench(dut, seed=17)
    await bench.reset()
    assert await write(bench, CONTROL, HOLD | CLEAR_COUNTERS) == AxiResp.OKAY
    for sent in bench.sent:
        bench.source.send_nowait(AxiStreamFrame(sent))
    await ClockCycles(bench.clk, 3 * len(bench.sent[0]))
    assert await word(bench, FRAMES_IN) == 0 and bench.sink.empty()
    assert await write(bench, CONTROL, 0) == AxiResp.OKAY
    for wanted in bench.wanted:
        assert bytes((await with_timeout(bench.sink.recv(), 2, "ms")).tdata) == wanted
    assert (await word(bench, FRAMES_IN), await word(bench, FRAMES_OUT)) == (FRAMES, FRAMES)


@cocotb.test(skip=bool(ROUNDS))
async def words_that_are_loaded_are_counted_and_summed(dut):
    # The last test: it spoils a stage's parameters, which a reset does not bring back.
    bench = Bench(dut, seed=13)
    await bench.reset()
    assert await write(bench, CONTROL, HOLD | RESTART_CHECKSUM) == AxiResp.OKAY
    assert await word(bench, STATUS) == 1
    assert await write(bench, LOAD_SELECT, 0) == AxiResp.OKAY
    words = [bench.random.getrandbits(32) for _ in range(5)]
    for value in words:
        assert await write(bench, LOAD_DATA, value) == AxiResp.OKAY
    assert await word(bench, LOAD_COUNT) == len(words)
    assert await word(bench, CHECKSUM) == zlib.crc32(b"".join(value.to_bytes(4, "little") for value in words))
