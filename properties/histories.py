"""Histories: results do not depend on what was called before, in any order of calls, shapes and modes."""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import current_record, require_expected, require_form, require_same, require_zero
from bnverify.lives import after_steps, batch, require_call
from bnverify.property import conformance_property

SOURCE = "a layer is a function of its inputs and of its stored statistics"
TIMES = 24
"""Calls in a row: one in twenty that differs is among them."""
PHRASES = (
    ("train", "infer"),
    ("quiet train", "infer"),
    ("quiet infer", "train"),
    ("infer", "parameters", "infer"),
    ("infer", "statistics", "infer"),
    ("train", "load", "train", "infer"),
    ("train", "copy", "train", "infer"),
    ("hold", "hold", "first back", "first back"),
    ("hold", "train", "hold", "last back", "infer", "first back"),
    ("infer", "train", "train"),
)
"""Calls that belong together; which of them are made, and in which order, is drawn."""
METHODS = {
    "quiet train": "quietly",
    "quiet infer": "quietly",
    "parameters": "assign",
    "statistics": "assign",
    "hold": "hold",
    "first back": "hold",
    "last back": "hold",
}
"""The optional method of a session that a step needs."""


class Life:
    """A layer that is stepped: each step is judged from the parameters and statistics that it found."""

    def __init__(self, subject, case):
        self.subject, self.case, self.layer = subject, case, subject.session(case)
        self.done, self.held, self.steps = [], [], 0

    def after(self):
        return f"after the calls {', '.join(self.done)}"

    def now(self):
        """Return the case of the next call: another batch, and what is stored."""
        found = after_steps(self.subject, batch(self.case, len(self.done)), self.steps)
        return found.changed(**self.layer.stored(found))

    def step(self, name):
        needed = METHODS.get(name)
        if needed is not None and not self.layer.offers(needed):
            return
        words = name.split()
        if words[-1] in ("train", "infer", "hold"):
            self.call(name, training=words[-1] != "infer")
        elif words[-1] == "back":
            if self.held:
                self.back(0 if words[0] == "first" else -1)
        elif name in ("load", "copy"):
            self.layer, self.held = self.layer.copied("load" if name == "load" else "deepcopy"), []
            self.done.append(name)
        else:
            self.assign(name)

    def call(self, name, *, training):
        now = self.now()
        self.done.append(name)
        if name == "hold":
            y, back = self.layer.hold(now.x)
            self.held.append((now, back))
        else:
            call = self.layer.quietly if name.startswith("quiet") else self.layer.step
            y = call(now.x, training=training)
        found, left = {n: getattr(now, n) for n in STATE}, self.layer.stored(now)
        require_call(self.subject, now, y, training=training, found=found, left=left, after=self.after())
        self.steps += training

    def back(self, which):
        now, back = self.held.pop(which)
        self.done.append("back")
        expected = bounds.training(now)
        for name, value in zip(GRADIENTS, back(now.dy), strict=True):
            require_expected(value, expected[name], what=f"{name} {self.after()}", case=now)

    def assign(self, name):
        """New parameters or statistics; what was held before could not go back through the old ones any more."""
        self.held = []
        self.done.append(name)
        if name == "parameters":
            self.case = self.case.changed(
                gamma=self.case.gamma * -2, beta=self.case.beta + self.case.beta.dtype.type(1)
            )
            self.layer.assign(gamma=self.case.gamma, beta=self.case.beta)
        else:
            now = self.layer.stored(self.case)
            one = now["running_mean"].dtype.type(1)
            self.layer.assign(
                running_mean=now["running_mean"] + one, running_var=now["running_var"] * (one + one) + one
            )


@conformance_property(
    "calls-in-any-order",
    claim="training, inference, without gradients, saving, copying, new parameters: each call is right for what it found",
    shows="in a call after others of one layer",
    source=SOURCE,
    needs=["session", "state", "gradients"],
    data="unit",
    draws={"phrases": lambda subject: st.lists(st.sampled_from(PHRASES), min_size=6, max_size=9, unique=True)},
    slow=True,
    weight=0.5,
    catches=[
        "untouched-without-gradients",
        "saved-values-on-the-layer",
        "fold-older-than-parameters",
        "fold-older-than-statistics",
        "frozen-once-loaded",
        "twice-after-inference",
        "statistics-one-call-late",
    ],
    not_under={"debias": "statistics that are assigned are not the sums that are averaged"},
)
def calls_in_any_order(subject, case, phrases):
    life = Life(subject, case)
    for phrase in phrases:
        for name in phrase:
            life.step(name)


