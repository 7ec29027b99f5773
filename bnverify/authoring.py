"""For tests of your own: cases without a target, exact answers, the bounds that right code keeps, and one assertion.

>>> @settings(deadline=None)
... @given(bnverify.cases(dtypes=["float32"], ranks=[4]))
... def test_my_kernel(case):
...     y = my_kernel(case.x, case.gamma, case.beta, case.eps)
...     bnverify.require_within_bound(y, bnverify.expected(case)["y"], case)

A case holds NumPy arrays: x, dy (N, C, *S) of ``case.dtype``; gamma, beta, running_mean, running_var (C,) of
``case.parameter_dtype``; and eps, update_rate, channel_axis as numbers. :func:`as_torch` gives the same as tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds, oracle
from bnverify.arithmetic import Arithmetic
from bnverify.case import SECONDS, STATE, Array, Case, DirectedCase
from bnverify.compare import Disagreement, require_expected
from bnverify.convention import Convention
from bnverify.errors import MissingExtraError, UsageError
from bnverify.expectation import Bound, Expected
from bnverify.oracle import Exact
from bnverify.precision import PRECISIONS
from bnverify.report.text import case_lines
from bnverify.strategies import STRATEGIES

KINDS: Mapping[str, tuple[str, ...]] = {
    "hard": ("hard",),
    "known": ("known",),
    "dyadic": ("dyadic",),
    "plain": ("unit",),
    "degenerate": ("constant", "two values", "one value"),
    "constant": ("constant",),
    "two values": ("two values",),
    "one value": ("one value",),
    "empty": ("empty",),
    "directed": ("directed",),
}
"""What :func:`cases` draws, and the strategies (strategies.py) that draw it."""


@dataclass(frozen=True)
class _Wanted:
    """What the strategies ask of a subject."""

    dtypes: tuple[str, ...]
    ranks: tuple[int, ...]
    channels: int | None
    convention: Convention


def cases(
    kind: str = "hard",
    *,
    dtypes: Sequence[str] = ("float32", "float64"),
    ranks: Sequence[int] = (2, 3, 4, 5),
    channels: int | None = None,
    eps: float | None = None,
    update_rate: float | None = None,
    channel_axis: int = 1,
) -> st.SearchStrategy[Case]:
    """Return a Hypothesis strategy for inputs of batch normalization that tell right code from wrong.

    kind: ``hard`` (all conditionings: offsets, tiny spreads, constant, two-level and outlier channels, m from 2 up),
    ``known`` (short exact answers, at m <= 16), ``dyadic`` (whole multiples of a power of two, so that shifts and scalings
    by such numbers are exact), ``plain`` (small numbers, for contracts), ``degenerate`` (one value or two a channel, and
    constant channels; also each by itself: ``one value``, ``two values``, ``constant``), ``empty``, and ``directed``
    (hard cases with vx, vgamma, vbeta: a direction for a tangent or a double backward pass).

    dtypes: names of precisions: float32, float64, bfloat16, float16, and for half data beside float32 parameters
    bfloat16-mixed, float16-mixed. ranks: of x, 2 for (N, C). channels, eps, update_rate: where they are fixed, else drawn.

    Raises:
        UsageError: an argument has a value that does not exist.

    >>> bnverify.cases("known", dtypes=["float16-mixed"], ranks=[4], channels=64)
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}, but should be one of {', '.join(KINDS)}")
    names = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
    if not names or any(name not in PRECISIONS for name in names):
        raise UsageError(f"dtypes is {dtypes!r}, but should hold names of {', '.join(PRECISIONS)}")
    if (
        not isinstance(ranks, Sequence)
        or not ranks
        or any(rank not in (2, 3, 4, 5) or not -rank <= channel_axis < rank for rank in ranks)
    ):
        raise UsageError(f"ranks is {ranks!r}, but should hold numbers from 2 to 5 with an axis {channel_axis}")
    if channels is not None and channels < 1:
        raise UsageError(f"channels is {channels}, but should be at least 1, or None where it is drawn")
    if kind == "known" and eps is not None:
        raise UsageError("known answers need the eps that makes them short: leave eps out, and read it from the case")
    convention = Convention(eps=eps, update_rate=update_rate, channel_axis=channel_axis)
    wanted: Any = _Wanted(names, tuple(ranks), channels, convention)
    return st.one_of([STRATEGIES[name](wanted) for name in KINDS[kind]])


