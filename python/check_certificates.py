#!/usr/bin/env python3
"""Checks certificates that `dq certify --proof` wrote, with NumPy and nothing of dq: reads model.json by its
documentation (docs/model.md), cuts each ball as the file says, bounds every box in integers, and accepts a certificate
only if the label leads in every box by exactly what the file claims.

    dq data SET -o images.npz
    dq certify model.json --data SET --eps 2 --count 100 --proof trails.json -o certificates.json
    python check_certificates.py model.json images.npz trails.json

Exit code: 0 if every certificate holds, 1 if one does not, 2 if a file cannot be read."""

import base64
import hashlib
import json
import sys

import numpy as np

# Boxes that are bounded together.
BATCH = 64


class Refused(Exception):
    """Says which certificate does not hold, and why."""


def unpack(packed, weight_bits=None):
    """Returns the integers of a packed tensor."""
    raw = np.unpackbits(np.frombuffer(base64.b64decode(packed["data"]), np.uint8), bitorder="little")
    count, bits = int(np.prod(packed["shape"])), packed["bits"]
    words = raw[: count * bits].reshape(count, bits).astype(np.int64) @ (1 << np.arange(bits, dtype=np.int64))
    values = packed["offset"] + words
    return (2 * values - 1 if weight_bits == 1 else values).reshape(packed["shape"])


def windows(x, size, stride):
    """Returns batch x rows x columns x channels x window rows x window columns."""
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1]]


def clip(x, bits):
    return np.clip(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def linear(weights, lo, hi, apply):
    """Bounds a sum: a positive weight takes the end itself, a negative one the other end. `apply` computes the sum in
    doubles, which hold every integer below 2^53."""
    above, below = np.maximum(weights, 0).astype(float), np.minimum(weights, 0).astype(float)
    low, high = apply(above, lo) + apply(below, hi), apply(above, hi) + apply(below, lo)
    return low.astype(np.int64), high.astype(np.int64)


def conv(f, lo, hi):
    weights, (top, bottom, left, right) = unpack(f["weights"], f["weight_bits"]), f["pad"]
    around, level = ((0, 0), (top, bottom), (left, right), (0, 0)), f.get("pad_level", 0)
    lo, hi = (np.pad(x, around, constant_values=level) for x in (lo, hi))

    def apply(part, x):
        seen = windows(x.astype(float), weights.shape[1:3], f["stride"])
        pairs = zip(np.split(seen, f["groups"], axis=3), np.split(part, f["groups"]))
        return np.concatenate([np.tensordot(s, w, axes=([3, 4, 5], [3, 1, 2])) for s, w in pairs], axis=3)

    return linear(weights, lo, hi, apply)


def dense(f, lo, hi):
    flat = lambda x: x.reshape(len(x), -1)
    apply = lambda part, x: (flat(x).astype(float) @ part.T)[:, None, None]
    return linear(unpack(f["weights"], f["weight_bits"]), lo, hi, apply)


def step(f, lo, hi):
    thresholds, direction = unpack(f["thresholds"]), np.array(f["dir"])

    def level(x):
        found = np.zeros(x.shape, np.int64)
        for column in thresholds.T:
            found += x * direction >= column
        return found

    return ends(level(lo), level(hi))


def ends(a, b):
    """Orders the values of a monotone function at both ends."""
    return np.minimum(a, b), np.maximum(a, b)


def rising(function):
    """Bounds a function that rises in each of its inputs: `function(fields, input, ...)`."""
    return lambda f, *bounds: (function(f, *bounds[::2]), function(f, *bounds[1::2]))


def rescale(f, lo, hi):
    value = lambda x: clip((x * np.array(f["mul"]) + np.array(f["add"])) >> f["shift"], f["bits"])
    return ends(value(lo), value(hi))


def add(f, x_lo, x_hi, y_lo, y_hi):
    (a, b), (c, d) = (ends(factor * lo, factor * hi)
                      for factor, lo, hi in zip(f["factors"], (x_lo, y_lo), (x_hi, y_hi)))
    return a + c, b + d


def mix(f, x, y):
    return clip((f["a"] * x + f["b"] * y + ((1 << f["shift"]) >> 1)) >> f["shift"], f["bits"])


def median(_, x):
    padded = np.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
    four = [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]]
    return np.sort(four, axis=0)[1]


