"""The generated statistics of parts of a batch merge to those of the whole, for any split, empty parts too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnverify.adapters.generated import GeneratedNumpy, GeneratedTorch
from bnverify.convention import PRESETS

C = 3
KINDS: dict[str, Any] = {"numpy": GeneratedNumpy, "torch": GeneratedTorch}
each_library = pytest.mark.parametrize("library", KINDS)


def native(library: str, array: Any) -> Any:
    return pytest.importorskip("torch").tensor(array) if library == "torch" else array


@pytest.mark.parametrize("cut", [0, 1, 3, 7])
@pytest.mark.parametrize("axis", [1, -1])
@each_library
def test_two_parts_merge_to_the_whole(library: str, axis: int, cut: int) -> None:
    code = KINDS[library](PRESETS["generated"].changed({"channel_axis": axis}))
    x = np.random.default_rng(cut).normal(5.0, 2.0, (7, C, 4))
    rows = np.moveaxis(x, 1, 0).reshape(C, -1)
    given = np.moveaxis(x, 1, axis)
    parts = [code.statistics(native(library, part)) for part in (given[:cut], given[cut:])]
    n, mean, m2 = code.merge(*parts)
    assert n == rows.shape[1]
    # some 28 roundings of 2^-53 of numbers of size 10 and, in M2, of size 200
    assert np.max(abs(np.asarray(mean) - rows.mean(axis=1))) <= 1000 * 2.0**-53
    assert np.max(abs(np.asarray(m2) - rows.var(axis=1) * n)) <= 30_000 * 2.0**-53


@each_library
def test_two_empty_parts_are_an_empty_whole(library: str) -> None:
    code = KINDS[library]()
    nothing = code.statistics(native(library, np.empty((0, C))))
    n, mean, m2 = code.merge(nothing, nothing)
    assert (n, mean.shape, m2.shape) == (0, (C,), (C,))


@each_library
def test_half_types_have_float32_statistics(library: str) -> None:
    x = native(library, np.random.default_rng(0).normal(5.0, 2.0, (7, C)).astype(np.float16))
    _, mean, m2 = KINDS[library]().statistics(x)
    assert str(mean.dtype).endswith("float32")
    assert str(m2.dtype).endswith("float32")
