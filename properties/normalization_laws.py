"""Laws of the other normalizations, exact in eps: relations of y and of the gradients that need no reference."""

import numpy as np
from hypothesis import strategies as st

from bnverify.compare import require_close, require_finite, require_form, require_zero
from bnverify.expectation import Bound
from bnverify.normalizations import bounds
from bnverify.normalizations.drawing import grid_cases, hard_cases
from bnverify.normalizations.kinds import ALL, CENTRED, WITH_EPS
from bnverify.normalizations.mutants import named
from bnverify.property import conformance_property

U = 2.0**-53


def rows_of(case, value, what):
    """Return an output in rows, in float64, where it is finite: bounds are built from it."""
    array = require_form(value, case.x.shape, what=what, case=case).astype(np.float64)
    require_finite(array, bounds.training(case)[what].bound, what=what, case=case)
    return np.nan_to_num(case.rows(array), posinf=0.0, neginf=0.0)


def held(case, names=("y", "dx")):
    """Return the bounds of y and dx in rows, and where all of a row are valid, and where one is excused."""
    expected = bounds.training(case)
    values = {n: case.rows(expected[n].bound.value) for n in names}
    judged = np.logical_and.reduce([case.rows(expected[n].bound.judged).all(axis=1) for n in names])
    excused = np.logical_or.reduce([case.rows(_full(expected[n].bound)).any(axis=1) for n in names])
    return values, lambda value: Bound(value, judged & np.isfinite(value), excused)


def _full(bound):
    return np.broadcast_to(bound.excused, bound.value.shape)


def sums(*terms):
    """Return the sum of a row's terms, and what float64 may lose of it."""
    product = np.prod(np.broadcast_arrays(*terms), axis=0)
    return product.sum(axis=1), (product.shape[1] + 8) * U * abs(product).sum(axis=1)


@conformance_property(
    "norm-moments",
    claim="with gamma = 1 and beta = 0 a row of y has the mean square v/(v + eps), and the mean 0 where one is subtracted",
    source="Ba, Kiros and Hinton 2016, section 3, exact in eps",
    kinds=ALL,
    cases=hard_cases,
    catches=named(
        "inv_*-eps-dropped", "*_var-m-less-one", "mean_square-m-less-one", "*_var-doubled", "v_square-doubled"
    ),
)
def norm_moments(subject, case):
    """Of weight normalization: a row of w has the length g = 1, so that the mean square is 1/m."""
    if "gamma" in subject.parameters:
        case = case.changed(gamma=np.ones_like(case.gamma))
    if "beta" in subject.parameters:
        case = case.changed(beta=np.zeros_like(case.beta))
    y = rows_of(case, subject.run(case).y, "y")
    limit, bound = held(case, ("y",))
    centred, inv_std = bounds.statistics(case)
    rho, lost = sums(centred / case.count, centred * inv_std[:, None] ** 2 * case.of.factor(case.count))
    square, off = sums(y, y / case.count)
    allowed = (limit["y"] * (2 * abs(y) + limit["y"])).mean(axis=1) + off + lost + 8 * U * rho
    require_zero(square - rho, bound=bound(allowed), what="mean(y²) - rho, a row each", case=case)
    if case.of.centred:
        mean, off = sums(y, 1 / case.count)
        require_zero(mean, bound=bound(limit["y"].mean(axis=1) + off), what="mean(y), a row each", case=case)


@conformance_property(
    "norm-gradient-sum",
    claim="where a mean is subtracted, every row of dx has the sum 0",
    source="shift invariance, differentiated",
    kinds=CENTRED,
    cases=hard_cases,
    needs=["gradients"],
    catches=named(
        "*_mean-x-detached", "closed-dx-sum_dy_gamma-m-less-one", "closed-centred_dy-m-less-one", kinds=CENTRED
    ),
)
def norm_gradient_sum(subject, case):
    dx = rows_of(case, subject.run(case, gradients=True).dx, "dx")
    limit, bound = held(case, ("dx",))
    total, off = sums(dx)
    require_zero(total, bound=bound(limit["dx"].sum(axis=1) + off), what="sum(dx), a row each", case=case)


