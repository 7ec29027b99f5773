"""A mutation: a program with one thing wrong, as data, and how the wrong program of the whole step is built from it.

A mutation of the ``forward`` statements is differentiated afterwards, so that its gradients are those of the wrong
function; a mutation of the ``closed`` or ``staged`` backward pass changes a gradient alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program, Statement, indices, real
from bnverify.symbolic.registry import derived

TRAINING = ("y", "batch_mean", "batch_var", "dx", "dgamma", "dbeta")
INFERENCE = ("y", "dx", "dgamma", "dbeta")
RUNNING = ("new_running_mean", "new_running_var")
TANGENT = ("ty",)
SECOND = ("second_x", "second_gamma", "second_dy")


@dataclass(frozen=True)
class Mutation:
    """One wrong program: which form of which step, the statements that differ, and what that means in words."""

    name: str
    form: str
    """A key of FORMS: forward, output, closed, staged, inference, inference_gradient, running, tangent, second."""
    changes: Mapping[str, str]
    meaning: str
    before: tuple[tuple[str, str, str], ...] = field(default=())
    """Statements (name, expression, summed indices) that the changed ones need first."""
    constant: tuple[tuple[str, str], ...] = field(default=())
    """Pairs (statement, symbol): that statement takes the symbol for a constant when it is differentiated."""
    systematic: bool = False
    """Whether a rule made it, as against chosen by hand."""

    @property
    def step(self) -> str:
        """The step whose results differ: training, inference, running, tangent or second."""
        return FORMS[self.form].step

    def program(self) -> Program:
        """Return the mutated program of the whole step."""
        form = FORMS[self.form]
        wrong = _changed(form.program(), self)
        if form.differentiated:
            upstream, wrt, prefix = form.differentiated
            wrong = vjp(wrong, wrt, upstream=upstream, prefix=prefix, constant=self.constant)
        return wrong.needed_for([wrong.symbol(n) for n in form.outputs])


@dataclass(frozen=True)
class Form:
    """One of the programs that a step can be computed by.

    derivation: the program whose statements are changed.  outputs: what the step returns.
    observed: the outputs that reach a caller (the statistics of the batch do so by the running update alone).
    differentiated: the upstream gradients, what is differentiated by and the prefix of adjoints, where the changed
    program is differentiated afterwards.
    """

    step: str
    derivation: str
    outputs: tuple[str, ...]
    observed: tuple[str, ...]
    differentiated: tuple[Mapping[str, str], tuple[str, ...], str] | None = None

    def program(self) -> Program:
        """Return the right program."""
        return derived(self.derivation).program


_SEEN = ("y", "dx", "dgamma", "dbeta")
_FORWARD = ({"y": "dy"}, ("x", "gamma", "beta"), "d")
_BACKWARD = ({"dx": "ddx", "dgamma": "ddgamma", "dbeta": "ddbeta"}, ("x", "gamma", "dy"), "second_")
FORMS: Mapping[str, Form] = {
    "forward": Form("training", "training_forward", TRAINING, _SEEN, _FORWARD),
    "output": Form("training", "input_gradient", TRAINING, _SEEN),
    "closed": Form("training", "input_gradient", TRAINING, _SEEN),
    "staged": Form("training", "training_backward", TRAINING, _SEEN),
    "inference": Form("inference", "inference", INFERENCE, INFERENCE, _FORWARD),
    "inference_gradient": Form("inference", "inference_gradient", INFERENCE, INFERENCE),
    "running": Form("running", "running_update", RUNNING, RUNNING),
    "tangent": Form("tangent", "output_tangent", TANGENT, TANGENT),
    "second": Form("second", "second_gradient", SECOND, SECOND),
    "second_staged": Form("second", "training_backward", SECOND, SECOND, _BACKWARD),
}
RIGHT: Mapping[str, str] = {
    "training": "input_gradient",
    "inference": "inference_gradient",
    "running": "running_update",
    "tangent": "output_tangent",
    "second": "second_gradient",
}
"""The right program of each step."""


def _changed(program: Program, mutation: Mutation) -> Program:
    symbols = {s.name: s for s in (*program.axes, *program.sizes.values())}
    extra = []
    for name, text, over in mutation.before:
        symbols[name] = real(name)
        extra.append(Statement(symbols[name], sp.sympify(text, locals=symbols), indices(over)))
    if extra:
        inputs = {s: program.axes[s] for s in program.inputs}
        first = Program("own", program.inputs, (), (), inputs, program.sizes).extended("own", extra, [])
        axes = {**program.axes, **first.axes}
        program = Program(program.name, program.inputs, (*extra, *program.body), program.outputs, axes, program.sizes)
    for name, text in mutation.changes.items():
        program = program.with_statement(name, sp.sympify(text, locals=symbols))
    return program