@conformance_property(
    "calls-in-a-row",
    claim=f"the same training step {TIMES} times in a row gives the same bits: y, state and gradients",
    shows="in a few of many equal calls in a row",
    source=SOURCE,
    data="unit",
    slow=True,
    weight=0.1,
    catches=["one-call-in-20", "one-backward-in-20", "one-update-in-20-lost", "results-vary"],
)
def calls_in_a_row(subject, case):
    gradients = subject.lacks("gradients") is None
    first = None
    for k in range(TIMES):
        observed = subject.run(case, gradients=gradients)
        first = first or observed
        for name in ("y", *STATE, *GRADIENTS):
            if first[name] is not None:
                require_same(observed[name], first[name], what=f"{name} of call {k + 1} of one", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "layer-in-a-row",
    claim=f"a layer that is trained on one batch {TIMES} times moves its state each time, and gives y in the same bits",
    shows="in a few of many equal steps of one layer",
    source=SOURCE,
    needs=["session", "state"],
    data="unit",
    slow=True,
    weight=0.1,
    catches=["layer-skips-one-in-20"],
)
def layer_in_a_row(subject, case):
    """Each state is judged from the one before it."""
    layer, first = subject.session(case), None
    for k in range(TIMES):
        before = after_steps(subject, case, k).changed(**layer.stored(case))
        y = layer.step(case.x, training=True)
        first = y if first is None else first
        require_same(y, first, what=f"y of call {k + 1} on one batch", case=case)
        after, right = layer.stored(case), bounds.running(before, subject.convention.correction)
        for name in STATE:
            require_expected(after[name], right[name], what=f"{name} after call {k + 1} on one batch", case=before)


@conformance_property(
    "forwards-before-backwards",
    claim="three forward passes before the backward passes, in any order: each gets the gradients of its own batch",
    shows="in backward passes that come after several forward passes",
    source=SOURCE,
    needs=["gradients"],
    data="unit",
    draws={"order": lambda subject: st.permutations([0, 1, 2])},
    weight=0.3,
    catches=["saved-values-shared", "workspace-not-cleared"],
)
def three_forwards(subject, case, order):
    """The second batch is smaller, the third is the first again; the order is tried backwards too."""
    cases = [case, batch(case, 1), case]
    for one in (order, order[::-1]):
        for k, observed in enumerate(subject.interleaved(cases, one)):
            expected = bounds.training(cases[k])
            for name in ("y", *GRADIENTS):
                what = f"{name} of forward pass {k + 1} of three, whose backward passes ran in the order {[n + 1 for n in one]}"
                require_expected(observed[name], expected[name], what=what, case=cases[k])


@conformance_property(
    "gradients-add-up",
    claim="weight.grad and bias.grad gather the sums of all backward passes",
    shows="in what several backward passes gather in grad",
    source="autograd adds to .grad; gradient accumulation over small batches rests on it",
    needs=["session", "gradients", "autograd", "summed"],
    data="unit",
    slow=True,
    weight=0.2,
    catches=["grad-overwritten"],
    not_under={"gamma_rule=fixed": "gamma has no gradient that could be gathered"},
)
def gradients_add_up(subject, case):
    """With room for the roundings of the two, and of their sum, to the parameters' type."""
    layer = subject.session(case)
    cases = [case, batch(case, 1)]
    found = layer.summed([c.x for c in cases], [c.dy for c in cases])
    for name, value in zip(("dgamma", "dbeta"), found, strict=True):
        value = require_form(value, case.gamma.shape, what=f"{name} in .grad", case=case)
        first, second = (bounds.training(c)[name] for c in cases)
        error = (value.astype(np.float64) - first.exact.hi) - second.exact.hi
        bound = first.bound + second.bound
        rounding = 2 * bounds.UNIT[case.parameter_dtype] * (abs(first.exact.hi) + abs(second.exact.hi) + bound.value)
        require_zero(error, bound=bound.widened(rounding), what=f"{name} of two steps - their sum", case=case)


@conformance_property(
    "zero-rate",
    claim="update_rate = 0 leaves the state as it was, and y is right",
    shows="at update_rate = 0",
    source="r' = (1 - a) r + a s at a = 0; Lightning-AI/pytorch-lightning issue 14866",
    needs=["state"],
    data="unit",
    weight=0.2,
    catches=["zero-rate-as-default"],
    not_under={"debias": "the weight of the batches is 0"},
)
def zero_rate(subject, case):
    """A target whose update_rate is fixed is judged at that."""
    one = case.changed(update_rate=0.0) if subject.convention.update_rate is None else case
    observed = subject.run(one)
    require_expected(observed.y, bounds.training(one)["y"], what=f"y at update_rate = {one.update_rate}", case=one)
    right = bounds.running(one, subject.convention.correction)
    for name in STATE:
        require_expected(observed[name], right[name], what=f"{name} at update_rate = {one.update_rate}", case=one)
