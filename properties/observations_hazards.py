"""Hazards: things that an implementation accepts or does without a word, and that end in wrong numbers elsewhere."""

import numpy as np

from bnverify.case import STATE
from bnverify.observation import Note, observation
from bnverify.probing import plain_case
from bnverify.subject import Raised


def _case(subject, **changes):
    """Return a plain case of the first precision and rank; statistics of channels differ unless they are given."""
    return plain_case(subject, subject.dtypes[0], subject.ranks[0]).changed(**changes)


@observation(
    "counter-counts-refused-calls",
    section="hazards",
    claim="num_batches_tracked counts a call that was refused, or an empty batch",
    source="torch.nn counts before it checks the batch",
    needs=["session"],
)
def counter_counts_refused_calls(subject):
    case = _case(subject)
    axis = subject.convention.channel_axis
    one = case.x
    for k in range(one.ndim):
        one = one if k == range(one.ndim)[axis] else one.take([0], axis=k)
    empty = one.take([], axis=0 if axis != 0 else 1)
    counted = []
    for what, x in {"with one value a channel": one, "without any value": empty}.items():
        layer = subject.session(case)
        before = layer.statistics()
        try:
            _ = layer.step(x, training=True)
            refused = False
        except Raised:
            refused = True
        after = layer.statistics()
        if before.batches is None or not (refused or x.size == 0):
            continue
        moved = [n for n in STATE if not np.array_equal(getattr(before, n), getattr(after, n), equal_nan=True)]
        if refused and moved:
            yield Note(f"a batch {what} is refused, and yet changes {' and '.join(moved)}", {"changed": moved})
        elif not moved and after.batches != before.batches:
            counted.append(f"a batch {what}, which {'is refused' if refused else 'changes nothing else'}")
    if counted:
        yield Note(
            f"num_batches_tracked counts {', and '.join(counted)}: with momentum=None later batches weigh too little",
            {"counted": counted},
        )


@observation(
    "stride-zero-statistics",
    section="hazards",
    claim="running statistics expanded from one number are updated wrongly instead of being refused",
    source="channels that share one element overwrite each other's update",
    needs=["state"],
)
def stride_zero_statistics(subject):
    case = _case(subject)
    equal = case.changed(running_mean=np.full(case.channels, 0.5), running_var=np.full(case.channels, 2.0))
    plain = subject.run(equal)
    wrong = []
    for name in STATE:
        try:
            got = subject.run(equal, layouts={name: "stride-0"})[name]
        except Raised:
            continue
        if got is None or got.shape != plain[name].shape or not np.array_equal(got, plain[name]):
            wrong.append(name)
    if wrong:
        yield Note(
            f"{' and '.join(wrong)} with a stride of 0 (as by torch.expand) are accepted in training, and all channels end "
            f"with one channel's numbers",
            {"arrays": wrong},
        )


@observation(
    "statistics-that-are-a-parameter",
    section="hazards",
    claim="where one array is both a parameter and a running statistic, y is computed from the updated one",
    source="tenstorrent/tt-metal issue 45578: a traced graph may pass one buffer twice",
    needs=["state"],
)
def statistics_that_are_a_parameter(subject):
    case, found = _case(subject), []
    for statistic, parameter in (("running_var", "gamma"), ("running_mean", "beta")):
        both = case.changed(**{statistic: getattr(case, parameter)})
        try:
            got = subject.run(both, alike={statistic: parameter}).y
        except Raised:
            continue
        right = subject.run(both).y
        if got is None or got.shape != right.shape or not np.array_equal(got, right):
            found.append(f"{statistic} and {parameter}")
    if found:
        yield Note(
            f"one array given as {', or as '.join(found)}: the statistics are updated before y is computed, so y is that of "
            f"other parameters",
            {"pairs": found},
        )


