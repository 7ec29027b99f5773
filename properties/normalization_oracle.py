"""Other normalizations against exact arithmetic within the derived bound, on data of every conditioning."""

from bnverify.compare import require_outputs
from bnverify.normalizations import bounds
from bnverify.normalizations.drawing import hard_cases, known_cases, offset_cases
from bnverify.normalizations.kinds import ALL, CENTRED
from bnverify.normalizations.mutants import named, wrong_in
from bnverify.property import conformance_property

SOURCE = "the derivation in ball arithmetic; the bound is its derivative in rounding errors"
KNOWN = "exact arithmetic; eps = r² - v makes the root a power of two"
KNOWN_WRONG = tuple(n for n in named("*-flipped", "*-doubled", "*-missing") if n in wrong_in("y"))
OF_GRADIENTS = wrong_in("dx", "dgamma", "dbeta", besides=("y",))


@conformance_property(
    "norm-y",
    claim="a call gives y within the rounding errors of its statements",
    source=SOURCE,
    kinds=ALL,
    cases=hard_cases,
    catches=[
        *wrong_in("y"),
        "correction-of-one",
        "eps-beside-the-root",
        "statistics-over-the-batch",
        "gamma-along-the-wrong-axis",
        "mean-subtracted",
        "bias-twice",
        "lengths-as-root-mean-squares",
        "rows-of-the-other-axis",
    ],
    weight=2,
)
def norm_y(subject, case):
    require_outputs(subject.run(case), bounds.training(case), ("y",), case=case)


@conformance_property(
    "norm-offset",
    claim="y of few values far from 0 is right: the variance is that of deviations, and not a difference of squares",
    source="Chan, Golub and LeVeque 1983: one pass loses about log2(mean²/variance) bits",
    kinds=CENTRED,
    cases=offset_cases,
    catches=[
        "one-pass-variance",
        "statistics-in-half",
        *named("*_var-*_mean-dropped", "x_hat-*_mean-dropped", kinds=CENTRED),
    ],
    weight=2,
)
def norm_offset(subject, case):
    require_outputs(subject.run(case), bounds.training(case), ("y",), case=case)


@conformance_property(
    "norm-dx",
    claim="the gradient by x (of weight normalization by v) is right within the rounding errors of its statements",
    source=SOURCE,
    kinds=ALL,
    cases=hard_cases,
    needs=["gradients"],
    catches=[
        *(name for name in OF_GRADIENTS if name in wrong_in("dx")),
        "statistics-constant",
        "gradient-of-another-eps",
    ],
    weight=2,
)
def norm_dx(subject, case):
    require_outputs(subject.run(case, gradients=True), bounds.training(case), ("dx",), case=case)


@conformance_property(
    "norm-parameter-gradients",
    claim="dgamma and dbeta are the sums of dy x_hat and of dy, accumulated in float32 where the data are half",
    source=SOURCE,
    kinds=ALL,
    cases=hard_cases,
    needs=["gradients", "gamma"],
    catches=[
        *(name for name in OF_GRADIENTS if name in wrong_in("dgamma", "dbeta")),
        "gradient-of-one-sample",
        "gradient-averaged",
        "parameter-gradients-in-half",
    ],
    weight=2,
)
def norm_parameter_gradients(subject, case):
    names = subject.gradients[1:]
    require_outputs(subject.run(case, gradients=True), bounds.training(case), names, case=case)


@conformance_property(
    "norm-known-y",
    claim="a call gives the known y",
    source=KNOWN,
    kinds=ALL,
    cases=known_cases,
    needs=["eps"],
    catches=[*KNOWN_WRONG, "eps-beside-the-root", "correction-of-one"],
)
def norm_known_y(subject, case):
    require_outputs(subject.run(case), bounds.training(case), ("y",), case=case, known=True)


@conformance_property(
    "norm-known-gradients",
    claim="the gradients are the known ones",
    source=KNOWN,
    kinds=ALL,
    cases=known_cases,
    needs=["eps", "gradients"],
    catches=[*OF_GRADIENTS, "statistics-constant"],
)
def norm_known_gradients(subject, case):
    names = subject.outputs(case)[1:]
    require_outputs(subject.run(case, gradients=True), bounds.training(case), names, case=case, known=True)
