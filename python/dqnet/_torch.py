"""The circuit as a PyTorch module, for what attacks PyTorch modules."""

import numpy as np
import torch
from torch.autograd.function import once_differentiable


class _Scores(torch.autograd.Function):
    """Exact scores forward, straight-through gradients backward."""

    @staticmethod
    def forward(ctx, x, net):
        top = net.levels - 1
        pixels = (x.detach() * top).round().clamp(0, top).to(torch.uint8)
        ctx.net, ctx.like = net, x.new_empty(0)
        ctx.pixels = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return torch.from_numpy(net(ctx.pixels)).to(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangents):
        cotangents = cotangents.detach().to("cpu", torch.float32).contiguous().numpy()
        _, slopes = ctx.net.vjp(ctx.pixels, cotangents)
        # The engine's gradient is per level, and the largest level, 255 of pixels, is 1.
        slopes = torch.from_numpy(slopes).permute(0, 3, 1, 2) * (ctx.net.levels - 1)
        return slopes.to(ctx.like), None


class Circuit(torch.nn.Module):
    """An integer network as a module: N x C x H x W floats in [0, 1] to real logits, N x classes.

    ``forward`` rounds each pixel to the nearest of the 256 grey levels, as the circuit's input is uint8 (of
    an input of other levels: to the nearest of those), and the gradient goes straight through that. The
    module has no weights to train.
    """

    #: How far outside [0, 1] a pixel may lie: rounding errors of attacks, nothing more.
    SLACK = 1e-3

    def __init__(self, net):
        super().__init__()
        self.net = net
        # Toolboxes ask the first parameter where the model lives.
        self.place = torch.nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, x):
        height, width, channels = self.net.shape
        if x.dim() != 4 or tuple(x.shape[1:]) != (channels, height, width):
            raise ValueError(
                f"images: expected N x {channels} x {height} x {width}, found {' x '.join(map(str, x.shape))}"
            )
        if not x.is_floating_point():
            raise TypeError(f"images: expected floats in [0, 1], found {x.dtype}; for uint8: images.float() / 255")
        if len(x) and not (x.min() >= -self.SLACK and x.max() <= 1 + self.SLACK):
            raise ValueError(
                f"images: expected pixels in [0, 1], found {x.min().item():.3g} to {x.max().item():.3g}; "
                "the circuit normalizes by itself"
            )
        return _Scores.apply(x, self.net) * self.net.scale

    def extra_repr(self):
        return repr(self.net)
