"""Tensors of exact numbers, for `exact.py`: fractions, and roots to 400 bits.

A tensor is a table of distinct numbers and, for each element, its place in the table. A function of single
numbers is computed once for each distinct number, so that many images go through a network at once."""

import math
from fractions import Fraction

import numpy as np

BITS = 400


class Tensor:
    def __init__(self, places, table):
        """Takes places (an array of whole numbers) in a table, which may hold a number twice."""
        index = {}
        moved = [index.setdefault(value.as_integer_ratio(), len(index)) for value in table]
        self.places = np.array(moved, dtype=np.int64)[places]
        self.table = [Fraction(*ratio) for ratio in index]

    @property
    def shape(self):
        return self.places.shape

    @property
    def ndim(self):
        return self.places.ndim

    def item(self):
        (value,) = self.numbers()
        return value

    def numbers(self):
        """The elements in a list, row-major."""
        return [self.table[place] for place in self.places.reshape(-1).tolist()]

    def moved(self, change):
        """The tensor whose elements `change` picks or orders: a function of arrays."""
        moved = Tensor.__new__(Tensor)
        moved.places, moved.table = change(self.places), self.table
        return moved

    def reshape(self, *shape):
        return self.moved(lambda places: places.reshape(*shape))

    def transpose(self, *order):
        return self.moved(lambda places: places.transpose(*order))

    def __add__(self, other):
        return each(lambda x, y: x + y, self, other)

    def __sub__(self, other):
        return each(lambda x, y: x - y, self, other)

    def __mul__(self, other):
        return each(lambda x, y: x * y, self, other)

    def __truediv__(self, other):
        return each(lambda x, y: x / y, self, other)


def exact(array):
    """The tensor of a NumPy array's numbers."""
    array = np.asarray(array)
    if array.dtype.name in ("int4", "uint4"):
        array = array.astype(int)
    present, places = np.unique(array, return_inverse=True)
    return Tensor(places.reshape(array.shape), [Fraction(value) for value in present.tolist()])


def distinct(keys):
    """The distinct whole numbers of an array in rising order, and the place of each element among them."""
    low, high = int(keys.min()), int(keys.max())
    if high - low < 4 * keys.size + 1000:
        there = np.zeros(high - low + 1, bool)
        there[keys - low] = True
        return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[keys - low]
    present, places = np.unique(keys, return_inverse=True)
    return present, places.reshape(keys.shape)