@dataclass(frozen=True)
class Answer:
    """What an output must be: its name, the exact value, and the bound that every right implementation keeps.

    exact: ``hi + lo`` in float64 (see :func:`exact`). bound: ``value``, elementwise, and ``judged``, where it is valid;
    elsewhere the input is so ill-conditioned that nothing but finite numbers can be asked for.
    """

    name: str
    exact: Exact
    bound: Bound


T = TypeVar("T")
Group = tuple[tuple[str, ...], Callable[[], Mapping[str, T]]]


class _Lazily(Mapping[str, T], Generic[T]):
    """Values by name, each group of them computed when one is first asked for."""

    def __init__(self, groups: Sequence[Group[T]]) -> None:
        self._groups = {name: group for names, group in groups for name in names}
        self._found: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._groups:
            raise KeyError(f"{name}: this case has the outputs {', '.join(self._groups) or 'of no value at all'}")
        if name not in self._found:
            self._found.update(self._groups[name]())
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


STEP = ("y", "dx", "dgamma", "dbeta")
BATCH = {"batch_mean": "running_mean", "batch_var": "running_var"}
"""The batch's own statistics are what a running update leaves that forgets all that was before."""


def _alone(case: Case) -> Case:
    nothing = np.zeros(case.channels)
    return case.changed(update_rate=1.0, running_mean=nothing, running_var=nothing)


def _batch(found: Mapping[str, T]) -> Mapping[str, T]:
    return {ours: found[name] for ours, name in BATCH.items()}


def exact(case: Case, *, training: bool = True, correction: int = 1) -> Mapping[str, Exact]:
    """Return the exact outputs of batch normalization, each computed in ball arithmetic when it is first asked for.

    An :class:`Exact` is a pair of float64 arrays whose sum ``hi + lo`` is the truth to about 2^-104, and ``radius``, a
    proven bound of what is left; ``rounded(dtype)`` rounds it once, ``error(got)`` is |got - truth|.

    In training: y, dx like x; batch_mean, batch_var (of correction 0), inv_std = 1/sqrt(batch_var + eps), dgamma, dbeta
    (C,); running_mean, running_var (C,) after one step with this ``correction`` (0 or 1) of the stored variance, where
    m > correction. In inference, by the case's running statistics: y, dx, dgamma, dbeta. Of a ``directed`` case also ty, the
    tangent of y along (vx, vgamma, vbeta), and second_x, second_gamma, second_dy, the gradients of
    <vx, dx> + <vgamma, dgamma> + <vbeta, dbeta> by x, gamma and dy. Nothing of an empty batch.

    >>> bnverify.exact(case)["inv_std"].rounded("float32")
    """
    groups: list[Group[Exact]] = []
    if training and case.count:
        groups.append(
            ((*STEP, "batch_mean", "inv_std"), lambda: oracle.training(case, gradients=True)),
        )
        groups.append((("batch_var",), lambda: _batch(oracle.running(_alone(case), 0))))
        if case.count > correction:
            groups.append((STATE, lambda: oracle.running(case, correction)))
    elif not training:
        groups.append((STEP, lambda: oracle.inference(case, gradients=True)))
    if isinstance(case, DirectedCase) and groups:
        groups.append((("ty",), lambda: oracle.tangent(case, training=training)))
        groups.append((SECONDS, lambda: oracle.second(case, training=training)))
    return _Lazily(groups)


def expected(case: Case, *, training: bool = True, correction: int = 1) -> Mapping[str, Answer]:
    """Return what each output must be, exactly and within which bound, computed when it is first asked for.

    The outputs are those of :func:`exact`. A bound is derived from the case itself: how far any
    implementation may be off whose errors are the roundings of its statements, in any order of summation. Right code
    uses up to half of it; it is no tolerance that one could scale.

    >>> bnverify.expected(case, training=False)["y"].bound.value
    """
    groups: list[Group[Answer]] = []

    def add(names: Sequence[str], find: Callable[[], Mapping[str, Expected]]) -> None:
        groups.append((tuple(names), lambda: {n: Answer(n, *found) for n, found in find().items()}))

    if training and case.count:
        add(STEP, lambda: bounds.training(case))
        add(tuple(BATCH), lambda: _batch(bounds.running(_alone(case), 0)))
        add(("inv_std",), lambda: {"inv_std": _inv_std(case)})
        if case.count > correction:
            add(STATE, lambda: bounds.running(case, correction))
    elif not training:
        add(STEP, lambda: bounds.inference(case))
    if isinstance(case, DirectedCase) and groups:
        add(("ty",), lambda: bounds.tangent(case, training=training))
        add(SECONDS, lambda: bounds.second(case, training=training))
    return _Lazily(groups)


