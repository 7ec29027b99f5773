"""Oracle: agreement with exact arithmetic within the derived bound, on data of every conditioning."""

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import require_outputs
from bnverify.faults.mutant import systematic
from bnverify.property import conformance_property

SOURCE = "the derivation in ball arithmetic; the bound is its derivative in rounding errors"


@conformance_property(
    "oracle-y",
    claim="training gives y within the rounding errors of its statements",
    source=SOURCE,
    catches=[
        "half-throughout",
        "masked-lane-counted",
        "padding-in-variance",
        "padding-mask-ignored",
        "masked-count-padded",
        "masked-count-of-samples",
        "tail-strides-by-one",
        "variance-of-tile-means",
        "statistics-of-every-other-position",
        "normalized-along-last-axis",
        "variance-over-m-minus-one",
        "eps-outside-root",
        "mean-dropped",
        "gamma-missing",
        "gamma-by-its-size",
        "gamma-pinned",
        "corrected-throughout",
        "eps-beside-the-root",
        "beta-missing",
        "one-pass-variance",
        "float32-inside",
        "identity",
        "instance-statistics",
        "channels-scrambled",
        "tail-ignored",
        "eps-of-its-own-on-planes",
        "one-pass-in-half",
        "mean-in-bfloat16",
        "mean-of-the-type-of-x",
        "float32-accumulator",
        "moments-helper-in-one-pass",
        "one-pass-clamped",
        "samples-apart",
        "eps-of-another-library",
        *systematic("training", "y"),
    ],
    weight=2,
)
def oracle_y(subject, case):
    require_outputs(subject.run(case), bounds.training(case), ("y",), case=case)


@conformance_property(
    "oracle-gradients",
    claim="training gives dx, dgamma and dbeta within the rounding errors of theirs",
    source=SOURCE,
    needs=["gradients"],
    catches=[
        "saved-statistics-in-half",
        "parameter-gradients-in-half",
        "gradient-tail-strides-by-one",
        "masked-lane-counted",
        "gamma-pinned",
        "gamma-by-its-size",
        "corrected-throughout",
        "eps-beside-the-root",
        "dx-mean-path-dropped",
        "dx-variance-path-dropped",
        "dx-statistics-constant",
        "dx-gamma-missing",
        "dx-eps-missing",
        "dgamma-from-x",
        "dbeta-averaged",
        "float32-inside",
        "stale-cache",
        "one-pass-variance",
        "training-never-heard",
        "eps-of-its-own-in-backward",
        *systematic("training", *GRADIENTS, besides=("y",)),
    ],
    weight=2,
)
def oracle_gradients(subject, case):
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    require_outputs(observed, expected, GRADIENTS, case=case)


@conformance_property(
    "oracle-inference",
    claim="inference gives y by the stored statistics",
    source=SOURCE,
    needs=["inference"],
    catches=[
        "inference-batch-statistics",
        "inference-eps-outside-root",
        "inference-root-missing",
        "inference-mean-ignored",
        "inference-gamma-missing",
        "inference-beta-missing",
        "training-flag-ignored",
        "batch-in-inference-without-gradients",
        "eps-as-floor",
        "eps-beside-the-root",
        "gamma-by-its-size",
        "gamma-pinned",
        *systematic("inference", "y"),
    ],
)
def oracle_inference(subject, case):
    require_outputs(subject.run(case, training=False), bounds.inference(case), ("y",), case=case)


@conformance_property(
    "oracle-inference-gradients",
    claim="inference gives dx = gamma/s dy, and dgamma and dbeta with it",
    source=SOURCE,
    needs=["inference", "inference_gradients"],
    catches=[
        "inference-dx-training-formula",
        "inference-dx-gamma-missing",
        "inference-dgamma-from-x",
        "inference-batch-statistics",
        *systematic("inference", *GRADIENTS, besides=("y",)),
    ],
)
def oracle_inference_gradients(subject, case):
    expected, observed = bounds.inference(case), subject.run(case, training=False, gradients=True)
    require_outputs(observed, expected, GRADIENTS, case=case)


@conformance_property(
    "oracle-state",
    claim="a training step averages the batch's mean and corrected variance into the state",
    source=SOURCE,
    needs=["state"],
    catches=[
        "state-averaged-in-half",
        "running-correction-flipped",
        "running-rate-swapped",
        "running-not-updated",
        "running-replaced",
        "running-not-decayed",
        "running-deviation-stored",
        "running-mean-not-updated",
        "state-updated-twice",
        "update-rate-ignored",
        "rate-swapped-on-planes",
        "new-statistics-dropped",
        "stored-variance-over-m",
        "state-moves-in-backward",
        "eps-stored-with-variance",
        "correction-by-rank",
        "correction-over-all-values",
        "correction-by-samples",
        "correction-in-the-type-of-x",
        "average-corrected",
        "statistics-as-sums",
        "textbook-stores-corrected-variance",
        "exercise-stores-corrected-variance",
        "exercise-weighs-the-new",
        "momentum-weighs-the-old",
        "layer-stores-variance-over-m",
        "average-debiased",
        *systematic("running", "new_running_mean", "new_running_var"),
    ],
)
def oracle_state(subject, case):
    expected, observed = bounds.running(case, subject.convention.correction), subject.run(case)
    require_outputs(observed, expected, STATE, case=case)
