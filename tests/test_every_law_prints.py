"""Every law, and every definition that laws are about, prints in all its formats, well formed."""

from __future__ import annotations

import re

import pytest

from bnverify.errors import UsageError
from bnverify.report.derivation import render
from bnverify.report.latex import latex, typed
from bnverify.symbolic import laws
from bnverify.symbolic.program import real

DEFINITIONS = ("merge", "statistics", "running_average", "running_update", "training_forward", "inference")
each_name = pytest.mark.parametrize("name", [*laws(), *DEFINITIONS])


@each_name
def test_a_law_prints_as_text_and_markdown_with_its_verdict(name: str) -> None:
    text, markdown = render(name, "text"), render(name, "markdown")
    assert markdown.startswith("# ")
    if name in laws():
        proof = laws()[name].proof()
        assert f"verdict: {proof.verdict}, for {proof.scope}" in text
        assert all(condition in text and condition in markdown for condition in proof.side_conditions)
        assert text.count("[proved]") == len(proof.claims)


@each_name
def test_a_law_prints_as_latex_with_balanced_braces_and_no_bare_special_character(name: str) -> None:
    lines = [line for line in render(name, "latex").splitlines() if not line.startswith("%")]
    assert (lines[0], lines[-1]) == (r"\begin{align*}", r"\end{align*}")
    for line in lines:
        assert line.count("{") - line.count(r"\{") == line.count("}") - line.count(r"\}")
        for words in re.findall(r"\\(?:texttt|mathrm)\{([^}]*)\}", line):
            assert not re.search(r"(?<!\\)[_^#&%$]", words), line


def test_a_law_has_no_python_form() -> None:
    with pytest.raises(UsageError, match="a law has no Python form"):
        _ = render("repeat", "python")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("dy", r"\frac{\partial \ell}{\partial y}"),
        ("delta", r"\delta"),
        ("debiased", r"\mathrm{debiased}"),
        ("tx_hat", r"\dot{\hat{x}}"),
        ("ddx", r"\frac{\partial L}{\partial \ell_{x}}"),
        ("second_gamma", r"\frac{\partial L}{\partial \gamma}"),
        ("start_weight", r"\mathrm{start\_weight}"),
    ],
)
def test_a_name_is_an_adjoint_only_of_a_letter(name: str, written: str) -> None:
    assert latex(real(name)) == written


def test_text_is_escaped() -> None:
    assert typed(r"a_b^2 {c} 5% \d") == r"\texttt{a\_b\^{}2 \{c\} 5\% \textbackslash{}d}"
