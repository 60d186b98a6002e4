"""Makes a MobileNet-like and a ResNet-like network and quantizes them by ONNX Runtime's static quantizer, in both
formats, per channel, symmetric and not. Usage: export_ort.py FOLDER"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Net:
    def __init__(self, seed):
        self.random, self.nodes, self.constants = np.random.default_rng(seed), [], []

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"t_{name}"], name=name, **attributes))
        return f"t_{name}"

    def conv(self, x, inputs, outputs, kernel, stride=1, group=1, relu=True):
        fan = inputs // group * kernel * kernel
        weight = self.random.normal(0, (2 / fan) ** 0.5, (outputs, inputs // group, kernel, kernel))
        bias = self.random.normal(0, 0.1, outputs)
        args = [x, self.constant(weight.astype(np.float32)), self.constant(bias.astype(np.float32))]
        pad = kernel // 2
        x = self.node("Conv", args, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group)
        return self.node("Relu", [x]) if relu else x

    def model(self, y):
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["N", 10])], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def classifier(self, x, channels):
        x = self.node("GlobalAveragePool", [x])
        x = self.node("Flatten", [x])
        weight = self.random.normal(0, 0.3, (10, channels)).astype(np.float32)
        args = [x, self.constant(weight), self.constant(np.zeros(10, np.float32))]
        return self.node("Gemm", args, transB=1)


def mobilenet(_):
    net = Net(1)
    x = net.conv("x", 3, 8, 3, stride=2)
    for inputs, outputs, stride in [(8, 16, 1), (16, 24, 2)]:
        x = net.conv(x, inputs, inputs, 3, stride=stride, group=inputs)
        x = net.conv(x, inputs, outputs, 1)
    return net.model(net.classifier(x, 24))


def resnet(_):
    net = Net(2)
    x = net.conv("x", 3, 8, 3)
    for stride, inputs, outputs in [(1, 8, 8), (2, 8, 16)]:
        y = net.conv(x, inputs, outputs, 3, stride=stride)
        y = net.conv(y, outputs, outputs, 3, relu=False)
        x = x if stride == 1 else net.conv(x, inputs, outputs, 1, stride=stride, relu=False)
        x = net.node("Relu", [net.node("Add", [x, y])])
    return net.model(net.classifier(x, 16))


class Images(CalibrationDataReader):
    def __init__(self):
        random = np.random.default_rng(3)
        self.left = [{"x": random.random((1, 3, 16, 16), dtype=np.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in [("mobilenet", mobilenet), ("resnet", resnet)]:
        plain = folder / f"{name}.float.onnx"
        onnx.save(make(None), plain)
        for form in [QuantFormat.QDQ, QuantFormat.QOperator]:
            for symmetric in [False, True]:
                path = folder / f"{name}_{form.name.lower()}_{'symmetric' if symmetric else 'shifted'}.onnx"
                quantize_static(
                    plain, path, Images(), quant_format=form, per_channel=name == "mobilenet",
                    activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
                    weight_type=QuantType.QInt8, extra_options={"ActivationSymmetric": symmetric})
                print(path.name)
        plain.unlink()


if __name__ == "__main__":
    main()
