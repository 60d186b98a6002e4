"""Runs an ONNX file in exact arithmetic: fractions, and roots to 400 bits, far from every rounding boundary (or it
fails). A second reading of the format, in plain NumPy loops over Python numbers; slow."""

import math
from fractions import Fraction

import numpy as np
from onnx import numpy_helper

BITS = 400


def exact(array):
    array = np.asarray(array)
    flat = [Fraction(v) for v in array.reshape(-1).tolist()]
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(array.shape)


def image(pixels, shape, dims):
    height, width, channels = shape
    values = exact(np.array(pixels).reshape(height, width, channels)) / 255
    return np.moveaxis(values, 2, 0).reshape(dims)


def root(value):
    n, d = value.numerator, value.denominator
    if math.isqrt(n) ** 2 == n and math.isqrt(d) ** 2 == d:
        return Fraction(math.isqrt(n), math.isqrt(d))
    return Fraction(math.isqrt((n << (2 * BITS)) // d), 1 << BITS)


def each(f, *arrays):
    return np.frompyfunc(f, len(arrays), 1)(*arrays)


def apart(x, boundary):
    """Fails where a root's rounding could decide: numbers on a boundary are exact or far from it."""
    if x != boundary and abs(x - boundary) < Fraction(1, 1 << (BITS // 2)):
        raise ArithmeticError("a number too near to a boundary")
    return x


def half_even(x):
    low = math.floor(x)
    apart(x - low, Fraction(1, 2))
    return round(x)


def rounding(mode):
    def fixed(x):
        apart(x, round(x))
        apart(x - math.floor(x), Fraction(1, 2))
        sign = -1 if x < 0 else 1
        return {"FLOOR": math.floor(x), "CEIL": math.ceil(x), "UP": sign * math.ceil(abs(x)),
                "DOWN": math.trunc(x), "HALF_UP": sign * math.floor(abs(x) + Fraction(1, 2)),
                "HALF_DOWN": sign * math.ceil(abs(x) - Fraction(1, 2))}[mode]

    return half_even if mode in ("ROUND", "HALF_EVEN") else fixed


def quant(x, scale, zero, bits, a):
    bits, signed, narrow = int(bits.item()), a.get("signed", 1), a.get("narrow", 1)
    if bits == 1 and signed:
        return each(lambda x, s, z: ((1 if apart(x, 0) >= 0 else -1) - z) * s, x, scale, zero)
    low = -(1 << (bits - 1)) + narrow if signed else 0
    high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - narrow
    fixed = rounding(a.get("rounding_mode", b"ROUND").decode())
    return each(lambda x, s, z: (fixed(min(max(x / s + z, low), high)) - z) * s, x, scale, zero)


def along(values, rank, axis):
    values = np.asarray(values)
    if values.size == 1:
        return values.reshape([1] * rank)
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def windows(x, kernel, a, fill):
    strides, pads = a.get("strides", [1, 1]), a.get("pads", [0] * 4)
    n, c, h, w = x.shape
    padded = np.full((n, c, h + pads[0] + pads[2], w + pads[1] + pads[3]), fill, dtype=object)
    padded[:, :, pads[0]:pads[0] + h, pads[1]:pads[1] + w] = x
    rows = (padded.shape[2] - kernel[0]) // strides[0] + 1
    columns = (padded.shape[3] - kernel[1]) // strides[1] + 1
    taps = [padded[:, :, y:y + rows * strides[0]:strides[0], v:v + columns * strides[1]:strides[1]][:, :, :rows, :columns]
            for y in range(kernel[0]) for v in range(kernel[1])]
    return np.stack(taps, 2)


def conv(x, weight, bias, a):
    groups, outputs = a.get("group", 1), weight.shape[0]
    taps = windows(x, weight.shape[2:], a, Fraction(0))
    _, channels, count, rows, columns = taps.shape
    taps = taps.reshape(groups, channels // groups * count, rows * columns)
    weight = weight.reshape(groups, outputs // groups, -1)
    y = np.stack([product(weight[g], taps[g]) for g in range(groups)])
    y = y.reshape(1, outputs, rows, columns)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def product(a, b):
    """Multiplies over a common denominator, in whole numbers of any size."""
    def whole(m):
        d = math.lcm(*{v.denominator for v in m.reshape(-1).tolist()})
        return np.array([int(v * d) for v in m.reshape(-1)], dtype=object).reshape(m.shape), d

    (a, da), (b, db) = whole(a), whole(b)
    return each(lambda v: Fraction(v, da * db), a.dot(b))


def node(n, a, inputs, rank):
    kind, x = n.op_type, inputs[0]
    rest = inputs[1:]
    if kind in ("Quant", "IntQuant"):
        return quant(x, *rest, a)
    if kind == "BipolarQuant":
        return each(lambda x, s: s if apart(x, 0) >= 0 else -s, x, rest[0])
    if kind == "QuantizeLinear":
        low, high = rank[n.input[2]]
        axis = a.get("axis", 1)
        s, z = along(rest[0], x.ndim, axis), along(rest[1], x.ndim, axis)
        return each(lambda x, s, z: Fraction(min(max(half_even(x / s) + z, low), high)), x, s, z)
    if kind == "DequantizeLinear":
        axis = a.get("axis", 1)
        zero = along(rest[1], x.ndim, axis) if len(rest) > 1 else 0
        return (x - zero) * along(rest[0], x.ndim, axis)
    if kind == "BatchNormalization":
        gain, bias, mean, var = [along(v, x.ndim, 1) for v in rest]
        epsilon = Fraction(a.get("epsilon", 1e-5))
        return (x - mean) / each(lambda v: root(v + epsilon), var) * gain + bias
    if kind == "Conv":
        return conv(x, rest[0], rest[1] if len(rest) > 1 else None, a)
    if kind in ("MatMul", "Gemm"):
        y = product(x, rest[0].T if a.get("transB", 0) else rest[0])
        return y + rest[1] if len(rest) > 1 else y
    if kind == "MaxPool":
        return windows(x, a["kernel_shape"], a, Fraction(-(10**30))).max(axis=2)
    if kind == "GlobalAveragePool":
        return x.sum(axis=(2, 3), keepdims=True) / (x.shape[2] * x.shape[3])
    if kind in ("Add", "Sub", "Mul", "Div"):
        return {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[kind](x, rest[0])
    if kind == "Relu":
        return each(lambda v: max(v, Fraction(0)), x)
    if kind == "Pow" and rest[0].item() == Fraction(1, 2):
        return each(root, x)
    if kind == "Sqrt":
        return each(root, x)
    if kind in ("Identity", "Dropout", "Cast"):
        return x
    if kind == "Transpose":
        return x.transpose(a.get("perm"))
    if kind == "Flatten":
        return x.reshape(1, -1)
    if kind == "Reshape":
        return x.reshape([int(v) for v in rest[0].reshape(-1)])
    if kind == "Shape":
        return exact(np.array(x.shape))
    if kind == "Gather":
        return np.take(x, rest[0].astype(int), axis=a.get("axis", 0))
    if kind == "Unsqueeze":
        return np.expand_dims(x, tuple(a["axes"]) if "axes" in a else tuple(int(v) for v in rest[0]))
    if kind == "Concat":
        return np.concatenate(inputs, axis=a["axis"])
    raise NotImplementedError(kind)


LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "int32": (-(2**31), 2**31 - 1)}


def run(model, x):
    from onnx import helper

    if not hasattr(run, "kept") or run.kept[0] is not model:
        arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        run.kept = (model, {k: exact(v) for k, v in arrays.items()}, {k: LIMITS.get(str(v.dtype)) for k, v in arrays.items()})
    values, limits = run.kept[1], run.kept[2]
    fixed = set(values)
    values = dict(values)
    values[model.graph.input[0].name] = x
    for n in model.graph.node:
        if n.output[0] in fixed:
            continue
        a = {v.name: helper.get_attribute_value(v) for v in n.attribute}
        if n.op_type == "Constant":
            values[n.output[0]] = exact(numpy_helper.to_array(a["value"]))
        else:
            values[n.output[0]] = node(n, a, [values[i] for i in n.input if i], limits)
        if all(i in fixed for i in n.input if i):
            fixed.add(n.output[0])
            run.kept[1][n.output[0]] = values[n.output[0]]
    return values[model.graph.output[0].name].reshape(-1).tolist()
