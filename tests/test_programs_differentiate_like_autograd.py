"""Programs of several normalizations, written with no change to the engine, have the derivatives of autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

from bnverify.symbolic import interpret
from bnverify.symbolic.differentiate import jvp, vjp
from bnverify.symbolic.normal_form import normal_forms
from bnverify.symbolic.program import EPS, Program, program, real, size
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.registry import derived
from bnverify.symbolic.witness import try_out

torch = pytest.importorskip("torch")

Array = NDArray[np.float64]
EPS_VALUE = 0.37
# Each derivative here is a chain of some 60 operations and sums of at most 35 terms, on data of size 1 with v + eps of
# size 1: about 100 roundings of 2^-53, relative to the largest entry, as its terms are no larger than some 10 of it.
ROUNDINGS = 1000 * 2.0**-53

x, h, v, z, g = map(real, ("x", "h", "v", "z", "g"))
mean, var, inv_std, x_hat, gamma, beta = map(real, ("mean", "var", "inv_std", "x_hat", "gamma", "beta"))


def layer_norm() -> Program:
    """Statistics over the features j of each row i; gamma and beta belong to a feature."""
    d = size("D")
    return program(
        "layer_norm",
        inputs={"x": "ij", "gamma": "j", "beta": "j", EPS: ""},
        statements=[
            ("mean", x / d, "j"),
            ("var", (x - mean) ** 2 / d, "j"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y"],
        sizes={"i": size("n"), "j": d},
    )


def weight_norm() -> Program:
    """y = (g/|v|) v h for each output row c."""
    return program(
        "weight_norm",
        inputs={"v": "ck", "g": "c", "h": "ik"},
        statements=[
            ("square", v**2, "k"),
            ("scale", g / sp.sqrt(real("square")), ""),
            ("z", v * h, "k"),
            ("y", real("scale") * z, ""),
        ],
        outputs=["y"],
        sizes={"i": size("m"), "c": size("C"), "k": size("K")},
    )


def normalized(z: Any, gamma: Any, beta: Any, eps: Any, over: int) -> Any:
    """Normalize by the statistics over one axis, as one would in torch."""
    centred = z - z.mean(dim=over, keepdim=True)
    return gamma * centred / torch.sqrt((centred**2).mean(dim=over, keepdim=True) + eps) + beta


@dataclass(frozen=True)
class Example:
    """A program, the same function in torch on keepdims arrays, and what to differentiate by."""

    program: Program
    order: str
    function: Callable[..., Any]
    wrt: tuple[str, ...]


EXAMPLES = {
    "batch norm": Example(
        derived("training_forward").program,
        "ci",
        lambda x, gamma, beta, eps: normalized(x, gamma, beta, eps, 1),
        ("x", "gamma", "beta", "eps"),
    ),
    "layer norm": Example(
        layer_norm(),
        "ij",
        lambda x, gamma, beta, eps: normalized(x, gamma, beta, eps, 1),
        ("x", "gamma", "beta", "eps"),
    ),
    "weight norm": Example(
        weight_norm(),
        "cik",
        lambda v, g, h: g * (v * h).sum(dim=2, keepdim=True) / v.norm(dim=2, keepdim=True),
        ("v", "g", "h"),
    ),
    "linear and batch norm": Example(
        derived("linear_forward").program,
        "cik",
        lambda W, h, gamma, beta, eps: normalized((W * h).sum(dim=2, keepdim=True), gamma, beta, eps, 1),
        ("W", "h", "gamma", "beta", "eps"),
    ),
}
LENGTHS = {"c": 3, "i": 7, "j": 5, "k": 5}
each_example = pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))


def draw(program: Program, order: str, seed: int = 0) -> dict[str, Array]:
    """Return a random value for each input, with one axis for each letter of ``order``."""
    numbers = np.random.default_rng(seed)
    shapes = {s.name: interpret.shape_of(program.axes[s], LENGTHS, order) for s in program.inputs}
    return {n: np.full(shape, EPS_VALUE) if n == "eps" else numbers.normal(size=shape) for n, shape in shapes.items()}


def as_tensors(values: Mapping[str, Array], names: tuple[str, ...]) -> list[Any]:
    return [torch.tensor(values[n], requires_grad=True) for n in names]


def require_agreement(got: Array, expected: Any, what: str) -> None:
    expected = expected.detach().numpy()
    assert got.shape == expected.shape, what
    worst, allowed = np.max(abs(got - expected)), ROUNDINGS * max(1.0, np.max(abs(expected)))
    assert worst <= allowed, f"{what}: got a difference of {worst}, but should be at most {allowed}"


def primal(example: Example) -> tuple[str, ...]:
    return tuple(s.name for s in example.program.inputs)


def gradient(example: Example) -> Program:
    return vjp(example.program, example.wrt, upstream={"y": "dy"})


@each_example
def test_the_vjp_is_that_of_autograd(example: Example) -> None:
    values = draw(gradient(example), example.order)
    names = primal(example)
    tensors = dict(zip(names, as_tensors(values, names), strict=True))
    y = example.function(**tensors)
    expected = torch.autograd.grad(y, [tensors[n] for n in example.wrt], torch.tensor(values["dy"]))
    found = interpret.run(gradient(example), values, LENGTHS, example.order)
    require_agreement(found["y"], y, "y")
    for name, value in zip(example.wrt, expected, strict=True):
        require_agreement(found[f"d{name}"], value, f"d{name}")


def double_backward(example: Example) -> Program:
    """Return the VJP of the VJP by all its inputs, dy included; the upstream gradient of dx is called up_dx."""
    return vjp(
        gradient(example), (*example.wrt, "dy"), upstream={f"d{n}": f"up_d{n}" for n in example.wrt}, prefix="b_"
    )


@each_example
def test_the_double_backward_is_that_of_autograd(example: Example) -> None:
    twice = double_backward(example)
    values = draw(twice, example.order)
    names = (*primal(example), "dy")
    tensors = dict(zip(names, as_tensors(values, names), strict=True))
    y = example.function(**{n: tensors[n] for n in primal(example)})
    once = torch.autograd.grad(y, [tensors[n] for n in example.wrt], tensors["dy"], create_graph=True)
    expected = torch.autograd.grad(
        once,
        [tensors[n] for n in (*example.wrt, "dy")],
        [torch.tensor(values[f"up_d{n}"]) for n in example.wrt],
        materialize_grads=True,
    )
    found = interpret.run(twice, values, LENGTHS, example.order)
    for output, value in zip(twice.outputs, expected, strict=True):
        require_agreement(found[output.name], value, output.name)


@pytest.mark.filterwarnings(
    "ignore:`torch.jit.script`:DeprecationWarning"
)  # torch warns of itself when loading func.jvp
@pytest.mark.parametrize("name", ["batch norm", "layer norm"])
def test_the_jvp_is_that_of_torch_func(name: str) -> None:
    example = EXAMPLES[name]
    names = primal(example)
    moving = jvp(example.program, {n: f"moved_{n}" for n in names})
    values = draw(moving, example.order)
    _, expected = torch.func.jvp(
        lambda *tensors: example.function(**dict(zip(names, tensors, strict=True))),
        tuple(torch.tensor(values[n]) for n in names),
        tuple(torch.tensor(values[f"moved_{n}"]) for n in names),
    )
    found = interpret.run(moving, values, LENGTHS, example.order)
    require_agreement(found[moving.outputs[0].name], expected, "the tangent of y")


@each_example
@pytest.mark.parametrize("derive", [gradient, double_backward])
def test_the_normal_form_has_the_value_of_the_program(example: Example, derive: Callable[[Example], Program]) -> None:
    whole = derive(example)
    forms, here = normal_forms(whole)
    values = draw(whole, example.order)
    found = interpret.run(whole, values, LENGTHS, example.order)
    read = _NormalFormReader(here, found, example.order)
    for output in whole.outputs:
        require_agreement(
            found[output.name], torch.tensor(read.value(forms[output.name], found[output.name].shape)), output.name
        )


class _NormalFormReader:
    """Evaluates a normal form on numbers: leaves as they are, and each symbol of the engine by its definition."""

    def __init__(self, here: Any, leaves: Mapping[str, Array], order: str) -> None:
        self.here, self.order = here, order
        self.known: dict[sp.Symbol, Array] = {s: np.array(float(LENGTHS[letter])) for letter, s in here.sizes.items()}
        self.known |= {s: leaves[s.name] for s in here.leaves if s.name in leaves}
        for leaf, mean in here.mean_of.items():
            axes = tuple(order.index(letter) for letter in here.centred[leaf])
            self.known[mean] = leaves[leaf.name].mean(axis=axes, keepdims=True)
            self.known[here.centre_of[leaf]] = leaves[leaf.name] - self.known[mean]
        self.reciprocals = {symbol: 1 / base for base, symbol in here.reciprocals.items()}

    def value(self, form: sp.Expr, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(self._value(form), shape)

    def _value(self, form: sp.Expr) -> Array:
        for symbol in form.free_symbols - set(self.known):
            self.known[symbol] = self._define(symbol)
        return interpret.evaluate(form, self.known)

    def _define(self, symbol: sp.Symbol) -> Array:
        if symbol in self.here.atom_body:
            over, body = self.here.atom_body[symbol]
            shape = interpret.shape_of(self.here.axes_of(body), LENGTHS, self.order)
            whole = np.broadcast_to(self._value(body), shape)
            return whole.sum(axis=tuple(self.order.index(letter) for letter in over), keepdims=True)
        squares = {**self.here.roots, **self.here.extensions}
        return np.sqrt(self._value(squares[symbol])) if symbol in squares else self._value(self.reciprocals[symbol])


def layer_norm_law(p: Setting) -> None:
    ln = p.run(vjp(layer_norm(), ["x", "gamma", "beta"], upstream={"y": "dy"}))
    p.equal("sum_j dx = 0", p.total(ln.dx, "j"), 0 * ln.eps)
    p.equal("dgamma = sum_i dy x_hat", ln.dgamma, p.total(ln.dy * ln.x_hat, "i"))
    p.differ("sum_i dx = 0", p.total(ln.dx, "i"), 0 * ln.eps)
    p.differ("<x, dx> = 0", p.total(ln.x * ln.dx, "j"), 0 * ln.eps)


def weight_norm_law(p: Setting) -> None:
    wn = p.run(vjp(weight_norm(), ["v", "g", "h"], upstream={"y": "dy"}))
    p.equal("<v, dv> = 0", p.total(wn.v * wn.dv, "k"), 0 * wn.g)
    p.equal("g dg = <dy, y>", wn.g * wn.dg, p.total(wn.dy * wn.y, "i"))
    p.differ("<v, dv> = <dy, y>", p.total(wn.v * wn.dv, "k"), p.total(wn.dy * wn.y, "i"))
    p.differ("dg = <dy, y>", wn.dg, p.total(wn.dy * wn.y, "i"))


@pytest.mark.parametrize(("law", "verdict"), [(layer_norm_law, "proved"), (weight_norm_law, "conditional")])
def test_a_law_of_another_normalization_is_proved_by_the_same_engine(
    law: Callable[[Setting], None], verdict: str
) -> None:
    proof = prove(law.__name__, law)
    assert proof.verdict == verdict, proof
    assert not any(e.proved for e in proof.false_variants), proof
    tried = try_out(law, seed=1, lengths={"c": 2, "i": 3, "j": 4, "k": 2})
    assert all(tried[e.what] is None for e in proof.claims), tried
    assert all(tried[e.what] is not None for e in proof.false_variants), tried


def test_weight_norm_is_conditional_on_a_row_that_is_not_zero() -> None:
    assert prove("weight norm", weight_norm_law).side_conditions == ("S_k[v**2] > 0",)
