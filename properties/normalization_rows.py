"""Rows of the other normalizations: each is normalized by its own values alone, in whatever order they stand."""

import numpy as np
from hypothesis import strategies as st

from bnverify.compare import require_close, require_expected, require_form
from bnverify.normalizations import bounds
from bnverify.normalizations.drawing import grid_cases, unit_cases
from bnverify.normalizations.kinds import ALL, CENTRED
from bnverify.normalizations.mutants import named
from bnverify.property import conformance_property
from bnverify.subject import Raised

SEED = {"seed": lambda subject: st.integers(0, 2**16)}


@conformance_property(
    "norm-rows-apart",
    claim="y and dx of a row depend on no other row of the batch",
    source="statistics over the row alone",
    kinds=ALL,
    cases=grid_cases,
    draws=SEED,
    needs=["gradients"],
    catches=[
        *named("over-i", "over-idp", "over-gdp", "over-ip", "over-cp", "over-ci", "over-ck"),
        "statistics-over-the-batch",
    ],
)
def norm_rows_apart(subject, case, seed):
    """All other rows are doubled and moved by a step of theirs, which is exact."""
    keep = seed % case.channels
    rows = case.rows(case.x).astype(np.float64)
    step = np.min(abs(rows[rows != 0]), initial=1.0) if rows.any() else 1.0
    moved = np.where(np.arange(len(rows))[:, None] == keep, rows, 2 * rows + step)
    other = case.changed(x=case.unrows(moved))
    one, two = (subject.run(c, gradients=True) for c in (case, other))
    first, second = bounds.training(case), bounds.training(other)
    for name in ("y", "dx"):
        limit = (first[name].bound + second[name].bound).mapped(lambda v: case.rows(v)[keep])
        values = [case.rows(require_form(o[name], case.x.shape, what=name, case=case))[keep] for o in (one, two)]
        require_close(*values, bound=limit, what=f"{name} of row {keep}, beside other rows", case=case)


@conformance_property(
    "norm-permutation",
    claim="permuting the last axis, and the parameters with it where they belong to it, permutes y and dx",
    source="a mean does not depend on the order",
    kinds=ALL,
    cases=unit_cases,
    draws=SEED,
    needs=["gradients"],
    catches=["last-value-ignored", "first-value-for-mean"],
)
def norm_permutation(subject, case, seed):
    order = np.random.default_rng(seed).permutation(case.x.shape[-1])
    changes = {name: getattr(case, name)[..., order] for name in case.data_fields}
    along = case.kind in ("layer_norm", "rms_norm")
    if case.kind == "group_norm" and case.x.ndim == 2:
        return
    if along or (
        case.kind == "weight_norm" and case.setting is not None and case.setting % case.x.ndim == case.x.ndim - 1
    ):
        changes |= {name: getattr(case, name)[..., order] for name in ("gamma", "beta")}
    other = case.changed(**changes)
    one, two = (subject.run(c, gradients=True) for c in (case, other))
    first, second = bounds.training(case), bounds.training(other)
    for name in ("y", "dx"):
        moved = require_form(one[name], case.x.shape, what=name, case=case)[..., order]
        limit = first[name].bound.mapped(lambda v: v[..., order]) + second[name].bound
        require_close(two[name], moved, bound=limit, what=f"{name} of the permuted x - the permuted {name}", case=case)


@conformance_property(
    "norm-not-finite",
    claim="a NaN in x: no y of its row is finite, and every other row is right",
    shows="with NaN in x",
    source="IEEE 754, section 6: NaN propagates; every value of a row goes into its statistics",
    kinds=ALL,
    cases=unit_cases,
    draws={"place": lambda subject: st.integers(0, 2**16)},
    catches=["nan-hidden", "nan-spreads"],
)
def norm_not_finite(subject, case, place):
    """To refuse what is not finite by an exception is a custom, too: nothing vanishes without a word."""
    rows = case.rows(case.x).copy()
    row = place % case.channels
    rows[row, place // case.channels % case.count] = np.nan
    one = case.changed(x=case.unrows(rows))
    try:
        y = subject.run(one).y
    except Raised:
        return
    found = case.rows(require_form(y, case.x.shape, what="y", case=one))
    expected = bounds.training(case)["y"]
    others = np.delete(np.arange(case.channels), row)
    right = expected.moved(lambda v: case.rows(v)[others])
    require_expected(found[others], right, what=f"y of the rows beside row {row}, which holds NaN", case=one)
    finite = np.isfinite(found[row].astype(np.float64))
    right_row = expected.moved(lambda v: case.rows(v)[row])
    if finite.any():
        require_expected(
            np.where(finite, np.nan, 0.0), right_row, what=f"a finite y of row {row}, which holds NaN", case=one
        )


@conformance_property(
    "norm-mates",
    claim="a sample alone gives what it gives in the batch",
    source="statistics over the row alone",
    kinds=[k for k in ALL if k != "weight_norm"],
    cases=unit_cases,
    draws=SEED,
    catches=["statistics-over-the-batch", *named("over-i", "over-idp", "over-ip", kinds=CENTRED)],
    weight=0.5,
)
def norm_mates(subject, case, seed):
    """One value a row may be refused; then nothing is compared."""
    k = seed % case.x.shape[0]
    alone = case.changed(x=case.x[k : k + 1], dy=case.dy[k : k + 1])
    try:
        y = subject.run(alone).y
    except Raised:
        return
    whole = require_form(subject.run(case).y, case.x.shape, what="y", case=case)
    limit = bounds.training(case)["y"].bound.mapped(lambda v: v[k : k + 1]) + bounds.training(alone)["y"].bound
    require_close(y, whole[k : k + 1], bound=limit, what=f"y of sample {k} alone - y of it in the batch", case=case)
