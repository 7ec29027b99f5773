"""The framework h = f(g (z - mu)/sigma + b): every normalization that has an instance is that instance."""

from functools import partial

from bnverify.symbolic import law
from bnverify.symbolic.framework import INSTANCES, MU, SIGMA, Instance, Z
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


def is_instance(p: Setting, normalization: Program, instance: Instance) -> None:
    """The instance is wrong with sigma² for sigma, without mu, and with sums over other indices."""
    framework = instance.program()
    h_out = p.run(framework).h_out
    y = p.run(normalization).y
    p.equal("y = g (z - mu)/sigma + b", y, h_out)
    squared = framework.with_statement("h_out", instance.g * (Z - MU) / SIGMA**2 + instance.b)
    p.differ("y = g (z - mu)/sigma² + b", y, p.run(squared).h_out)
    if instance.mu != "0":
        bare = framework.with_statement("h_out", instance.g * Z / SIGMA + instance.b)
        p.differ("y = g z/sigma + b", y, p.run(bare).h_out)
    if instance.other:
        p.differ(
            f"the same with R = {{{', '.join(instance.other)}}}", y, p.run(instance.program(over=instance.other)).h_out
        )


for _instance in INSTANCES:
    _over = f"R = {{{', '.join(_instance.over)}}}, " if _instance.over else ""
    _ = law(
        f"framework-{_instance.of.replace('_', '-')}",
        of=_instance.of,
        statement=f"{_instance.words} is g (z - mu)/sigma + b with {_over}mu = {_instance.mu}, sigma = {_instance.sigma}",
        source="the definitions of both",
    )(partial(is_instance, instance=_instance))
