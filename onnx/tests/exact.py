"""Runs an ONNX file in exact arithmetic on many images at once: fractions, and roots to 400 bits, far from
every rounding boundary (or it fails). A second reading of the format, which shares nothing with dq."""

import bisect
import math
from fractions import Fraction

import numpy as np
from onnx import helper, numpy_helper
from exact_tensor import (
    each, exact, greatest, half_even, is_positive, joined, padded, product, quotient, root, rounding, total,
    windows)


def limits(bits, signed, narrow):
    low = -(1 << (bits - 1)) + narrow if signed else 0
    return low, (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - narrow


def clipped(level, low, high):
    return low if level < low else high if level > high else level


def quant(x, scale, zero, bits, a):
    bits, signed, narrow = int(bits.item()), a.get("signed", 1), a.get("narrow", 1)
    if bits == 1 and signed:
        return each(lambda x, s, z: ((1 if is_positive(x) else -1) - z) * s, x, scale, zero)
    low, high = limits(bits, signed, narrow)
    fixed = rounding(a.get("rounding_mode", b"ROUND").decode().upper())

    def level(x, s, z):
        # A zero point that is no whole number would be rounded with the quotient.
        n, d = quotient(x, s)
        level = clipped(fixed(n * z.denominator + z.numerator * d, d * z.denominator), low, high)
        return level - z if z else level

    return each(level, x, scale, zero) * scale


def trunc(x, scale, zero, rest, a):
    """Five inputs keep the scale; six have one of their own, a power of two away."""
    fixed = rounding(a.get("rounding_mode", b"FLOOR").decode().upper())

    def level(x, s, z):
        return half_even(*(x / s + z).as_integer_ratio())

    if len(rest) == 2:
        divisor = Fraction(2) ** int(rest[0].item() - rest[1].item())
        out, shift, bounds = scale, Fraction(1), None
    else:
        divisor = Fraction(2) ** round(math.log2(rest[1].item() / scale.item()))
        out, shift = rest[1], divisor
        bounds = limits(int(rest[2].item()), a.get("signed", 1), a.get("narrow", 0))

    def again(level, z):
        value = level / divisor
        return fixed(*(value if bounds is None else clipped(value, *bounds)).as_integer_ratio()) - z / shift

    return each(again, each(level, x, scale, zero), zero) * out


def thresholds(x, rows, a):
    """Counts the thresholds of the channel that are reached."""
    levels = rows.reshape(-1).numbers()
    levels = [levels[i:i + rows.shape[1]] for i in range(0, len(levels), rows.shape[1])]
    axis = x.ndim - 1 if a.get("data_layout", b"NCHW").decode() in ("NHWC", "NWC") else 1
    channel = along(exact(np.arange(len(levels))), x.ndim, axis)
    scale, bias = Fraction(a.get("out_scale", 1.0)), Fraction(a.get("out_bias", 0.0))
    return each(lambda x, c: bias + scale * bisect.bisect_right(levels[int(c)], x), x, channel)


def along(values, rank, axis):
    if values.places.size == 1:
        return values.reshape([1] * rank)
    if values.ndim == rank:
        return values
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def conv(x, weight, bias, a):
    if x.ndim == 3:
        # A line is a map of one row.
        (before, after), (stride,) = a.get("pads", [0, 0]), a.get("strides", [1])
        (gap,) = a.get("dilations", [1])
        a = {**a, "pads": [0, before, 0, after], "strides": [1, stride], "dilations": [1, gap]}
        rows = [v.moved(lambda p: np.expand_dims(p, 2)) for v in (x, weight)]
        return conv(*rows, bias, a).moved(lambda p: p[:, :, 0])
    groups, outputs = a.get("group", 1), weight.shape[0]
    taps = windows(x, weight.shape[2:], a, Fraction(0))
    n, channels, count, rows, columns = taps.shape
    taps = taps.transpose(1, 2, 0, 3, 4).reshape(groups, channels // groups * count, -1)
    weight = weight.reshape(groups, outputs // groups, -1)
    parts = [product(weight.moved(lambda w: w[g]), taps.moved(lambda t: t[g])) for g in range(groups)]
    y = joined(parts, 0).reshape(outputs, n, rows, columns).transpose(1, 0, 2, 3)
    return y if bias is None else y + along(bias, 4, 1)


def dense(x, weight, bias, a):
    weight = weight if a.get("transB", 0) else weight.transpose()
    if a.get("transA", 0) or a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1:
        raise NotImplementedError("transA, alpha, beta")
    rows = x.reshape(-1, x.shape[-1])
    y = product(weight, rows.transpose()).transpose().reshape(*x.shape[:-1], -1)
    return y if bias is None else y + bias


def quantize(x, scale, zero, bounds, axis):
    low, high = bounds
    scale, zero = along(scale, x.ndim, axis), along(zero, x.ndim, axis)
    return each(lambda x, s, z: clipped(half_even(*quotient(x, s)) + z.numerator, low, high), x, scale, zero)


def dequantize(x, scale, zero, axis):
    x = x if zero is None else x - along(zero, x.ndim, axis)
    return x * along(scale, x.ndim, axis)


def linear(kind, inputs, bounds, a):
    """What an operator on levels means: dequantize, the exact operator, quantize. None for other kinds."""
    def real(i, axis=1):
        return dequantize(inputs[i], inputs[i + 1], inputs[i + 2] if i + 2 < len(inputs) else None, axis)

    def levels(y, i):
        return quantize(y, inputs[i], inputs[i + 1], bounds[i + 1], 1)

    def bias(i):
        return inputs[i] * inputs[1] * inputs[4] if i < len(inputs) and inputs[i] is not None else None

    if kind == "QLinearConv":
        return levels(conv(real(0), real(3, 0), bias(8), a), 6)
    if kind == "QLinearMatMul":
        return levels(dense(real(0), real(3), None, {}), 6)
    if kind == "QLinearAdd":
        return levels(real(0) + real(3), 6)
    if kind == "QGemm":
        y = dense(real(0), real(3, 0 if a.get("transB", 0) else 1), bias(6), a)
        return levels(y, 7) if len(inputs) > 7 else y
    if kind in ("QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearLeakyRelu"):
        return levels(node(kind.removeprefix("QLinear"), a, [real(0)], [], True), 3)
    return None


def pool(kind, x, a):
    if kind == "MaxPool":
        return greatest(windows(x, a["kernel_shape"], a, Fraction(-(10**30))), 2)
    if kind == "GlobalMaxPool":
        return greatest(x.reshape(*x.shape[:2], -1), 2).reshape(*x.shape[:2], 1, 1)
    if kind == "GlobalAveragePool" or kind == "ReduceMean" and [v % x.ndim for v in a["axes"]] == [2, 3]:
        y = total(x, [2, 3]) / exact(x.shape[2] * x.shape[3])
        return y.reshape(*x.shape[:2], 1, 1) if a.get("keepdims", 1) else y
    whole = a.get("count_include_pad", 0) or not any(a.get("pads", [0]))
    if kind == "AveragePool" and whole and not a.get("ceil_mode", 0):
        taps = windows(x, a["kernel_shape"], a, Fraction(0))
        return total(taps, [2]) / exact(taps.shape[2])
    raise NotImplementedError(kind)


def cut(kind, x, rest, a):
    """Parts of a tensor: a list for Split."""
    if kind == "Pad":
        pads = [int(v) for v in rest[0].numbers()]
        if a.get("mode", b"constant") != b"constant" or len(pads) != 2 * x.ndim:
            raise NotImplementedError("Pad")
        fill = rest[1].item() if len(rest) > 1 else Fraction(0)
        return padded(x, pads[:x.ndim], pads[x.ndim:], fill)
    if kind == "Split":
        sizes = [int(v) for v in rest[0].numbers()] if rest else a.get("split")
        axis = a.get("axis", 0)
        ends = np.cumsum(sizes)[:-1] if sizes else a["outputs"]
        return [x.moved(lambda _: part) for part in np.split(x.places, ends, axis)]
    numbers = [[int(v) for v in part.numbers()] for part in rest]
    starts, ends, axes, steps = numbers if len(numbers) == 4 else [*numbers, [1] * len(numbers[0])]
    parts = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        parts[axis] = slice(start, end, step)
    return x.moved(lambda p: p[tuple(parts)])


def shaped(kind, x, rest, a, batch):
    """Operators that only move numbers. Of a batch each image is moved by itself."""
    if kind == "Transpose":
        return x.transpose(a.get("perm") or list(range(x.ndim))[::-1])
    if kind == "Shape":
        return exact(np.array((1, *x.shape[1:]) if batch else x.shape))
    if kind == "Gather":
        (places,) = (int(v) for v in rest[0].numbers())
        return x.moved(lambda p: np.take(p, places if rest[0].ndim == 0 else [places], axis=a.get("axis", 0)))
    axes = a["axes"] if "axes" in a else [int(v) for v in rest[0].numbers()] if rest else []
    if kind == "Unsqueeze":
        return x.moved(lambda p: np.expand_dims(p, tuple(axes)))
    one = np.broadcast_to(np.int8(0), (1, *x.shape[1:]) if batch else x.shape)
    if kind == "Flatten":
        one = one.reshape(int(np.prod(one.shape[:a.get("axis", 1)])), -1)
    elif kind == "Squeeze":
        one = np.squeeze(one, tuple(axes))
    else:
        sizes = [int(v) for v in rest[0].numbers()]
        one = one.reshape([one.shape[i] if size == 0 else size for i, size in enumerate(sizes)])
    if batch and one.shape[:1] != (1,):
        raise NotImplementedError(f"{kind} of the batch")
    return x.reshape(len(x.places), *one.shape[1:]) if batch else x.reshape(one.shape)


def of_qonnx(kind, x, rest, a):
    """Operators on whole numbers that qonnx adds. None for other kinds."""
    if kind == "Im2Col":
        shape = {"strides": a["stride"], "pads": a["pad_amount"]}
        taps = windows(x.transpose(0, 3, 1, 2), a["kernel_size"], shape, Fraction(0)).transpose(0, 3, 4, 2, 1)
        return taps.reshape(*taps.shape[:3], -1)
    if kind == "QuantAvgPool2d":
        shape = {"strides": [a["stride"]] * 2}
        sums = total(windows(x, [a["kernel"]] * 2, shape, Fraction(0)), [2])
        shift = ((2 ** a["ibits"] - 1) * a["kernel"] ** 2).bit_length() - a["obits"]
        return each(lambda v: math.floor(v / 2**shift), sums)
    if kind == "XnorPopcountMatMul":
        signs = [each(lambda v: 2 * v - 1, v) for v in (x, rest[0])]
        return each(lambda v: (v + x.shape[-1]) / 2, dense(*signs, None, {}))
    return None


def channels_last(kind, a, inputs, bounds):
    """qonnx's operators whose maps, and kernels, have the channels last."""
    count = 2 if kind == "Conv" else 1
    turned = [v.transpose(0, 3, 1, 2) for v in inputs[:count]] + inputs[count:]
    return node(kind, {**a, "domain": ""}, turned, bounds, True).transpose(0, 2, 3, 1)


def node(kind, a, inputs, bounds, batch):
    x, rest = inputs[0], inputs[1:]
    if a.get("domain") == "qonnx.custom_op.channels_last":
        return channels_last(kind, a, inputs, bounds)
    done = linear(kind, inputs, bounds, a) or of_qonnx(kind, x, rest, a)
    if done is not None:
        return done
    if kind in ("Quant", "IntQuant"):
        return quant(x, *rest, a)
    if kind == "BipolarQuant":
        return each(lambda x, s: s if is_positive(x) else -s, x, rest[0])
    if kind == "Trunc":
        return trunc(x, *rest[:2], rest[2:], a)
    if kind == "MultiThreshold":
        return thresholds(x, rest[0], a)
    if kind == "QuantizeLinear":
        return quantize(x, rest[0], rest[1], bounds[2], a.get("axis", 1))
    if kind == "DequantizeLinear":
        return dequantize(x, rest[0], rest[1] if len(rest) > 1 else None, a.get("axis", 1))
    if kind == "BatchNormalization":
        gain, bias, mean, var = [along(v, x.ndim, 1) for v in rest]
        epsilon = Fraction(a.get("epsilon", 1e-5))
        slope = gain / each(lambda v: root(v + epsilon), var)
        return each(lambda x, s, m, b: (x - m) * s + b, x, slope, mean, bias)
    if kind == "Conv":
        return conv(x, rest[0], rest[1] if len(rest) > 1 else None, a)
    if kind in ("MatMul", "Gemm"):
        return dense(x, rest[0], rest[1] if len(rest) > 1 else None, a)
    if kind in ("MaxPool", "GlobalMaxPool", "GlobalAveragePool", "AveragePool", "ReduceMean"):
        return pool(kind, x, {"axes": [int(v) for v in rest[0].numbers()], **a} if rest else a)
    if kind in ("Pad", "Split", "Slice"):
        return cut(kind, x, rest, a)
    if kind in ("Add", "Sub", "Mul", "Div"):
        return {"Add": x.__add__, "Sub": x.__sub__, "Mul": x.__mul__, "Div": x.__truediv__}[kind](rest[0])
    if kind == "Relu":
        return each(lambda v: v if v.numerator > 0 else 0, x)
    if kind in ("LeakyRelu", "PRelu"):
        slope = rest[0] if rest else exact(np.float32(a.get("alpha", 0.01)))
        return each(lambda v, s: v if v >= 0 else v * s, x, slope)
    if kind == "HardSigmoid":
        alpha, beta = Fraction(a.get("alpha", np.float32(0.2).item())), Fraction(a.get("beta", 0.5))
        return each(lambda v: min(max(v * alpha + beta, Fraction(0)), Fraction(1)), x)
    if kind in ("Floor", "Ceil"):
        fixed = rounding(kind.upper())
        return each(lambda v: fixed(*v.as_integer_ratio()), x)
    if kind == "Clip":
        low, high = [rest[i].item() if i < len(rest) and rest[i] is not None else None for i in range(2)]
        below = each(lambda v: v if high is None else min(v, high), x)
        return each(lambda v: v if low is None else max(v, low), below)
    if kind == "Sqrt" or kind == "Pow" and rest[0].item() == Fraction(1, 2):
        return each(root, x)
    if kind in ("Identity", "Dropout", "Cast"):
        return x
    if kind == "Concat":
        return joined(inputs, a["axis"])
    if kind in ("Transpose", "Shape", "Gather", "Unsqueeze", "Flatten", "Squeeze", "Reshape"):
        return shaped(kind, x, rest, a, batch)
    raise NotImplementedError(kind)


BOUNDS = {f"{sign}int{n}": (-(2 ** (n - 1)), 2 ** (n - 1) - 1) if not sign else (0, 2**n - 1)
          for n in (4, 8, 16, 32) for sign in ("", "u")}


class Model:
    """A graph whose constants are computed once."""

    def __init__(self, model):
        self.graph, self.fixed, self.bounds = model.graph, {}, {}
        for tensor in model.graph.initializer:
            self.keep(tensor.name, tensor)

    def keep(self, name, tensor):
        array = numpy_helper.to_array(tensor)
        self.fixed[name], self.bounds[name] = exact(array), BOUNDS.get(str(array.dtype))

    def run(self, x, output):
        """Runs images (a tensor, batch first) and returns a list for each: the numbers of tensor `output`."""
        values, needed = {self.graph.input[0].name: x}, {output}
        for n in reversed(self.graph.node):
            if needed & set(n.output):
                needed |= set(n.input)
        for n in self.graph.node:
            if n.output[0] in self.fixed or not needed & set(n.output):
                continue
            a = {v.name: helper.get_attribute_value(v) for v in n.attribute}
            a |= {"outputs": len(n.output), "domain": n.domain}
            if n.op_type == "Constant":
                self.keep(n.output[0], a["value"])
                continue
            inputs = [self.fixed.get(i, values.get(i)) if i else None for i in n.input]
            constant = n.op_type == "Shape" or all(i in self.fixed for i in n.input if i)
            bounds = [self.bounds.get(i) for i in n.input]
            made = node(n.op_type, a, inputs, bounds, n.input[0] not in self.fixed)
            made = made if isinstance(made, list) else [made]
            (self.fixed if constant else values).update(zip(n.output, made))
            if n.op_type == "Identity":
                self.bounds[n.output[0]] = bounds[0]
        scores = values[output]
        return [scores.moved(lambda p: p[i]).numbers() for i in range(len(scores.places))]


def images(pixels, dims, unit):
    """The graph's input, in its shape: uint8 images (N × H × W × C) as pixels, or as pixels of 0 to 1."""
    x = exact(np.moveaxis(pixels, 3, 1).reshape(len(pixels), *dims[1:]))
    return x / exact(255) if unit else x
