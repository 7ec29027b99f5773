"""Known answers: data whose right outputs are short numbers. Equal bits is the best grade; the derived bound judges."""

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import require_outputs
from bnverify.property import conformance_property

SOURCE = "exact arithmetic; eps = r² - v makes the root a power of two"
WRONG_Y = (
    "variance-over-m-minus-one",
    "variance-about-zero",
    "eps-missing",
    "eps-outside-root",
    "root-missing",
    "mean-dropped",
    "gamma-missing",
    "gamma-absolute",
    "beta-missing",
    "beta-scaled",
)
WRONG_GRADIENTS = (
    "dx-mean-path-dropped",
    "dx-variance-path-dropped",
    "dx-variance-path-flipped",
    "dx-statistics-constant",
    "dx-gamma-missing",
    "dx-gamma-absolute",
    "dx-over-m-minus-one",
    "dx-eps-missing",
    "dgamma-from-x",
    "dgamma-averaged",
    "dbeta-averaged",
    "dbeta-scaled",
)


@conformance_property(
    "known-y",
    claim="training gives the known y",
    source=SOURCE,
    needs=["eps"],
    data="known",
    catches=[
        "mean-subtracted-only",
        "y-is-beta",
        "normalized-along-last-axis",
        *WRONG_Y,
        "identity",
        "eps-ignored",
        "tail-ignored",
        "instance-statistics",
        "eps-of-its-own-on-planes",
        "training-never-heard",
        "eps-as-floor",
        "square-for-root",
        "eps-of-another-library",
        "corrected-throughout",
    ],
)
def known_y(subject, case):
    require_outputs(subject.run(case), bounds.training(case), ("y",), case=case, known=True)


@conformance_property(
    "known-gradients",
    claim="training gives the known dx, dgamma and dbeta",
    source=SOURCE,
    needs=["eps", "gradients"],
    data="known",
    catches=[
        "saved-statistics-interleaved",
        "gradients-zero",
        "upstream-taken-for-ones",
        "upstream-of-sample-zero",
        "dx-zero-in-training",
        "dx-passed-through",
        *WRONG_GRADIENTS,
        "stale-cache",
        "gradient-missing",
        "gradients-accumulate",
        "eps-of-its-own-in-backward",
    ],
)
def known_gradients(subject, case):
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    require_outputs(observed, expected, GRADIENTS, case=case, known=True)


@conformance_property(
    "known-state",
    claim="one training step leaves the known running_mean and running_var",
    source=SOURCE,
    needs=["eps", "state"],
    data="known",
    catches=[
        "state-initialized-per-call",
        "inverse-deviation-stored",
        "correction-of-one-part",
        "running-correction-flipped",
        "running-rate-swapped",
        "running-not-updated",
        "running-replaced",
        "running-not-decayed",
        "running-deviation-stored",
        "running-mean-not-updated",
        "state-updated-twice",
        "update-rate-ignored",
        "stored-variance-over-m",
        "eps-stored-with-variance",
        "correction-by-rank",
        "correction-over-all-values",
        "correction-by-samples",
        "textbook-stores-corrected-variance",
        "exercise-stores-corrected-variance",
        "layer-stores-variance-over-m",
    ],
)
def known_state(subject, case):
    expected, observed = bounds.running(case, subject.convention.correction), subject.run(case)
    require_outputs(observed, expected, STATE, case=case, known=True)


@conformance_property(
    "known-inference",
    claim="inference gives the known y",
    source=SOURCE,
    needs=["eps", "inference"],
    data="known",
    catches=[
        "inference-as-fresh",
        "inverse-deviation-as-variance",
        "inference-batch-statistics",
        "inference-eps-missing",
        "inference-eps-outside-root",
        "inference-root-missing",
        "inference-mean-ignored",
        "inference-gamma-missing",
        "inference-beta-missing",
        "training-flag-ignored",
    ],
)
def known_inference(subject, case):
    require_outputs(subject.run(case, training=False), bounds.inference(case), ("y",), case=case, known=True)


@conformance_property(
    "known-inference-gradients",
    claim="inference gives the known dx, dgamma and dbeta",
    source=SOURCE,
    needs=["eps", "inference", "inference_gradients"],
    data="known",
    catches=["inference-dx-training-formula", "inference-dx-gamma-missing", "inference-dgamma-from-x"],
)
def known_inference_gradients(subject, case):
    expected, observed = bounds.inference(case), subject.run(case, training=False, gradients=True)
    require_outputs(observed, expected, GRADIENTS, case=case, known=True)
