"""Hazards of layouts: arrays whose strides the backward pass does not look at, so that gradients are silently wrong."""

from itertools import combinations, permutations

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import Disagreement, require_expected, require_outputs
from bnverify.observation import Note, observation
from bnverify.precision import MIXED
from bnverify.probing import plain_case
from bnverify.subject import Raised


@observation(
    "strided-vectors-in-gradients",
    section="hazards",
    claim="gradients are wrong where gamma or the stored statistics are a strided view, though y is right",
    source="pytorch/pytorch issue 33867 tells of the same in the update",
    needs=["inference_gradients"],
)
def strided_vectors_in_gradients(subject):
    wrong = []
    for case in _cases(subject, subject.ranks):
        for of_x in ("contiguous", "channels-last"):
            for names in (("gamma",), STATE):
                for training in (True, False) if names == ("gamma",) else (False,):
                    layouts = {"x": of_x, "dy": of_x} | dict.fromkeys(names, "sliced")
                    where = f"{' and '.join(names)} in {'training' if training else 'inference'}"
                    if where not in wrong and _wrong(subject, case, layouts, training=training):
                        wrong.append(where)
    if wrong:
        yield Note(f"dx, dgamma or dbeta is wrong with a strided view as {'; as '.join(wrong)}", {"wrong": wrong})


@observation(
    "mixed-layouts-in-gradients",
    section="hazards",
    claim="gradients are wrong where x and dy lie differently and an axis has the length 1",
    source="pytorch/pytorch pull request 64100 tells of the same for a layer over several devices",
    needs=["gradients"],
)
def mixed_layouts_in_gradients(subject):
    wrong = []
    for case in _cases(subject, [r for r in subject.ranks if r > 3]):
        others = [k for k in range(case.x.ndim) if k != range(case.x.ndim)[case.channel_axis]]
        for axes in (subset for n in range(1, len(others)) for subset in combinations(others, n)):
            flat = case
            for axis in axes:
                flat = flat.changed(**{n: getattr(flat, n).take([0], axis=axis) for n in case.data_fields})
            for of_x, of_dy in permutations(("contiguous", "channels-last", "transposed"), 2):
                if _wrong(subject, flat, {"x": of_x, "dy": of_dy}, training=True):
                    wrong.append(f"x {of_x} and dy {of_dy}, shape {flat.x.shape}")
    if wrong:
        more = f" ({len(wrong)} combinations were found)" if len(wrong) > 1 else ""
        yield Note(f"dx, dgamma or dbeta is wrong in training with {wrong[0]}{more}", {"wrong": wrong})


@observation(
    "dbeta-rounded-to-data",
    section="hazards",
    claim="beside half data dbeta has the digits of float32 where they are contiguous, and those of the data where not",
    source="a sum over half data belongs to a float32 parameter, whose gradients add up over many steps",
    needs=["gradients"],
)
def dbeta_rounded_to_data(subject):
    found = []
    for precision in (p for p in subject.dtypes if p.endswith(MIXED)):
        for rank in subject.ranks:
            plain = plain_case(subject, precision, rank)
            case = plain.changed(dy=plain.dy.astype(np.float64) + np.arange(plain.dy.size).reshape(plain.dy.shape) / 64)
            expected = bounds.training(case)["dbeta"]
            for layout in ("contiguous", "channels-last", "transposed"):
                if not _keeps(subject, case, layout, expected) and _keeps(
                    subject, case, layout, expected.rounded(case.dtype)
                ):
                    found.append(f"{precision}, {layout}, shape {case.x.shape}")
    if found:
        more = f" ({len(found)} combinations were found)" if len(found) > 1 else ""
        yield Note(
            f"dbeta, a float32 number, is rounded to the half type of the data: {found[0]}{more}", {"found": found}
        )


def _keeps(subject, case, layout, expected):
    """Return whether dbeta keeps to what is expected with x and dy in one layout."""
    try:
        dbeta = subject.run(case, gradients=True, layouts={"x": layout, "dy": layout}).dbeta
        require_expected(dbeta, expected, what="dbeta", case=case)
    except (Raised, Disagreement):
        return False
    return True


def _cases(subject, ranks):
    """Yield a plain case of each rank; stored statistics and gamma differ between channels."""
    for rank in ranks:
        case = plain_case(subject, subject.dtypes[0], rank)
        apart = np.arange(case.channels) + 1.0
        yield case.changed(gamma=apart / 2, running_mean=-apart, running_var=apart * 2)


def _wrong(subject, case, layouts, *, training):
    expected = bounds.training(case) if training else bounds.inference(case)
    try:
        observed = subject.run(case, training=training, gradients=True, layouts=layouts)
        require_outputs(observed, expected, GRADIENTS, case=case)
    except Raised:
        return False
    except Disagreement:
        return True
    return False