def _inv_std(case: Case) -> Expected:
    """Return 1/sqrt(v + eps) with the bound that follows from v's.

    v + eps = s² is off by at most d = bound(v) + 2 u s² (eps and the sum are rounded); 1/s then by at most
    (1/sqrt(1 - d/s²) - 1)/s, and by two roundings more. Valid where d <= s²/2.
    """
    variance = bounds.running(_alone(case), 0)["running_var"]
    right = oracle.training(case, gradients=False)["inv_std"]
    u = Arithmetic.of(case.precision, case.count).elementwise
    off = variance.bound.value * right.hi**2 + 2 * u
    judged = variance.bound.judged & (off <= 0.5)
    grown = 1 / np.sqrt(1 - np.where(judged, off, 0.0))
    return Expected(right, Bound(right.hi * (grown - 1 + 2 * u * grown), judged, variance.bound.excused))


def require_within_bound(got: Any, answer: Answer, case: Case) -> None:
    """Raise an AssertionError unless ``got`` has the answer's shape and lies within its bound everywhere.

    got: a NumPy array, a Torch tensor on any device, or whatever ``numpy.asarray`` takes; its dtype is free. Where the
    bound is not valid the values must be finite. NaN fails.

    Raises:
        AssertionError: it does not; the message says where, by how many bounds, and shows the case.
        UsageError: ``answer`` is not from :func:`expected`, or ``got`` cannot be read as an array.
    """
    __tracebackhide__ = True
    if not isinstance(answer, Answer):
        raise UsageError(
            f"the answer is {answer!r}, but should be an output of expected(case), as in expected(case)['y']"
        )
    array = _as_numpy(got, answer.name)
    try:
        require_expected(array, Expected(answer.exact, answer.bound), what=answer.name, case=case)
    except Disagreement as problem:
        lines = [f"{answer.name} does not lie within its bound", f"  got     {problem.finding.got}"]
        lines[1] += f", but should be {problem.finding.should_be}"
        message = "\n".join([*lines, *case_lines(case, lead="")])
    else:
        return
    raise AssertionError(message)


def _as_numpy(got: Any, name: str) -> Array | None:
    torch = sys.modules.get("torch")
    if got is None:
        return None
    if torch is not None and isinstance(got, torch.Tensor):
        from bnverify.adapters.torch_arrays import TorchArrays

        return TorchArrays().numpy(got)
    try:
        array = np.asarray(got)
        _ = array.astype(np.float64)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"{name} is a {type(got).__name__} that cannot be read as an array: {problem}") from None
    return array


def as_torch(case: Case, *, device: str = "cpu", requires_grad: Sequence[str] = ()) -> SimpleNamespace:
    """Return the case's arrays as fresh Torch tensors under the same names, beside its numbers; bfloat16 keeps its bits.

    x, dy (N, C, *S); gamma, beta, running_mean, running_var (C,); of a directed case vx, vgamma, vbeta; eps, update_rate,
    channel_axis. requires_grad: names of those that are to ask for a gradient.

    Raises:
        MissingExtraError: Torch is not installed.
        UsageError: the case has no such array, or Torch no such device.

    >>> t = bnverify.as_torch(case, requires_grad=["x", "gamma", "beta"])
    >>> my_norm(t.x, t.gamma, t.beta, t.eps).backward(t.dy)
    """
    try:
        from bnverify.adapters.torch_arrays import TorchArrays, require_device
    except ModuleNotFoundError:
        raise MissingExtraError("as_torch: torch is not installed; pip install 'bnverify[torch]'") from None
    from bnverify.memory import contiguous

    names = (*case.data_fields, *case.channel_fields)
    if unknown := [name for name in requires_grad if name not in names]:
        raise UsageError(f"requires_grad names {unknown[0]!r}, but should name some of {', '.join(names)}")
    place, library = require_device(device), TorchArrays()
    arrays = {n: library.native(contiguous(getattr(case, n)), place, n in requires_grad) for n in names}
    return SimpleNamespace(**arrays, eps=case.eps, update_rate=case.update_rate, channel_axis=case.channel_axis)