@conformance_property(
    "norm-euler",
    claim="<x - mean, dx> = (1 - rho) <gamma dy, x_hat> in every row, mean being 0 where none is subtracted: 0 without an eps",
    source="scale invariance, differentiated, exact in eps; Salimans and Kingma 2016, section 2.1, of weights",
    kinds=ALL,
    cases=hard_cases,
    needs=["gradients"],
    catches=[
        *named("*_var-x-detached", "mean_square-x-detached", "v_square-v-detached", "closed-dx-*inv_*-not-squared"),
        *named("closed-sum_dw_v-doubled", kinds=("weight_norm",)),
    ],
)
def norm_euler(subject, case):
    dx = rows_of(case, subject.run(case, gradients=True).dx, "dx")
    limit, bound = held(case, ("dx",))
    centred, inv_std = bounds.statistics(case)
    given = case.spread(case.gamma.astype(np.float64)) * case.rows(case.dy).astype(np.float64)
    given = given * np.sqrt(case.of.factor(case.count))
    left, off = sums(centred, dx)
    right, lost = sums(given, centred * inv_std[:, None] ** 3 * case.eps)
    allowed = (limit["dx"] * abs(centred)).sum(axis=1) + off + 8 * lost
    require_zero(left - right, bound=bound(allowed), what="<x - mean, dx> - (1 - rho) <gamma dy, x_hat>", case=case)


@conformance_property(
    "norm-scale",
    claim="what is normalized depends on x and eps through x/sqrt(eps): y(a x; a² eps) = y(x; eps), dx(a x; a² eps) = dx/a",
    source="x/sqrt(x² + eps) is homogeneous of degree 0 in (x, sqrt(eps))",
    kinds=ALL,
    cases=grid_cases,
    draws={"power": lambda subject: st.sampled_from([-2, -1, 1, 2])},
    needs=["eps", "gradients"],
    catches=named("inv_*-eps-squared", "inv_*-eps-outside", "v_square-v-not-squared", "mean_square-x-not-squared"),
)
def norm_scale(subject, case, power):
    """a is a power of two, so that a x and a² eps are exact; two runs differ by at most the sum of their bounds."""
    factor = 2.0**power
    other = case.changed(x=case.x * case.x.dtype.type(factor), eps=case.eps * factor**2)
    one, two = (subject.run(c, gradients=True) for c in (case, other))
    first, second = bounds.training(case), bounds.training(other)
    _ = require_form(two.dx, case.x.shape, what="dx", case=other)
    require_close(
        one.y, two.y, bound=first["y"].bound + second["y"].bound, what="y(x; eps) - y(a x; a² eps)", case=case
    )
    scaled = two.dx.astype(np.float64) * factor
    limit = first["dx"].bound + second["dx"].bound.times(factor)
    require_close(one.dx, scaled, bound=limit, what="dx(x; eps) - a dx(a x; a² eps)", case=case)


@conformance_property(
    "norm-shift",
    claim="where a mean is subtracted, adding a constant to all values of a row changes neither y nor dx",
    source="Ba, Kiros and Hinton 2016, section 3",
    kinds=CENTRED,
    cases=grid_cases,
    draws={"steps": lambda subject: st.sampled_from([-64, -3, 1, 8, 64])},
    needs=["gradients"],
    catches=named("*_mean-m-less-one", "x_hat-*_mean-dropped", "*_var-*_mean-dropped", kinds=CENTRED),
)
def norm_shift(subject, case, steps):
    """x is on a grid, and the shift a multiple of its step, so that the sum is exact wherever it is as short as x."""
    rows = case.rows(case.x).astype(np.float64)
    step = np.min(abs(rows[rows != 0]), initial=1.0) if rows.any() else 1.0
    moved = rows + steps * step * np.arange(1, len(rows) + 1)[:, None] % 128
    other = case.changed(x=case.unrows(moved))
    if not np.array_equal(other.x.astype(np.float64), case.unrows(moved)):
        other = case.changed(x=case.unrows(rows + step))
    if not np.array_equal(case.rows(other.x).astype(np.float64) - rows, _constant(case, other, rows)):
        return
    one, two = (subject.run(c, gradients=True) for c in (case, other))
    first, second = bounds.training(case), bounds.training(other)
    for name in ("y", "dx"):
        limit = first[name].bound + second[name].bound
        require_close(one[name], two[name], bound=limit, what=f"{name}(x) - {name}(x + c)", case=case)


