"""Which normalization is which where an index has one place: instance, group, layer and per-step normalization and BN."""

from functools import partial

from bnverify.symbolic import law
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.prove import Setting
from bnverify.symbolic.transform import relettered

SOURCE = "from the definitions; the index of one place written out"
OUTPUTS = ("y", "dx", "dgamma", "dbeta")


@law(
    "instance-norm-of-one-case",
    of=("instance_norm_backward", "training_backward"),
    source=SOURCE,
    statement="N = 1: instance normalization is BN over the positions, with its gradients",
)
def one_case(p: Setting, instance: Program, batch: Program) -> None:
    here = p.run(p.written_out(instance, "i", 1))
    bn = p.run(relettered(batch, "i", "p", size("P")), x=here.x_1, dy=here.dy_1)
    found = (here.y_1, here.dx_1, here.dgamma, here.dbeta)
    for name, value in zip(OUTPUTS, found, strict=True):
        p.equal(name, value, getattr(bn, name))
    p.differ("y = gamma x + beta", here.y_1, here.gamma * here.x_1 + here.beta)


@law(
    "group-norm-of-one-channel",
    of=("group_norm_backward", "instance_norm_backward"),
    source="Wu and He 2018, section 3.1",
    statement="one channel a group: group normalization is instance normalization, with its gradients",
)
def one_channel(p: Setting, group: Program, instance: Program) -> None:
    here = p.run(p.written_out(group, "d", 1))
    given = {"x": here.x_1, "dy": here.dy_1, "gamma": here.gamma_1, "beta": here.beta_1}
    other = p.run(relettered(instance, "c", "g", size("G")), **given)
    found = (here.y_1, here.dx_1, here.dgamma_1, here.dbeta_1)
    for name, value in zip(OUTPUTS, found, strict=True):
        p.equal(name, value, getattr(other, name))
    p.differ("y = x_hat", here.y_1, here.x_hat_1)


@law(
    "group-norm-of-one-group",
    of=("group_norm_backward", "layer_norm_backward"),
    source="Wu and He 2018, section 3.1",
    statement="one group and one position: group normalization is layer normalization, with its gradients",
)
def one_group(p: Setting, group: Program, layer: Program) -> None:
    here = p.run(p.written_out(p.written_out(group, "g", 1), "p", 1))
    given = {"x": here.x_1_1, "dy": here.dy_1_1, "gamma": here.gamma_1, "beta": here.beta_1}
    other = p.run(relettered(layer, "c", "d", size("D")), **given)
    found = (here.y_1_1, here.dx_1_1, here.dgamma_1, here.dbeta_1)
    for name, value in zip(OUTPUTS, found, strict=True):
        p.equal(name, value, getattr(other, name))
    p.differ("y = x_hat", here.y_1_1, here.x_hat_1_1)


@law(
    "sequence-norm-of-one-step",
    of=("sequence_norm_backward", "training_backward"),
    source=SOURCE,
    statement="T = 1: BN per time step is BN, with its gradients",
)
def one_step(p: Setting, sequence: Program, batch: Program) -> None:
    here = p.run(p.written_out(sequence, "t", 1))
    bn = p.run(batch, x=here.x_1, dy=here.dy_1)
    found = (here.y_1, here.dx_1, here.dgamma, here.dbeta)
    for name, value in zip(OUTPUTS, found, strict=True):
        p.equal(name, value, getattr(bn, name))
    p.differ("dx = 0", here.dx_1, 0 * here.x_1)


def places_apart(p: Setting, backward: Program, letter: str, neighbour: str) -> None:
    """Between the places of ``neighbour``, which R holds, there is no such independence."""
    p.independent("y and dx", backward, letter, ["y", "dx"])
    p.independent(f"the same of the index {neighbour}", backward, neighbour, ["y", "dx"], holds=False)


APART = (
    ("layer_norm", "i", "c", "cases"),
    ("group_norm", "i", "p", "cases"),
    ("group_norm", "g", "d", "groups"),
    ("instance_norm", "i", "p", "cases"),
    ("instance_norm", "c", "p", "channels"),
    ("rms_norm", "i", "c", "cases"),
    ("sequence_norm", "t", "i", "steps"),
)
"""A program, an index whose places ignore each other, one whose places do not, and what the first counts."""

for _program, _letter, _neighbour, _words in APART:
    _ = law(
        f"{_program.replace('_', '-')}-{_words}-apart",
        of=f"{_program}_backward",
        source="Ba, Kiros and Hinton 2016, section 3, and Cooijmans et al. 2017, section 3",
        statement=f"y and dx of one of the {_words} depend on that one alone",
    )(partial(places_apart, letter=_letter, neighbour=_neighbour))
