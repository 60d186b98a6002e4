"""Says whether what stands in results/ is what the workflow asks for now, by what a report says of itself: the network,
the attacks, the images. Times of files say nothing, since a clone makes all of them anew, and a float network, which is
not committed, need not be there.

Usage: found.py NETWORK... prints the content hash of each, as reports have it."""

import functools
import hashlib
import json
import re
import sys
from pathlib import Path

# How many images the published test sets hold, and the digest of the first so many of CIFAR-10's, as reports have it.
IMAGES = {"cifar10": 10_000, "svhn": 26_032}
DIGESTS = {
    16: "ec71a399c984494b91d7257b9fa5a94c692ae2047ae6e448ca9cc5370bedcdae",
    256: "3ae8de36e94a0635a4f536a554c73aa1ec2ff36ee23f9dd666f6c700a9616b70",
    1000: "335c67d5be30cc722ebd786b771d4350a851889cbad5b334f3a74aa615469592",
    2000: "36c4847de836618bd105a906ce3e6f587d6a9f7b34182e50740b0bc4ef983c24",
    10000: "9992ccfbe96acd10418effbbfcb03466916c24fa3bc6207bacf66d5ffdb3fdac",
}
AUTO = ("apgd-ce", "apgd-t", "fab-t", "square")


@functools.cache
def content_hash(network):
    """Returns the SHA-256 of a network's nodes as compact JSON; None where no network stands there."""
    if not Path(network).exists():
        return None
    # `dq` writes indented JSON. Taking out its spaces, rather than parsing it, leaves every number as it is written.
    nodes = Path(network).read_text().split('"nodes": ', 1)[-1].rsplit(',\n  "checksum"', 1)[0]
    return hashlib.sha256(re.sub(r"\n *", "", nodes).replace('": ', '":').encode()).hexdigest()


def same(network, said):
    """Returns whether a report speaks of this network; where none stands there, nothing speaks against it."""
    return content_hash(network) in (None, said)


def holds(path, is_asked):
    """Returns whether a report stands at `path` and is what is asked for. One that lacks a field is another."""
    try:
        return bool(is_asked(json.loads(Path(path).read_text())))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def images(report, name, count):
    """Returns whether a report is of the first `count` images of a test set; none: of all."""
    found = report["data"]
    wanted = count or IMAGES.get(name, found["images"])
    known = DIGESTS.get(wanted, found["digest"]) if name == "cifar10" else found["digest"]
    return (found["name"], found["images"], found["digest"]) == (name, wanted, known)


def attack(path, network, asked, substitutes, name, count):
    """Returns whether `path` is the report of an attack set on a network. `asked` is a row of `cells.ATTACKS`,
    `substitutes` the networks that it names."""
    names = AUTO if asked["attack"] == "auto" else asked["attack"].split(",")
    sources = [False, True] if "also" in asked else ["from" in asked]
    runs = {(attack, int(eps), source) for attack in names for eps in asked["eps"].split(",") for source in sources}

    def is_asked(report):
        hashes = [run["source_hash"] for run in report["runs"] if run["source"]]
        return (
            (report["format"], report["complete"]) == ("dq-attack-report", True)
            and same(network, report["model"]["content_hash"])
            and {(run["attack"], run["eps"], bool(run["source"])) for run in report["runs"]} == runs
            and all(same(substitute, said) for substitute in substitutes for said in hashes)
            and images(report, name, count)
        )

    return holds(path, is_asked)


def plan(path, network, device, fps):
    """Returns whether `path` is the plan of a network for a device, at no fewer frames per second."""
    return holds(path, lambda plan: same(network, plan["network"]) and plan["device"] == device
                 and plan["frames_per_second"] >= fps)


def norms(path, network):
    """Returns whether `path` holds the norms of a network's layers."""
    return holds(path, lambda info: same(network, info["hash"]) and info["lipschitz_product"] is not None)


def amplification(path, networks, eps, bits, name):
    """Returns whether `path` says how noise grows in these networks, at these radii and through these quantizers."""

    def is_asked(report):
        models, block = report["networks"], report["networks"][0]["first_block"]["quantized"]
        return (
            len(models) == len(networks)
            and all(same(network, model["model"]["content_hash"]) for network, model in zip(networks, models))
            and report["eps"] == [int(radius) for radius in eps.split(",")]
            and [curve["bits"] for curve in block] == [int(width) for width in bits.split(",")]
            and images(report, name, 256)
        )

    return holds(path, is_asked)


def samples(path, hashes, networks, asked, name, count):
    """Returns whether the samples are of these networks and `path` is the report of the first one's adversaries."""
    if not Path(hashes).exists():
        return False
    said = Path(hashes).read_text().split()
    return (len(said) == len(networks) and all(map(same, networks, said))
            and attack(path, networks[0], asked, [], name, count))


if __name__ == "__main__":
    print("\n".join(content_hash(network) for network in sys.argv[1:]))
