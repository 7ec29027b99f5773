"""A program written out, or with one value apart, computes what the program computes; nothing is taken for another."""

from __future__ import annotations

import numpy as np
import pytest

from bnverify.errors import SymbolicError
from bnverify.symbolic import derived
from bnverify.symbolic.interpret import run, shape_of
from bnverify.symbolic.program import Program, program, real, size
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.transform import one_apart, relettered, written_out
from bnverify.symbolic.witness import witness

ORDER = "cik"
NAMES = ["training_forward", "training_backward", "inference_backward", "linear_backward", "running_update"]


def numbers(built: Program, lengths: dict[str, int]) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(0)
    return {
        s.name: drawn.uniform(0.5, 2, shape_of(built.axes[s], lengths, ORDER)) for s in sorted(built.inputs, key=str)
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_program_written_out_computes_the_same(name: str, count: int) -> None:
    whole = derived(name).program
    parts = written_out(whole, "i", count)
    lengths = {"c": 2, "i": count, "k": 2}
    if name == "running_update":
        whole, parts = (p.cut([], ["new_running_mean"], "mean") for p in (whole, parts))
    inputs = numbers(whole, lengths)
    placed = {
        (f"{n}_{k + 1}" if "i" in whole.axes[whole.symbol(n)] else n): np.take(a, [k if a.shape[1] > 1 else 0], axis=1)
        for n, a in inputs.items()
        for k in range(count)
    }
    expected, found = run(whole, inputs, lengths, ORDER), run(parts, placed, lengths, ORDER)
    for symbol in whole.outputs:
        for k in range(count):
            here = f"{symbol}_{k + 1}" if "i" in whole.axes[symbol] else symbol.name
            value = np.take(expected[symbol.name], [k if expected[symbol.name].shape[1] > 1 else 0], axis=1)
            np.testing.assert_allclose(found[here], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_program_with_one_value_apart_computes_the_same(name: str) -> None:
    whole = derived(name).program
    parts = one_apart(whole, "i", size("others"))
    inputs = numbers(whole, {"c": 2, "i": 4, "k": 2})
    placed = {}
    for n, a in inputs.items():
        if "i" in whole.axes[whole.symbol(n)]:
            placed |= {f"{n}_one": a[:, :1], f"{n}_rest": a[:, 1:]}
        else:
            placed[n] = a
    expected = run(whole, inputs, {"c": 2, "i": 4, "k": 2}, ORDER)
    found = run(parts, placed, {"c": 2, "i": 3, "k": 2}, ORDER)
    for symbol in whole.outputs:
        value = expected[symbol.name]
        if "i" in whole.axes[symbol]:
            np.testing.assert_allclose(found[f"{symbol}_one"], value[:, :1], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found[f"{symbol}_rest"], value[:, 1:], rtol=1e-12, atol=1e-12)
        else:
            np.testing.assert_allclose(found[symbol.name], value, rtol=1e-12, atol=1e-12)


def with_input(name: str) -> Program:
    return program(
        "named",
        inputs={"x": "ci", name: "c"},
        statements=[("t", real("x") * real(name), "i")],
        outputs=["t"],
        sizes={"i": size("m"), "c": size("C")},
    )


@pytest.mark.parametrize("name", ["x_1", "x_one", "t_over_1", "t_over_one"])
def test_a_symbol_that_has_the_name_of_a_place_raises(name: str) -> None:
    named = with_input(name)
    with pytest.raises(SymbolicError, match=f"has a symbol {name} already"):
        _ = one_apart(named, "i", size("others")) if name.endswith("one") else written_out(named, "i", 2)


def test_no_place_and_a_letter_that_is_taken_raise() -> None:
    with pytest.raises(SymbolicError, match="at least one value"):
        _ = written_out(with_input("g"), "i", 0)
    with pytest.raises(SymbolicError, match="has an index c already"):
        _ = relettered(with_input("g"), "i", "c", size("n"))


def test_a_part_summed_over_the_index_of_the_other_is_not_proved() -> None:
    """The total over i of what has the index j is m times it: the alias of the wrong index."""

    def law(p: Setting) -> None:
        statistics = derived("statistics").program
        a, b = p.value("x_a", "ci"), p.value("x_b", "cj")
        _ = p.run(statistics, x=a)
        second = p.run(relettered(statistics, "i", "j", size("m_b")), x=b)
        p.equal("total over i", second.mean * p.size("j"), p.total(b, "i"))

    assert prove("alias", law).verdict == "not proved"
    assert witness(law, "total over i", lengths={"c": 2, "i": 2, "j": 3}) is not None


def test_an_input_given_an_index_that_it_does_not_have_raises() -> None:
    """A sum of the program would capture it: dgamma sums over i what gamma[c, i] multiplies."""

    def law(p: Setting) -> None:
        bn = p.run(derived("training_backward").program, gamma=p.value("g", "ci"))
        p.equal("y = y", bn.y, bn.y)

    with pytest.raises(SymbolicError, match="gamma without the index i"):
        prove("captured", law)


@pytest.mark.parametrize("given", [{"n_b": 0, "M2_b": 0}, {"n_b": 0, "mean_b": 0}])
def test_a_divisor_that_is_multiplied_by_0_is_a_side_condition(given: dict[str, int]) -> None:
    proof = prove("empty", lambda p: p.equal("n", p.run(derived("merge").program, **given).n, p.value("n_a")))
    assert "n_a != 0" in proof.side_conditions


def test_a_division_by_0_raises() -> None:
    with pytest.raises(SymbolicError, match="divides by n, which is 0"):
        prove("empty", lambda p: p.equal("n", p.run(derived("merge").program, n_a=0, n_b=0).mean, 0))


def test_the_root_of_a_square_number_is_taken() -> None:
    proof = prove(
        "root",
        lambda p: p.equal("r", p.root(4 * p.value("t", sign="positive") ** 2), 2 * p.value("t", sign="positive")),
    )
    assert proof.verdict == "proved"
