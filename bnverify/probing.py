"""Probing: what a target offers, found by one plain case for each precision, rank, mode and derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from bnverify.calling import Ended
from bnverify.case import DirectedCase
from bnverify.convention import CUMULATIVE
from bnverify.errors import CheckerError, ConventionError, TargetError
from bnverify.implementation import offers
from bnverify.precision import PRECISIONS
from bnverify.subject import Raised, Subject
from bnverify.workers import Crash, Watch, tried


@dataclass(frozen=True)
class Capability:
    """What is tried on a plain case, the methods that it takes (any of each group), and what has to be offered before."""

    attempt: Callable[[Subject, DirectedCase], Any]
    methods: tuple[tuple[str, ...], ...] = ()
    none: str = ""
    """Why it is missing where a method is."""
    after: tuple[str, ...] = ()


def _tangent(subject: Subject, case: DirectedCase) -> None:
    """Ask for the tangent of y; forward mode through code made by torch.compile ends in none at all, without a word."""
    if subject.jvp(case) is None:
        raise Raised("forward mode gives no tangent of y, though x, gamma and beta have theirs")


def _summed(subject: Subject, case: DirectedCase) -> None:
    layer = subject.session(case)
    if not layer.offers("summed"):
        raise Raised("the target's session has no summed")
    _ = layer.summed([case.x, case.x], [case.dy, case.dy])


def _counted(subject: Subject, case: DirectedCase) -> None:
    if not subject.convention.counts or subject.session(case).statistics().batches is None:
        raise Raised("the target counts no batches")


def _part(case: DirectedCase) -> list[DirectedCase]:
    return [case, case]


CAPABILITIES: Mapping[str, Capability] = {
    "inference": Capability(lambda s, c: s.run(c, training=False)),
    "gradients": Capability(lambda s, c: s.run(c, gradients=True), (("backward",),), "the target has no backward pass"),
    "inference_gradients": Capability(
        lambda s, c: s.run(c, training=False, gradients=True), after=("gradients", "inference")
    ),
    "jvp": Capability(_tangent, (("jvp", "forward_mode"),), "the target has no jvp"),
    "inference_jvp": Capability(lambda s, c: s.jvp(c, training=False), after=("jvp", "inference")),
    "double_backward": Capability(
        lambda s, c: s.double_backward(c), (("double_backward",),), "the target has no double_backward", ("gradients",)
    ),
    "inference_double_backward": Capability(
        lambda s, c: s.double_backward(c, training=False), after=("double_backward", "inference_gradients")
    ),
    "merge": Capability(
        lambda s, c: s.merged(_part(c)), (("statistics",), ("merge",)), "the target has no statistics and merge"
    ),
    "session": Capability(
        lambda s, c: s.session(c).step(c.x, training=True), (("session",),), "the target does not live on between calls"
    ),
    "fresh": Capability(
        lambda s, c: s.session(c).copied("fresh").statistics(),
        (("session",),),
        "the target does not live on between calls",
        ("session",),
    ),
    "summed": Capability(_summed, after=("session", "gradients")),
    "counter": Capability(_counted, after=("session", "state")),
}
"""In the order in which they are tried."""


Problems = Mapping[str, Raised | None]
"""What the plain cases of a capability raised, by precision; None where one ran."""


def probe(subject: Subject, guard: Watch | None = None) -> Subject:
    """Return the subject with the dtypes, ranks and capabilities that one plain case each finds.

    What raises is not offered; what ends its process is, and fails. guard: call each plain case in a fork.

    Raises:
        TargetError: forward in training raises on every plain case.
        ConventionError: no rank of the target has the declared channel axis, or a declared rule cannot be judged.
    """
    found = _with_precisions_and_ranks(subject, guard)
    if "training" in found.failing:
        return found
    missing, failing = dict(found.missing), dict(found.failing)
    narrower: dict[str, tuple[str, ...]] = {}
    for name, capability in CAPABILITIES.items():
        reason = missing.get(name) or _absent(found, capability, missing)
        if reason is not None:
            missing[name] = reason
            continue
        before = next((failing[n] for n in capability.after if n in failing), None)
        if before is not None:
            failing[name] = before
            continue
        problems = _problems(found, capability, found, guard)
        if name in found.required or _all_end(problems.values()):
            failing |= _failure(name, problems)
            continue
        missing |= _told(name, problems)
        narrower |= _narrower(name, problems)
    for name, option in found.options.items():
        problems = _problems(option, _FORWARD, found, guard)
        missing |= _told(name, problems)
        narrower |= _narrower(name, problems)
    if not found.differentiable or "gradients" in missing:
        missing["autograd"] = missing.get("gradients", "the target's gradients do not come from autograd")
    if found.convention.debias and "session" in missing:
        raise ConventionError("--set debias=true: what one call stores tells nothing of the average; a session would")
    ways, without = found.arrays.ways(found)
    missing |= without
    return found.with_capabilities(missing=missing, failing=failing, precisions_of=narrower, ways=ways)


def _problems(subject: Subject, capability: Capability, whole: Subject, guard: Watch | None) -> Problems:
    """Return what a plain case in each precision of the ``whole`` subject raised, or None where it ran."""
    return {d: _attempt(subject, capability, plain_case(subject, d, whole.ranks[0]), guard) for d in whole.dtypes}


def _all_end(problems: Iterable[Raised | None]) -> bool:
    """Return whether every plain case ended its process."""
    return all(isinstance(problem, Ended) for problem in problems)


def _failure(name: str, problems: Problems) -> dict[str, str]:
    """Return what is said of a capability that fails, be it in one precision alone."""
    raised = {d: problem.cause for d, problem in problems.items() if problem is not None}
    every = len(raised) == len(problems)
    told = next(iter(raised.values())) if every else "; ".join(f"{name} in {d}: {raised[d]}" for d in sorted(raised))
    ended = _all_end([problem for problem in problems.values() if problem is not None])
    return {name: f"in a plain case {told}" if ended else f"a plain case raised: {told}"} if told else {}


def _told(name: str, problems: Problems) -> dict[str, str]:
    """Return why a capability is missing: under its name where it is in every precision, else by those in which it is."""
    raised = {d: problem.cause for d, problem in problems.items() if _is_refusal(problem)}
    if len(raised) == len(problems):
        return {name: next(iter(raised.values()))}
    return {f"{name} in {dtype}": raised[dtype] for dtype in sorted(raised)}


def _narrower(name: str, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Return the precisions in which a capability is there, where it is in some of them."""
    working = tuple(d for d, problem in problems.items() if not _is_refusal(problem))
    return {name: working} if 0 < len(working) < len(problems) else {}