def _constant(case, other, rows):
    return np.broadcast_to((case.rows(other.x).astype(np.float64) - rows)[:, :1], rows.shape)


@conformance_property(
    "norm-gradient-norm",
    claim="|dx|² = (|g|² - <1, g>²/m - (2 - rho) <g, x_hat>²/m)/(v + eps) in every row, g being gamma dy; without the second "
    "term where no mean is subtracted",
    source="dx is a projection, exact in eps",
    kinds=WITH_EPS,
    cases=hard_cases,
    needs=["gradients"],
    catches=named("closed-dx-doubled", "y-x_hat-detached", "inv_*-doubled", kinds=WITH_EPS),
)
def norm_gradient_norm(subject, case):
    dx = rows_of(case, subject.run(case, gradients=True).dx, "dx")
    limit, bound = held(case, ("dx",))
    centred, inv_std = bounds.statistics(case)
    inv, m = inv_std[:, None], case.count
    given = case.spread(case.gamma.astype(np.float64)) * case.rows(case.dy).astype(np.float64)
    x_hat = centred * inv
    left, off = sums(dx, dx)
    whole, lost = sums(given * inv, given * inv)
    mean, mean_lost = sums(given, inv / m) if case.of.centred else (0.0, 0.0)
    along, along_lost = sums(given * inv, x_hat / m)
    factor = 1 + case.eps * inv_std**2
    right = whole - m * mean**2 - m * factor * along**2
    terms = lost + 2 * m * abs(mean) * mean_lost + 4 * m * abs(along) * along_lost + 16 * U * (whole + m * mean**2)
    allowed = (limit["dx"] * (2 * abs(dx) + limit["dx"])).sum(axis=1) + off + 4 * terms + 64 * U * m * along**2
    require_zero(left - right, bound=bound(allowed), what="|dx|² - what the projection leaves", case=case)


@conformance_property(
    "norm-affine",
    claim="y - beta is homogeneous in gamma, and dgamma and dbeta depend on neither",
    source="y = gamma x_hat + beta",
    kinds=ALL,
    cases=grid_cases,
    needs=["gradients", "gamma"],
    catches=named("y-gamma-missing", "w-g-missing"),
)
def norm_affine(subject, case):
    """-2 gamma is exact, and so is twice y where beta is 0."""
    plain = case.changed(beta=np.zeros_like(case.beta), gamma=np.where(case.gamma == 0, 1.5, case.gamma.astype(float)))
    other = plain.changed(gamma=-2 * plain.gamma.astype(float))
    one, two = (subject.run(c, gradients=True) for c in (plain, other))
    first, second = bounds.training(plain), bounds.training(other)
    for name in ("y", "dx"):
        twice = -2 * require_form(one[name], case.x.shape, what=name, case=plain).astype(np.float64)
        limit = first[name].bound.times(2) + second[name].bound
        require_close(two[name], twice, bound=limit, what=f"{name}(-2 gamma) + 2 {name}(gamma)", case=plain)
    for name in subject.gradients[1:]:
        limit = first[name].bound + second[name].bound
        require_close(one[name], two[name], bound=limit, what=f"{name}(gamma) - {name}(-2 gamma)", case=plain)
