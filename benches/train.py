#!/usr/bin/env python3
"""Training throughput: `dq train` against the same network in PyTorch, on this machine, in one run, as ratios.

    cargo build --release
    pip install torch==2.11.0
    benches/train.py                     # CPU, 2 threads
    benches/train.py --device cuda

The network has 1 M weights (49 MMAC, 32x32 images), W4A4, batch 128, SGD with Nesterov momentum. The peers: PyTorch with
fake quantization (weights a channel, activations ReLU6 to 15 steps, straight through) and the Defensive Quantization
penalty by autograd, in fp32 and under bf16 autocast, channels-last both; and PyTorch without quantization or penalty, bf16.
dq's figure is that of metrics.jsonl, augmentation and data included, as is its penalty; the peers' data lies ready.
Rounds are interleaved, medians are printed.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS, BATCH, BITS, BETA = [64, 128, 256, 256], 128, 4, 2e-3
RECIPE = """
name = "throughput"
data = {set = "signs", augment = ["crop"]}
model = {architecture = "vgg", blocks = [[64], [128], [256], [256]]}
train = {epochs = 2, batch = 128}
"""


def through(x, rounded):
    return x + (rounded - x).detach()


class Block(nn.Module):
    def __init__(self, inputs, outputs, quantized):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.quantized = quantized

    def forward(self, x):
        weight = self.conv.weight
        if self.quantized:
            scale = weight.detach().abs().amax((1, 2, 3), keepdim=True) / (2 ** (BITS - 1) - 1)
            weight = through(weight, torch.round(weight / scale) * scale)
        x = F.relu6(self.norm(F.conv2d(x, weight, padding=1)))
        if self.quantized:
            step = 6 / (2**BITS - 1)
            x = through(x, torch.round(x / step) * step)
        return F.max_pool2d(x, 2)


class Network(nn.Module):
    def __init__(self, quantized):
        super().__init__()
        pairs = zip([3] + CHANNELS[:-1], CHANNELS)
        self.blocks = nn.ModuleList(Block(a, b, quantized) for a, b in pairs)
        self.last = nn.Linear(CHANNELS[-1], 10)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(x.mean((2, 3)))

    def penalty(self):
        total = 0
        for block in self.blocks:
            w = block.conv.weight.flatten(1)
            gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
            total = total + (gram - torch.eye(gram.shape[0], device=w.device)).square().sum()
        return BETA / 2 * total


class Peer:
    def __init__(self, device, quantized, bf16):
        torch.manual_seed(1)
        self.device, self.quantized, self.bf16 = device, quantized, bf16
        self.model = Network(quantized).to(device).to(memory_format=torch.channels_last)
        rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
        self.optimizer = torch.optim.SGD(self.model.parameters(), **rates)
        self.images = torch.rand(BATCH, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (BATCH,), device=device)

    def step(self):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            loss = F.cross_entropy(self.model(self.images).float(), self.labels)
        if self.quantized:
            loss = loss + self.model.penalty()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def rate(self, steps):
        self.step()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return steps * BATCH / (time.perf_counter() - start)


def ours(given, overrides):
    with tempfile.TemporaryDirectory() as folder:
        recipe = pathlib.Path(folder, "recipe.toml")
        recipe.write_text(RECIPE)
        command = [given.dq, "train", recipe, "--out", f"{folder}/run", "--threads", str(given.threads), "--quiet"]
        command += ["--device", given.device] + [word for o in overrides for word in ("--set", o)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = pathlib.Path(folder, "run", "metrics.jsonl").read_text().splitlines()
        return json.loads(lines[-1])["images_per_second"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dq", default="target/release/dq", help="the program (default: %(default)s)")
    arguments.add_argument("--threads", type=int, default=2, help="CPU threads of both (default: %(default)s)")
    arguments.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments.add_argument("--rounds", type=int, default=3, help="rounds of which the median is taken")
    arguments.add_argument("--steps", type=int, default=0, help="steps of a peer a round (default: 15, on CUDA 200)")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    steps = given.steps or (200 if given.device == "cuda" else 15)
    peers = {
        "PyTorch, fake-quantized + DQ, fp32": Peer(given.device, True, False),
        "PyTorch, fake-quantized + DQ, bf16": Peer(given.device, True, True),
        "PyTorch, unquantized, bf16": Peer(given.device, False, True),
    }
    runs = {"dq": [], "dq without penalty": ["dq.beta=0"]}
    found = {name: [] for name in [*runs, *peers]}
    for _ in range(given.rounds):
        for name, overrides in runs.items():
            found[name].append(ours(given, overrides))
        for name, peer in peers.items():
            found[name].append(peer.rate(steps))
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        print(f"{name:36} {value:9.0f} images/s   dq is {medians['dq'] / value:5.2f} of it")


if __name__ == "__main__":
    main()