def _is_refusal(problem: Raised | None) -> TypeGuard[Raised]:
    """Return whether a plain case was refused: it raised, where ending its process is no way to refuse one."""
    return problem is not None and not isinstance(problem, Ended)


def _absent(subject: Subject, capability: Capability, missing: Mapping[str, str]) -> str | None:
    """Return why a capability cannot be there at all, or None."""
    if any(not any(offers(subject.implementation, m) for m in group) for group in capability.methods):
        return capability.none
    return next((missing[n] for n in capability.after if n in missing), None)


def _with_precisions_and_ranks(subject: Subject, guard: Watch | None) -> Subject:
    axis = subject.convention.channel_axis
    ranks = tuple(rank for rank in subject.ranks if -rank <= axis < rank)
    if not ranks:
        raise ConventionError(
            f"--set channel_axis={axis}: no axis of an input of rank {', '.join(map(str, subject.ranks))}"
        )
    called = {
        (d, r): _attempt(subject, _FORWARD, plain_case(subject, d, r), guard) for d in subject.dtypes for r in ranks
    }
    raised = {where: problem.cause for where, problem in called.items() if _is_refusal(problem)}
    dtypes = tuple(d for d in subject.dtypes if any((d, r) not in raised for r in ranks))
    if not dtypes:
        raise TargetError(f"{subject.target} raises in training on a plain case: {next(iter(raised.values()))}")
    missing = {d: raised[d, ranks[0]] for d in subject.dtypes if d not in dtypes}
    taken = tuple(r for r in ranks if any((d, r) not in raised for d in dtypes))
    missing |= {f"rank {r}": raised[dtypes[0], r] for r in ranks if r not in taken}
    left = {f"{d}, rank {r}": called[d, r] for d in dtypes for r in taken if (d, r) not in raised}
    failing = _failure("training", left) if _all_end(left.values()) else {}
    return subject.with_capabilities(
        dtypes=dtypes, ranks=taken, missing={**subject.missing, **missing}, failing={**subject.failing, **failing}
    )


def _forward(subject: Subject, case: DirectedCase) -> None:
    """Call forward in training; half data beside float32 parameters must stay half, or the setting is not offered."""
    observed = subject.run(case)
    if case.dtype != case.parameter_dtype and observed.y is not None and observed.y.dtype != case.dtype:
        raise Raised(f"y of {case.dtype} data beside float32 parameters is {observed.y.dtype}")


_FORWARD = Capability(_forward)


def _attempt(subject: Subject, capability: Capability, case: DirectedCase, guard: Watch | None) -> Raised | None:
    """Return what a plain call raised, or None."""

    def attempt() -> Raised | None:
        try:
            capability.attempt(subject, case)
        except Raised as problem:
            return type(problem)(problem.cause)
        return None

    if guard is None:
        return attempt()
    found = tried(attempt, guard)
    if isinstance(found, Crash):
        if not found.ended:
            raise CheckerError(found.message)
        return Ended(found.message)
    return found


def plain_case(subject: Subject, dtype: str, rank: int) -> Any:
    """Return an unremarkable case: 4 samples, 3 channels (or as many as the target has), small integers and halves.

    Other normalizations have cases of their own, which have no direction.
    """
    own = subject.plain(dtype, rank)
    if own is not None:
        return own
    channels, axis = subject.channels or 3, subject.convention.channel_axis
    precision = PRECISIONS[dtype]
    numbers = np.random.default_rng(rank)
    rows = numbers.integers(-8, 9, size=(3, channels, *(4, 2, 3, 2)[: rank - 1])) / 2
    x, dy, vx = (np.moveaxis(values, 0, axis) for values in rows)
    vector = numbers.integers(1, 9, size=(6, channels)) / 4
    rate = subject.convention.update_rate
    return DirectedCase(
        x=x,
        dy=dy,
        gamma=vector[0],
        beta=vector[1],
        running_mean=vector[2],
        running_var=vector[3],
        dtype=precision.data,
        parameter_dtype=precision.parameters,
        eps=subject.convention.eps or 0.125,
        note="plain",
        channel_axis=subject.convention.channel_axis,
        update_rate=0.25 if rate is None or rate == CUMULATIVE else float(rate),
        vx=vx,
        vgamma=vector[4],
        vbeta=vector[5],
        rules=subject.convention.rules,
    )