@observation(
    "output-shares-memory",
    section="hazards",
    claim="y shares its memory with an input, or with the y of another call",
    source="whoever changes one array in place changes the other",
)
def output_shares_memory(subject):
    case = _case(subject)
    names = ("x", "gamma", "beta", *STATE)
    settings = {"eps": case.eps, "update_rate": case.update_rate}
    for training in (True, False):
        if not training and (subject.lacks("inference") is not None or "inference" in subject.failing):
            continue
        mode = "training" if training else "inference"
        given = {n: subject.native(getattr(case, n)) for n in names}
        other = {n: subject.native(getattr(case, n) + 1) for n in names}
        forward = subject.implementation.forward
        try:
            y = forward(*given.values(), **settings, training=training)[0]
            held = {n: subject.read(n, given[n]) for n in names}
            first = subject.read("y", y)
            _ = forward(*other.values(), **settings, training=training)
            if not np.array_equal(subject.read("y", y), first, equal_nan=True):
                yield Note(f"in {mode} the y of one call is overwritten by the next call: keep a copy", {"mode": mode})
                return
            y[...] = 77.0
        except (Exception, SystemExit):
            continue
        shared = [n for n in names if not np.array_equal(subject.read(n, given[n]), held[n], equal_nan=True)]
        if shared:
            yield Note(
                f"in {mode} y shares its memory with {', '.join(shared)}: whoever changes one in place changes the other",
                {"mode": mode, "arrays": shared},
            )


@observation(
    "input-changed-before-backward",
    section="hazards",
    claim="x changed in place between forward and backward gives wrong gradients without a word",
    source="autograd refuses this for tensors that were saved by save_for_backward",
    needs=["gradients"],
)
def input_changed_before_backward(subject):
    """Only of targets whose gradients come from autograd, which can notice it; NumPy's cannot."""
    if not subject.differentiable:
        return
    case = _case(subject)
    found = []
    for change in (False, True):
        names = ("x", "gamma", "beta", *STATE)
        given = [subject.native(getattr(case, n), differentiable=n not in STATE) for n in names]
        out = subject.implementation.forward(*given, eps=case.eps, update_rate=case.update_rate, training=True)
        if change:
            given[0].detach()[...] = subject.native(case.x[::-1].copy() * 3 + 1)
        try:
            dx = subject.implementation.backward(out[3], subject.native(case.dy))[0]
        except (Exception, SystemExit):
            return
        found.append(subject.read("dx", dx))
    if found[0] is not None and not np.array_equal(found[0], found[1], equal_nan=True):
        yield Note(
            "x changed in place between forward and backward gives another dx without a word: autograd does not see it, for "
            "x is not saved by save_for_backward",
            {},
        )


@observation(
    "inference-depends-on-company",
    section="hazards",
    claim="in inference the bits of a sample's y depend on the size of the batch that it is in",
    source="vectorized loops treat the remainder in another way than the body",
    needs=["inference"],
)
def inference_depends_on_company(subject):
    axis = subject.convention.channel_axis
    if axis == 0:
        return
    case = _case(subject)
    shape = [97 if k == 0 else n for k, n in enumerate(case.x.shape)]
    x = np.random.default_rng(5).standard_normal(shape)
    whole = case.changed(x=x, dy=x, vx=x, eps=subject.convention.eps or 1e-5)
    alone = whole.changed(x=x[-1:], dy=x[-1:], vx=x[-1:])
    got, right = subject.run(alone, training=False).y, subject.run(whole, training=False).y
    if not np.array_equal(got[0], right[-1]):
        yield Note(
            "in inference the last bits of a sample's y depend on the size of its batch: the same request served in another "
            "batch need not give the same answer",
            {"differing": int((got[0] != right[-1]).sum())},
        )


@observation(
    "eps-lost-in-half",
    section="hazards",
    claim="an eps that float16 cannot hold is rounded to 0, so that a constant channel is divided by 0",
    source="the smallest positive number of float16 is 6e-8",
    needs=["eps"],
)
def eps_lost_in_half(subject):
    found = []
    for precision in ("float16", "float16-mixed"):
        if precision in subject.dtypes:
            case = plain_case(subject, precision, subject.ranks[0])
            constant = case.changed(x=np.ones(case.x.shape), eps=1e-8)
            got = subject.run(constant).y
            if got is not None and not np.isfinite(got.astype(np.float64)).all():
                found.append(precision)
    if found:
        yield Note(
            f"{' and '.join(found)}: eps = 1e-8 is lost, and a constant channel gives NaN or infinity instead of beta",
            {"precisions": found},
        )