KINDS = {
    "conv": conv,
    "dense": dense,
    "step": step,
    "max_pool": rising(lambda f, x: windows(x, f["window"], f["stride"]).max(axis=(4, 5))),
    "sum_pool": rising(lambda f, x: windows(x, f["window"], f["stride"]).sum(axis=(4, 5))),
    "global_sum": rising(lambda f, x: x.sum(axis=(1, 2), keepdims=True)),
    "rescale": rescale,
    "mix": rising(mix),
    "sum": add,
    "concat": rising(lambda f, x, y: np.concatenate([x, y], axis=3)),
    "bit_depth": rising(lambda f, x: (2 * x * ((1 << f["bits"]) - 1) + 255) // 510),
    "median": rising(median),
    "logits": rising(lambda f, x: x + np.array(f["bias"])),
}


def slack(nodes, lo, hi, label):
    """Returns for each box by how much the label leads at least, less 1 over the classes before it: of classes with
    equal scores the lowest is the label."""
    bounds = {}
    for node in nodes:
        ((kind, fields),) = node["layer"].items()
        inputs = [end for name in node["inputs"] for end in bounds[name]]
        bounds[node["name"]] = KINDS[kind](fields, *inputs) if inputs else (lo, hi)
    before = {name["name"]: name for name in nodes}[nodes[-1]["inputs"][0]]
    bias = np.array(nodes[-1]["layer"]["logits"]["bias"])
    needed = (np.arange(len(bias)) < label).astype(np.int64)
    others = np.arange(len(bias)) != label
    if "dense" in before["layer"]:
        # Differences of scores are bounded tighter than scores: the same inputs stand in both.
        fields = before["layer"]["dense"]
        weights = unpack(fields["weights"], fields["weight_bits"])
        lo, hi = (x.reshape(len(x), -1) for x in bounds[before["inputs"][0]])
        lead, _ = linear(weights[label] - weights, lo, hi, lambda part, x: x.astype(float) @ part.T)
        lead = lead + bias[label] - bias
    else:
        low, high = (x.reshape(len(x), -1) for x in bounds[nodes[-1]["name"]])
        lead = low[:, [label]] - high
    return (lead - needed)[:, others].min(axis=1) if others.any() else np.zeros(len(lead), np.int64)


def boxes(lo, hi, cuts):
    """Returns the boxes into which a ball is cut. They cover it, since every cut makes two halves of a box."""
    open_boxes, found, at = [(lo, hi)], [], 0
    while open_boxes:
        lo, hi = open_boxes.pop()
        if at == len(cuts):
            raise Refused("the cuts end before every box is decided")
        element, at = cuts[at], at + 1
        if element == -1:
            found.append((lo, hi))
            continue
        if not 0 <= element < lo.size or lo.flat[element] == hi.flat[element]:
            raise Refused(f"cut {at}: element {element} cannot be cut")
        middle = lo.flat[element] + (hi.flat[element] - lo.flat[element]) // 2
        below, above = hi.copy(), lo.copy()
        below.flat[element], above.flat[element] = middle, middle + 1
        open_boxes += [(above, hi), (lo, below)]
    if at != len(cuts):
        raise Refused(f"{len(cuts) - at} cuts are left over")
    return found


def check(nodes, images, certificate):
    """Raises Refused unless no image of the ball has another label."""
    top = nodes[0]["layer"]["input"].get("levels", 256) - 1
    place, eps, label = certificate["image"], certificate["eps"], certificate["label"]
    classes = len(nodes[-1]["layer"]["logits"]["bias"])
    if not (0 <= place < len(images) and 0 <= eps <= 255 and 0 <= label < classes):
        raise Refused("image, radius or label is outside of what there is")
    image = images[place].astype(np.int64)
    low, high = np.maximum(image - eps, 0), np.minimum(image + eps, top)
    if hashlib.sha256(low.astype(np.uint8).tobytes() + high.astype(np.uint8).tobytes()).hexdigest() != certificate["ball"]:
        raise Refused("the ball is of another image or radius")
    found = boxes(low, high, certificate["trail"]["cuts"])
    claimed = certificate["trail"]["slack"]
    if len(claimed) != len(found):
        raise Refused(f"{len(claimed)} leads for {len(found)} boxes")
    for start in range(0, len(found), BATCH):
        lo, hi = (np.stack(ends) for ends in zip(*found[start : start + BATCH]))
        leads = slack(nodes, lo, hi, label)
        for box, (lead, claim) in enumerate(zip(leads.tolist(), claimed[start : start + BATCH]), start):
            if lead < 0 or lead != claim:
                raise Refused(f"box {box}: the label leads by {lead}, claimed {claim}; less than 0 proves nothing")


def content_hash(text):
    """Returns the SHA-256 of the nodes of a model's text without spaces, as docs/model.md defines it. No string among
    the nodes has spaces, and numbers stay as they are written."""
    start = text.index('"nodes":') + len('"nodes":')
    start += len(text[start:]) - len(text[start:].lstrip())
    _, end = json.JSONDecoder().raw_decode(text, start)
    return hashlib.sha256("".join(text[start:end].split()).encode()).hexdigest()


def check_head(text, images, labels, trails):
    """Raises Refused unless the certificates are of this network and of these images."""
    if trails["model"]["content_hash"] != content_hash(text):
        raise Refused("the certificates are of another network")
    count = trails["data"]["images"]
    if not 0 <= count <= len(images):
        raise Refused(f"the certificates are of {count} images, here are {len(images)}")
    head = np.array([count, *images.shape[1:]], "<u8").tobytes()
    whole = head + images[:count].astype(np.uint8).tobytes() + labels[:count].astype(np.uint8).tobytes()
    if trails["data"]["digest"] != hashlib.sha256(whole).hexdigest():
        raise Refused("the certificates are of other images")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        text = open(sys.argv[1]).read()
        nodes, trails = json.loads(text)["nodes"], json.load(open(sys.argv[3]))
        images, labels = (np.load(sys.argv[2])[name] for name in ("images", "labels"))
        certificates = trails["certificates"]
        if (trails["format"], trails["version"]) != ("dq-certificate-trails", 1):
            raise ValueError(f"{sys.argv[3]}: format {trails['format']} {trails['version']}")
        check_head(text, images, labels, trails)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Refused as why:
        print(f"REFUSED all: {why}")
        sys.exit(1)
    seen, refused = set(), 0
    for certificate in certificates:
        name = f"image {certificate['image']} at eps {certificate['eps']}"
        try:
            check(nodes, images, certificate)
            if certificate["label"] != labels[certificate["image"]]:
                raise Refused("its label is not the true one")
            if (certificate["image"], certificate["eps"]) in seen:
                raise Refused("it stands there twice")
            seen.add((certificate["image"], certificate["eps"]))
        except Refused as why:
            refused += 1
            print(f"REFUSED {name}: {why}")
    print(f"{len(certificates) - refused} of {len(certificates)} certificates hold")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