def each(f, first, *others):
    """Applies a function of single numbers to tensors, which stretch to one shape."""
    places, rows = first.places, [(value,) for value in first.table]
    for other in others:
        count = len(other.table)
        present, places = distinct(places * count + other.places)
        rows = [rows[key // count] + (other.table[key % count],) for key in present.tolist()]
    present, places = distinct(places)
    return Tensor(places, [f(*rows[key]) for key in present.tolist()])


def joined(parts, axis):
    """Puts tensors one behind the other."""
    starts = np.cumsum([0] + [len(part.table) for part in parts])
    places = np.concatenate([part.places + start for part, start in zip(parts, starts)], axis)
    return Tensor(places, [value for part in parts for value in part.table])


def whole(values):
    """Returns whole numbers and the unit that they count: each value is its number times the unit."""
    denominator = math.lcm(*(value.denominator for value in values))
    numbers = [value.numerator * (denominator // value.denominator) for value in values]
    divisor = math.gcd(*numbers) or 1
    return [number // divisor for number in numbers], Fraction(divisor, denominator)


def product(a, b):
    """Multiplies matrices in whole numbers, of each row's unit times that of `b`."""
    numbers, unit = whole(b.table)
    columns = np.array(numbers, dtype=object)
    rows, units = [], []
    for places in a.places:
        present, places = distinct(places)
        numbers, of_row = whole([a.table[place] for place in present.tolist()])
        rows.append(np.array(numbers, dtype=object)[places])
        units.append(unit * of_row)
    rows = np.array(rows)
    most = int(abs(rows).sum(axis=1).max()) * max(int(abs(columns).max()), 1)
    if most < 1 << 53:
        # Floats hold every partial sum exactly.
        sums = (rows.astype(float) @ columns.astype(float)[b.places]).astype(np.int64)
        low, span = int(sums.min()), int(sums.max() - sums.min()) + 1
        present, places = distinct(sums - low + span * np.arange(len(rows))[:, None])
        table = [Fraction((key % span + low) * units[key // span].numerator, units[key // span].denominator)
                 for key in present.tolist()]
        return Tensor(places, table)
    sums = rows.dot(columns[b.places])
    table = [Fraction(value) * units[row] for row, values in enumerate(sums) for value in values]
    return Tensor(np.arange(sums.size).reshape(sums.shape), table)


def padded(x, before, after, fill):
    """Puts `fill` around a tensor: so many elements before and after it along each axis."""
    shape = [size + low + high for size, low, high in zip(x.shape, before, after)]
    places = np.full(shape, len(x.table))
    places[tuple(slice(low, low + size) for size, low in zip(x.shape, before))] = x.places
    return Tensor(places, x.table + [fill])


def windows(x, kernel, a, fill):
    """The elements under each tap of a kernel: image, channel, tap, row, column. `fill` lies outside."""
    strides, pads, gaps = (a.get(key, default) for key, default in
                           [("strides", [1, 1]), ("pads", [0] * 4), ("dilations", [1, 1])])
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError("auto_pad")
    spans = [(kernel[i] - 1) * gaps[i] + 1 for i in range(2)]
    beyond = [x.shape[2 + i] + pads[i] + pads[2 + i] - spans[i] for i in range(2)]
    size = [beyond[i] // strides[i] + 1 for i in range(2)]
    if a.get("ceil_mode", 0):
        # A last window may end outside, if it begins before the padding behind.
        inside = [size[i] * strides[i] < x.shape[2 + i] + pads[i] for i in range(2)]
        size = [size[i] + (beyond[i] % strides[i] > 0 and inside[i]) for i in range(2)]
    more = [max((size[i] - 1) * strides[i] - beyond[i], 0) for i in range(2)]
    x = padded(x, [0, 0, *pads[:2]], [0, 0, pads[2] + more[0], pads[3] + more[1]], fill)
    corners = [(y * gaps[0], v * gaps[1]) for y in range(kernel[0]) for v in range(kernel[1])]
    taps = [x.places[:, :, top::strides[0], left::strides[1]] for top, left in corners]
    taps = [tap[:, :, :size[0], :size[1]] for tap in taps]
    return Tensor(np.stack(taps, 2), x.table)


def greatest(x, axis):
    order = sorted(range(len(x.table)), key=x.table.__getitem__)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Tensor(rank[x.places].max(axis=axis), [x.table[place] for place in order])


def total(x, axes):
    """Sums over the last axes named."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    shape = [x.shape[axis] for axis in kept]
    rows = x.transpose(kept + list(axes)).reshape(int(np.prod(shape)), -1)
    ones = exact(np.ones((1, rows.shape[1])))
    return product(ones, rows.transpose()).reshape(shape)


def root(value):
    """The root of a number: exact where it is rational, else to 400 bits."""
    n, d = value.numerator, value.denominator
    if math.isqrt(n) ** 2 == n and math.isqrt(d) ** 2 == d:
        return Fraction(math.isqrt(n), math.isqrt(d))
    return Fraction(math.isqrt((n << (2 * BITS)) // d), 1 << BITS)


def clear(n, d):
    """Fails where a root's rounding could decide how n/d rounds: halves are met exactly or are far away."""
    rest = 2 * n % d
    if d.bit_length() > BITS // 2 and rest and min(rest, d - rest) << (BITS // 2) < d:
        raise ArithmeticError("a number too near to a boundary")


def half_even(n, d):
    """Rounds n/d, of a positive d; halves to the even neighbour."""
    clear(n, d)
    low, rest = divmod(n, d)
    return low + (2 * rest > d or 2 * rest == d and low % 2)


def rounding(mode):
    """The function that rounds n/d, of a positive d, as QONNX's modes say."""
    def fixed(n, d):
        clear(n, d)
        low, rest = divmod(n, d)
        if mode in ("HALF_UP", "HALF_DOWN"):
            return low + (2 * rest > d or 2 * rest == d and (n > 0) == (mode == "HALF_UP"))
        return low + (rest > 0 and (mode == "CEIL" or mode == "UP" and n > 0 or mode == "DOWN" and n < 0))

    if mode in ("ROUND", "HALF_EVEN"):
        return half_even
    if mode not in ("FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"):
        raise NotImplementedError(mode)
    return fixed


def quotient(x, scale):
    """x/scale as two whole numbers, the second positive: not reduced, which is quicker."""
    return x.numerator * scale.denominator, x.denominator * scale.numerator


def is_positive(x):
    """Whether x >= 0; fails where a root's rounding could decide."""
    clear(x.numerator, x.denominator)
    return x.numerator >= 0
