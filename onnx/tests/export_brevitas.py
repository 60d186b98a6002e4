"""Exports networks of Brevitas as QONNX: the published ones of bnn_pynq with random weights and statistics, and a
small one with a learned scale per channel. Usage: export_brevitas.py FOLDER [NAME...]"""

import sys
from pathlib import Path

import torch
from brevitas.export import export_qonnx

SIZES = {"TFC": (1, 1, 28, 28), "LFC": (1, 1, 28, 28), "SFC": (1, 1, 28, 28)}


def shaken(model):
    """Gives batch normalizations statistics and gains as training leaves them, and calibrates nothing else."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=generator) * 0.5)
            module.running_var.copy_(torch.rand(size, generator=generator) * 3 + 0.5)
            if getattr(module, "weight", None) is not None:
                module.weight.data.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
    return model


def small():
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inp = qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, bit_width=8)
            self.c1 = qnn.QuantConv2d(3, 8, 3, padding=1, bias=False, weight_bit_width=4,
                                      weight_quant=Int8WeightPerChannelFloat)
            self.b1 = torch.nn.BatchNorm2d(8)
            self.a1 = qnn.QuantReLU(bit_width=4)
            self.c2 = qnn.QuantConv2d(8, 8, 3, stride=2, groups=8, bias=False, weight_bit_width=4,
                                      weight_quant=Int8WeightPerChannelFloat)
            self.b2 = torch.nn.BatchNorm2d(8)
            self.a2 = qnn.QuantReLU(bit_width=4)
            self.fc = qnn.QuantLinear(8 * 7 * 7, 10, bias=False, weight_bit_width=4)

        def forward(self, x):
            x = self.a1(self.b1(self.c1(self.inp(x))))
            x = self.a2(self.b2(self.c2(x)))
            return self.fc(x.flatten(1))

    net = Net().train()
    with torch.no_grad():
        for _ in range(40):
            net(torch.rand(16, 3, 16, 16))
    return net


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    for name in names or ["small", "TFC_1W1A", "TFC_2W2A", "LFC_1W1A", "CNV_1W1A", "CNV_2W2A", "RESNET18_4W4A"]:
        if name == "small":
            model, size = small(), (1, 3, 16, 16)
        else:
            model, _ = model_with_cfg(name.lower(), pretrained=False)
            size = SIZES.get(name[:3], (1, 3, 32, 32))
            with torch.no_grad():
                model.train()
                for _ in range(3):
                    model(torch.rand(4, *size[1:]))
                shaken(model)
        model.eval()
        export_qonnx(model, torch.rand(size), export_path=str(folder / f"{name}.onnx"), dynamo=False)
        print(name)


if __name__ == "__main__":
    main()
