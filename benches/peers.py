#!/usr/bin/env python3
"""dq beside its peers on the same networks and this machine: `dq bench` and PyTorch in turn, as ratios.

    cargo build --release
    pip install torch torchattacks scipy requests tqdm
    benches/peers.py cnn10 cnn60

W4A4, random weights, batches of 128, the threads of --threads. There are two peers:

fake   A fake-quantized float model, which is what a quantized network is evaluated with today: f32 throughout, weights
       and activations rounded to 16 levels. torchattacks attacks it (FGSM, PGD of 20 steps, eps 8/255; Square).
int8   PyTorch's own int8, the x86 engine: post-training static quantization, convolution and activation fused, one
       scale per tensor of activations, no fewer bits than 8. It has no gradient: forward alone is compared.

Neither computes batch norm: it is folded into the convolutions, which is their fastest form. Speed alone is compared;
the answers of dq are the circuit's, bit for bit, those of the peers are not. Each round runs dq and then each peer, and
gives one ratio of each; what is printed is the median over the rounds, with the least and the largest ratio.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

try:
    import torch
    import torchattacks
    from torch import nn
    from torch.ao.quantization import QConfig, QConfigMapping
    from torch.ao.quantization import MinMaxObserver, default_per_channel_weight_observer
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
except ImportError as error:
    sys.exit(f"peers.py: {error}: pip install torch torchattacks scipy requests tqdm")

SHAPES = {
    "cnn10": [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1)],
    "cnn60": [(32, 1), (64, 2), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1)],
}
SIDE, CLASSES, BATCH, STEPS, QUERIES, BITS = 32, 10, 128, 20, 20, 4


class Levels(torch.autograd.Function):
    """Clip to 0..6 and round to 2^bits levels; the gradient passes inside the clip."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward((x > 0) & (x < 6))
        scale = (2**BITS - 1) / 6
        return torch.round(x.clamp(0, 6) * scale) / scale

    @staticmethod
    def backward(ctx, slope):
        return slope * ctx.saved_tensors[0]


class Quantize(nn.Module):
    def forward(self, x):
        return Levels.apply(x)


def network(name, activation):
    layers, inputs = [], 3
    for outputs, stride in SHAPES[name]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        most = conv.weight.data.abs().amax() / (2 ** (BITS - 1) - 1)
        conv.weight.data = torch.round(conv.weight.data / most) * most
        layers += [conv, activation()]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES)]
    model = nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)
    return model.requires_grad_(False)


def macs(name):
    """Multiply-accumulates of one image."""
    total, inputs, side = 0, 3, SIDE
    for outputs, stride in SHAPES[name]:
        side //= stride
        total += side * side * 9 * inputs * outputs
        inputs = outputs
    return total + inputs * CLASSES


def int8(name, images):
    """The network in PyTorch's int8. A fused ReLU clips at the top of its levels' range, as a ReLU6 would."""
    if "x86" not in torch.backends.quantized.supported_engines:
        sys.exit(f"peers.py: this PyTorch has no int8 engine x86, only {torch.backends.quantized.supported_engines}")
    torch.backends.quantized.engine = "x86"
    activations = MinMaxObserver.with_args(dtype=torch.quint8, qscheme=torch.per_tensor_affine)
    config = QConfig(activation=activations, weight=default_per_channel_weight_observer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = prepare_fx(network(name, nn.ReLU), QConfigMapping().set_global(config), (images,))
        model(images)
        model = convert_fx(model)
    fused = sum(type(layer).__name__ == "ConvReLU2d" for layer in model.modules())
    if fused != len(SHAPES[name]):
        sys.exit(f"peers.py: expected {len(SHAPES[name])} fused int8 convolutions, PyTorch made {fused}")
    return model


def peers(name):
    """What each peer does: (row, peer, amount per run, the run)."""
    torch.manual_seed(1)
    images = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE)).float().div(255)
    images = images.contiguous(memory_format=torch.channels_last)
    fake, quantized = network(name, Quantize), int8(name, images)
    labels = fake(images).argmax(1)
    fgsm = torchattacks.FGSM(fake, eps=8 / 255)
    pgd = torchattacks.PGD(fake, eps=8 / 255, alpha=2 / 255, steps=STEPS)
    # A query costs this peer the same in any ball, and in one of nothing no image is broken, so that all are made. It
    # costs dq as much as the pixels that change: dq bench takes a ball of 8/255 and counts the queries that it makes.
    square = torchattacks.Square(fake, eps=1e-9, n_queries=QUERIES)
    square.verbose = False

    def forward(model):
        with torch.inference_mode():
            model(images)

    return [
        ("forward", "fake", BATCH, lambda: forward(fake)),
        ("forward", "int8", BATCH, lambda: forward(quantized)),
        ("fgsm", "fake", BATCH, lambda: fgsm(images, labels)),
        ("pgd20", "fake", BATCH, lambda: pgd(images, labels)),
        ("square", "fake", BATCH * QUERIES, lambda: square(images, labels)),
    ]


