"""Attack the circuit with the field's toolboxes, beside dq's own attacks of the same settings.

    pip install ./python torch foolbox torchattacks adversarial-robustness-toolbox
    pip install git+https://github.com/fra31/auto-attack
    python python/examples/toolboxes.py [--count 200] [--eps 2] [MODEL]

Every toolbox sees one PyTorch module, `net.torch()`: floats in [0, 1] in, logits out. The module rounds to
grey levels inside, and each adversary is judged once more here, by the exact labels of its rounded pixels. A
toolbox that is not installed is left out, and the table says so.

With `--within POINTS` the exit code is 1 where an adversary is farther than the radius, or a toolbox leaves
an accuracy farther than so many points from that of dq's attack at the same settings.
"""

import argparse
import sys

import numpy as np
import torch

import dqnet


#: One grey level, the step of dq's `pgd`.
GREY = 1 / 255


def steps(eps):
    """The number of steps of dq's `pgd`, as the paper has it."""
    return int(min(eps + 4, 1.25 * eps))


def foolbox_pgd(model, net, x, y, eps):
    """Foolbox: projected gradient descent from one uniform start."""
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=GREY, steps=steps(eps), random_start=True)
    return attack(wrapped, x, y, epsilons=eps / 255)[1]


def torchattacks_pgd(model, net, x, y, eps):
    """torchattacks: projected gradient descent from one uniform start."""
    import torchattacks

    return torchattacks.PGD(model, eps=eps / 255, alpha=GREY, steps=steps(eps), random_start=True)(x, y)


def art_pgd(model, net, x, y, eps):
    """ART, white box: projected gradient descent from one uniform start."""
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), x.shape[1:], net.classes, clip_values=(0, 1), device_type="cpu"
    )
    attack = ProjectedGradientDescent(
        classifier, eps=eps / 255, eps_step=GREY, max_iter=steps(eps), num_random_init=1, verbose=False
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def torchattacks_apgd(model, net, x, y, eps):
    """torchattacks: APGD on the cross entropy, 100 steps from one start."""
    import torchattacks

    return torchattacks.APGD(model, eps=eps / 255, steps=100, n_restarts=1, loss="ce", seed=1)(x, y)


def art_square(model, net, x, y, eps):
    """ART, black box: Square attack of 200 queries, which asks for scores alone. dq's has 5,000."""
    from art.attacks.evasion import SquareAttack
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork

    def predict(pixels):
        with torch.no_grad():
            return model(torch.from_numpy(np.asarray(pixels, np.float32))).numpy()

    classifier = BlackBoxClassifierNeuralNetwork(
        predict, tuple(x.shape[1:]), net.classes, channels_first=True, clip_values=(0, 1)
    )
    attack = SquareAttack(classifier, eps=eps / 255, max_iter=200, verbose=False)
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def autoattack_apgd(model, net, x, y, eps):
    """AutoAttack's own code: APGD on the cross entropy, 100 steps from one start."""
    from autoattack import AutoAttack

    suite = {"version": "custom", "attacks_to_run": ["apgd-ce"], "device": "cpu", "verbose": False}
    attack = AutoAttack(model, norm="Linf", eps=eps / 255, **suite)
    attack.apgd.n_restarts = 1
    return attack.run_standard_evaluation(x, y, bs=len(x))


#: Each toolbox's attack, the attack of dq that it is held against, and whether both have the same settings.
ATTACKS = [
    (foolbox_pgd, "pgd", True),
    (torchattacks_pgd, "pgd", True),
    (art_pgd, "pgd", True),
    (art_square, "square", False),
    (torchattacks_apgd, "apgd-ce", True),
    (autoattack_apgd, "apgd-ce", True),
]


def arguments():
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("model", nargs="?", default="models/signs-tiny-dq/model.json")
    given.add_argument("--count", type=int, default=200, help="images of the built-in data set")
    given.add_argument("--eps", type=int, default=2, help="radius in grey levels")
    given.add_argument("--within", type=float, metavar="POINTS", help="fail where accuracies differ by more")
    return given.parse_args()


def main():
    given = arguments()
    torch.manual_seed(1)
    np.random.seed(1)
    net = dqnet.load(given.model)
    images, labels, _ = dqnet.data("signs")
    images, labels = images[: given.count], labels[: given.count]
    model = net.torch().eval()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    y = torch.from_numpy(labels)
    clean = net.labels(images) == labels
    print(f"{net.name}, {len(images)} images, eps {given.eps}: clean {clean.mean():.1%}")
    ours = net.attack(images, labels, attacks=["pgd", "square", "apgd-ce"], eps=given.eps, start="uniform")
    ours = {run["attack"]: run["tally"]["accuracy"] for run in ours["runs"]}
    print(f"{'toolbox':<20} {'left':>7}   {'dq':<8} {'left':>7}   farther than eps")
    failed = []
    for attack, own, alike in ATTACKS:
        name = attack.__name__.replace("_", " ")
        try:
            found = attack(model, net, x, y, given.eps)
        except ImportError as error:
            print(f"{name:<20} left out: {error}")
            continue
        pixels = (found.detach() * 255).round().clamp(0, 255).to(torch.uint8)
        pixels = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        distance = np.abs(pixels.astype(int) - images).reshape(len(images), -1).max(axis=1)
        far = distance > given.eps
        left = np.mean((net.labels(pixels) == labels) | (far & clean))
        print(f"{name:<20} {left:>7.1%}   {own:<8} {ours[own]:>7.1%}   {far.sum()}", flush=True)
        if given.within is not None and (far.any() or alike and abs(left - ours[own]) * 100 > given.within):
            failed.append(name)
    if failed:
        sys.exit(f"more than {given.within} points from dq, or farther than the radius: {', '.join(failed)}")


if __name__ == "__main__":
    main()
