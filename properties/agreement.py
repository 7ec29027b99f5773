"""Agreement: the implementation, the generated NumPy code and the generated Torch code give the same."""

from bnverify import bounds
from bnverify.adapters.generated import references
from bnverify.compare import require_close
from bnverify.property import conformance_property


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