def bench(given, name, grad):
    """What `dq bench` says."""
    command = [given.dq, "bench", name, "--json", "--quiet", "--threads", str(given.threads), "--grad", grad]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"peers.py: no program {given.dq}: cargo build --release, or --dq PROGRAM")
    except subprocess.CalledProcessError as error:
        sys.exit(f"peers.py: {' '.join(command)}: exit code {error.returncode}\n{error.stderr}")
    return json.loads(found.stdout)


def rate(amount, run):
    """The median rate of three runs."""
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        rates.append(amount / (time.perf_counter() - start))
    return statistics.median(rates)


def compare(given, name):
    """Rounds of dq and peers in turn: prints a line per row and peer. Returns what dq says of itself."""
    jobs = peers(name)
    for *_, run in jobs:
        run()
    suffix = "_core" if given.threads == 1 else ""
    rounds = []
    for _ in range(given.rounds):
        ours = {grad: bench(given, name, grad) for grad in ("f32", "int16")}
        rounds.append((ours, [rate(amount, run) for _, _, amount, run in jobs]))
    for n, (what, peer, *_) in enumerate(jobs):
        theirs = [rates[n] for _, rates in rounds]
        line = f"{name:6} {what:8} {peer:5} {statistics.median(theirs):9.0f}"
        # The numbers that gradients are summed in change nothing but gradients.
        for grad in ("f32", "int16") if what in ("fgsm", "pgd20") else ("f32",):
            mine = [ours[grad][what + suffix] for ours, _ in rounds]
            ratios = [a / b for a, b in zip(mine, theirs)]
            spread = f"({min(ratios):.1f}-{max(ratios):.1f})"
            line += f"  {grad:>5} {statistics.median(mine):8.0f} {statistics.median(ratios):5.2f} {spread:11}"
        print(line, flush=True)
    return rounds[-1][0]["f32"]["kernel"]


def processor():
    """The processor's name, as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", default=list(SHAPES), help="cnn10, cnn60 (default: both)")
    arguments.add_argument("--dq", default="target/release/dq", help="the program (default: %(default)s)")
    arguments.add_argument("--threads", type=int, default=1, help="threads of both (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=5, help="rounds of dq and peers (default: %(default)s)")
    given = arguments.parse_args()
    for name in given.networks:
        if name not in SHAPES:
            arguments.error(f"unknown network {name}: expected {' or '.join(SHAPES)}")
    if given.threads < 1 or given.rounds < 1:
        arguments.error("--threads and --rounds: expected at least 1")
    torch.set_num_threads(given.threads)
    print(f"{processor()}, {given.threads} thread(s), {given.rounds} rounds of dq and peers in turn")
    print(f"PyTorch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}", end="")
    print(f", int8 engine x86; torchattacks {torchattacks.__version__}")
    for name in given.networks:
        amount = f"{macs(name) / 1e6:.1f} million multiply-accumulates an image"
        print(f"\n{name}, {amount}: dq in {BITS}-bit integers, exact; fake in f32; int8 in int8; peers not exact")
        print("net    what     peer     per s  then for dq, by numbers of gradients: per s, ratio (least-largest)")
        print(f"dq's kernel: {compare(given, name)}")


if __name__ == "__main__":
    main()
