#!/usr/bin/env python3
"""dq against its peers on the same networks, on this machine, in one run: `dq bench` and PyTorch in turn, as ratios.

    cargo build --release
    pip install torch==2.11.0 torchattacks==3.5.1 scipy requests tqdm
    benches/peers.py cnn10 cnn60

The peer is what is used today to evaluate a quantized network: a fake-quantized float model in PyTorch, attacked by
torchattacks (PGD of 20 steps, eps 8/255; Square), batch 128, W4A4, random weights. Speed alone is compared: dq's answers
are the circuit's, bit for bit, a fake-quantized model's are not. Both use the threads given by --threads. The last two
columns are dq's with gradients in 16-bit fixed point (--grad int16); they change fgsm and pgd20 alone.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch
import torchattacks
from torch import nn

SHAPES = {
    "cnn10": [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1)],
    "cnn60": [(32, 1), (64, 2), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1)],
}
BATCH, RUNS, STEPS, QUERIES, BITS = 128, 5, 20, 20, 4


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


def network(name):
    layers, inputs = [], 3
    for outputs, stride in SHAPES[name]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        most = conv.weight.data.abs().amax() / (2 ** (BITS - 1) - 1)
        conv.weight.data = torch.round(conv.weight.data / most) * most
        layers += [conv, Quantize()]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)]
    return nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)


class Quantize(nn.Module):
    def forward(self, x):
        return Levels.apply(x)


def rate(amount, run):
    run()
    rates = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        rates.append(amount / (time.perf_counter() - start))
    return statistics.median(rates)


def peer(name):
    torch.manual_seed(1)
    model = network(name)
    for weight in model.parameters():
        weight.requires_grad_(False)
    images = torch.randint(0, 256, (BATCH, 3, 32, 32)).float().div(255).contiguous(memory_format=torch.channels_last)
    labels = model(images).argmax(1)
    pgd = torchattacks.PGD(model, eps=8 / 255, alpha=2 / 255, steps=STEPS)
    fgsm = torchattacks.FGSM(model, eps=8 / 255)
    # In a ball of nothing no image is broken, so that every query is made, as in dq bench.
    square = torchattacks.Square(model, eps=1e-9, n_queries=QUERIES)
    square.verbose = False

    def forward():
        with torch.inference_mode():
            model(images)

    return {
        "forward": rate(BATCH, forward),
        "fgsm": rate(BATCH, lambda: fgsm(images, labels)),
        "pgd20": rate(BATCH, lambda: pgd(images, labels)),
        "square": rate(BATCH * QUERIES, lambda: square(images, labels)),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", default=list(SHAPES), help="cnn10, cnn60 (default: both)")
    arguments.add_argument("--dq", default="target/release/dq", help="the program (default: %(default)s)")
    arguments.add_argument("--threads", type=int, default=1, help="threads of both (default: %(default)s)")
    given = arguments.parse_args()
    for name in given.networks:
        if name not in SHAPES:
            arguments.error(f"unknown network {name}: expected {' or '.join(SHAPES)}")
    torch.set_num_threads(given.threads)
    suffix = "_core" if given.threads == 1 else ""
    print(
        f"{'network':8} {'what':8} {'PyTorch':>9} {'dq':>9} {'ratio':>6} {'dq int16':>9} {'ratio':>6}"
        f"   per second, {given.threads} thread(s)"
    )
    for name in given.networks:
        command = [given.dq, "bench", name, "--json", "--quiet", "--threads", str(given.threads)]

        def bench(grad):
            found = subprocess.run([*command, "--grad", grad], check=True, capture_output=True, text=True)
            return json.loads(found.stdout)

        ours, theirs, fixed = bench("f32"), peer(name), bench("int16")
        for what, value in theirs.items():
            one, other = ours[what + suffix], fixed[what + suffix]
            print(f"{name:8} {what:8} {value:9.0f} {one:9.0f} {one / value:6.1f} {other:9.0f} {other / value:6.1f}")


if __name__ == "__main__":
    main()
