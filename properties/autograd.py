"""Autograd: any of x, gamma and beta may ask for gradients, and a backward pass may be run again."""

from itertools import combinations

from bnverify import bounds
from bnverify.compare import current_record, require, require_expected
from bnverify.property import conformance_property
from bnverify.subject import Raised

SOURCE = "autograd: gradients are computed for what asks for them, and as often as asked"
GRADIENT_OF = {"x": "dx", "gamma": "dgamma", "beta": "dbeta"}
SOME = tuple(asking for n in (1, 2) for asking in combinations(GRADIENT_OF, n))


@conformance_property(
    "frozen",
    claim="where some of x, gamma and beta ask for gradients, those are as if all did",
    shows="where only some of x, gamma and beta ask for gradients",
    source=SOURCE,
    needs=["autograd"],
    data="unit",
    weight=0.5,
    catches=[
        "dbeta-added-beside-fixed-gamma",
        "dx-wrong-beside-frozen-gamma",
        "parameters-forgotten-beside-frozen-x",
        "frozen-means-inference",
    ],
    not_under={"gamma_rule=fixed": "gamma has no gradient that could be asked for"},
)
def frozen(subject, case):
    expected = bounds.training(case)
    for asking in SOME:
        observed = subject.run(case, gradients=True, asking=asking)
        for leaf in asking:
            name = GRADIENT_OF[leaf]
            what = f"{name} where only {' and '.join(asking)} ask for gradients"
            require(observed[name] is not None, got=f"no {what}", should_be="an array", case=case)
            require_expected(observed[name], expected[name], what=what, case=case)


@conformance_property(
    "backward-twice",
    claim="a second backward pass through one retained graph gives the same gradients, or is refused",
    shows="in a second backward pass through one graph",
    source=SOURCE,
    needs=["autograd"],
    data="unit",
    weight=0.5,
    catches=["backward-spoils-what-was-saved"],
)
def backward_twice(subject, case):
    """Code made by torch.compile refuses: it frees what it saved as it goes."""
    expected = bounds.training(case)
    try:
        observed = subject.run(case, gradients=True, backwards=2)
    except Raised:
        current_record().note(0.0, case)
        return
    for name in GRADIENT_OF.values():
        require_expected(observed[name], expected[name], what=f"{name} of a second backward pass", case=case)
