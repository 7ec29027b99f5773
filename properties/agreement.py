"""Agreement: the implementation, the generated NumPy and Torch code, and every way of running the target give the same."""

from bnverify import bounds
from bnverify.adapters.generated import references
from bnverify.compare import require_close
from bnverify.judging import expectations
from bnverify.property import conformance_property

GENERATED = "the generated code has none of these rules"


@conformance_property(
    "agreement",
    source="one program, printed for each backend",
    weight=0.5,
    claim="implementation, generated NumPy and generated Torch agree within the sum of their bounds",
    catches=[
        "variance-over-m-minus-one",
        "eps-outside-root",
        "gamma-missing",
        "mean-dropped",
        "channels-scrambled",
        "tail-ignored",
    ],
    not_under=dict.fromkeys(("gamma_rule", "eps_rule", "eps_dtype", "correction_y"), GENERATED),
)
def agreement(subject, case):
    gradients = subject.lacks("gradients") is None
    names = ("y", "dx", "dgamma", "dbeta") if gradients else ("y",)
    expected, observed = bounds.training(case), subject.run(case, gradients=gradients)
    for reference in references(subject.convention):
        other = reference.run(case, gradients=gradients)
        for name in names:
            bound = expected[name].bound
            require_close(
                observed[name],
                other[name],
                bound=bound + bound,
                case=case,
                what=f"{name} - {name} of {reference.target}",
            )


def require_agreement(subject, case, way):
    """The target run as it is and in another way, in training and inference, differ by at most the sum of their bounds."""
    other = subject.ways[way]
    right = expectations(subject, case)
    gradients = "dx" in right
    require_alike(subject.run(case, gradients=gradients), other.run(case, gradients=gradients), right, case, way)
    if subject.lacks("inference") is None:
        here, there = subject.run(case, training=False), other.run(case, training=False)
        right = expectations(subject, case, training=False, gradients=False)
        require_alike(here, there, right, case, way)


def require_alike(here, there, right, case, way):
    for name, (_, bound) in right.items():
        require_close(here[name], there[name], bound=bound + bound, case=case, what=f"{name} - {name} ({way})")


@conformance_property(
    "agreement-channels-last",
    claim="contiguous and channels-last x and dy give the same within the sum of their bounds",
    shows="for x or dy in channels-last layout",
    source="a layer is a function of values, not of where they lie",
    weight=0.5,
    data="thick",
    catches=[
        "half-channels-last-nan",
        "channels-last-variance-summed",
        "gradients-wrong-channels-last",
        "x-taken-as-contiguous",
        "correction-missing-channels-last",
    ],
)
def agreement_of_memory_formats(subject, case):
    """x and dy both lie in one format: what becomes of mixed ones is the matter of the properties of layouts."""
    right = expectations(subject, case)
    gradients = "dx" in right
    if gradients and case.dtype != case.parameter_dtype:
        right["dbeta"] = right["dbeta"].rounded(case.dtype)  # see layouts.py
    here = subject.run(case, gradients=gradients)
    there = subject.run(case, gradients=gradients, layouts={"x": "channels-last", "dy": "channels-last"})
    require_alike(here, there, right, case, "channels-last")


@conformance_property(
    "agreement-threads",
    claim="one thread and two give the same within the sum of their bounds",
    shows="with another number of threads",
    source="any order of summation is right",
    weight=0.5,
    needs=["threads"],
    catches=["tail-lost-between-threads"],
)
def agreement_of_threads(subject, case):
    require_agreement(subject, case, "threads")


@conformance_property(
    "agreement-compiled",
    claim="eager and compiled by torch.compile give the same within the sum of their bounds",
    shows="when compiled",
    source="a compiler may reorder sums, nothing else",
    data="one shape",
    weight=0.5,
    needs=["compiled"],
    catches=["differs-when-compiled", "one-pass-when-compiled"],
    slow=True,
)
def agreement_of_compiled(subject, case):
    require_agreement(subject, case, "compiled")


@conformance_property(
    "agreement-cuda",
    claim="CPU and CUDA give the same within the sum of their bounds",
    shows="on CUDA",
    source="one program on every device",
    needs=["cuda"],
    catches=["differs-on-cuda"],
)
def agreement_of_devices(subject, case):
    require_agreement(subject, case, "cuda")
