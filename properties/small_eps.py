"""Small eps: it is used as it is given, also where kernels have a least eps of their own."""

from bnverify import bounds
from bnverify.compare import require_expected
from bnverify.judging import modes, require_right
from bnverify.property import conformance_property

ROOTS = (2.0**-10, 2.0**-14, 2.0**-20)
"""The roots of the eps that are given: 1e-6, 4e-9 and 9e-13."""


@conformance_property(
    "small-eps",
    claim="an eps far below 1e-5 is used as it is given: in y, the gradients, the state and inference",
    shows="with an eps far below 1e-5",
    source="tensorflow/tensorflow issue 8090: an eps below 1e-5 was replaced on one path",
    needs=["eps"],
    data="unit",
    weight=0.5,
    precisions=["float32", "float64"],
    catches=["small-eps-raised", "eps-shifted-into-variance", "eps-ignored", "eps-missing"],
)
def small_eps(subject, case):
    """x and the stored statistics are scaled by powers of two, which is exact, so that their variances are about eps.

    float16 has no such numbers.
    """
    for root in ROOTS:
        size = root / 4
        state = {"running_mean": case.running_mean * size, "running_var": case.running_var * size**2}
        now = case.changed(x=case.x * size, eps=root**2, **state)
        for training in modes(subject):
            require_right(subject, now, training=training, what=f"with eps = {now.eps:.0e}")


@conformance_property(
    "zero-variance-in-inference",
    claim="inference by a stored variance of 0 divides by the root of eps: y = beta + gamma (x - mean)/sqrt(eps)",
    shows="in inference by a stored variance of 0",
    source="pytorch/vision issue 2599: without eps a variance that underflows in half gave NaN",
    needs=["inference"],
    data="unit",
    weight=0.5,
    catches=["eps-lost-in-half", "inference-eps-missing"],
)
def zero_variance_in_inference(subject, case):
    """What is stored in half may be 0 where the variance was below the smallest number of its type."""
    eps = case.eps if subject.fixed_eps else 0.25
    now = case.changed(running_var=0 * case.running_var, eps=eps)
    require_expected(subject.run(now, training=False).y, bounds.inference(now)["y"], what="y in inference", case=now)
