"""The generated code is what the derivations give, and agrees with torch in every rank, axis, dtype and layout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from bnverify.codegen import write
from bnverify.codegen.functions import array_functions, oracle_functions
from bnverify.codegen.normalizations import normalizations
from bnverify.generated import numpy_functions

torch = pytest.importorskip("torch")
from bnverify.generated import torch_functions  # noqa: E402  it imports torch

FILES = sorted(write.FOLDER.glob("*.py"))
PRINTED = [f for f in FILES if f.name != "__init__.py"]
each_file = pytest.mark.parametrize("path", PRINTED, ids=lambda p: p.name)

# ------------------------------------------------------------------------------------------------- the files


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return write.generate()


@pytest.fixture
def copy(tmp_path: Path, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that holds the committed files; nothing is derived twice."""
    for path in FILES:
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(write, "generate", lambda: texts)
    return tmp_path


def test_the_committed_files_are_what_the_derivations_give() -> None:
    assert write.stale() == ""


def test_a_copy_of_the_committed_files_is_not_stale(copy: Path) -> None:
    assert write.stale(copy) == ""
    assert write.write(copy) == []


@pytest.mark.parametrize("name", sorted(write.MODULES))
def test_an_altered_file_is_shown_as_a_difference_and_written_anew(copy: Path, name: str) -> None:
    path = copy / name
    right = path.read_text(encoding="utf-8")
    path.write_text(right + "ALTERED = True\n", encoding="utf-8")
    assert f"committed/{name}" in write.stale(copy)
    assert "-ALTERED = True" in write.stale(copy)
    assert write.write(copy) == [path]
    assert path.read_text(encoding="utf-8") == right


def test_a_missing_file_is_shown_and_written(copy: Path) -> None:
    (copy / "mutants.py").unlink()
    assert "derived/mutants.py" in write.stale(copy)
    assert write.write(copy) == [copy / "mutants.py"]


def test_an_unexpected_file_is_shown(copy: Path) -> None:
    (copy / "by_hand.py").write_text("", encoding="utf-8")
    assert write.stale(copy) == "unexpected file by_hand.py"


@each_file
def test_every_file_says_where_it_comes_from(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split('"""')[1]
    assert "Do not edit." in head
    assert "Digest: " in head


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("numpy_functions.py", array_functions),
        ("torch_functions.py", array_functions),
        ("numpy_normalizations.py", normalizations),
        ("torch_normalizations.py", normalizations),
        ("oracle_functions.py", oracle_functions),
    ],
)
def test_a_header_names_the_digest_of_every_program_of_its_file(name: str, functions: Callable[[], Any]) -> None:
    head = (write.FOLDER / name).read_text(encoding="utf-8").split('"""')[1]
    for function in functions():
        assert f"{function.program.name} {function.program.digest()}" in head


@each_file
def test_every_line_has_at_most_120_columns(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [(k, len(line)) for k, line in enumerate(lines, start=1) if len(line) > 120] == []


def loaded_by(statement: str, *names: str) -> set[str]:
    """Return which of ``names`` are loaded after ``statement`` in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint(*(n for n in {names!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["numpy_functions", "numpy_normalizations", "mutants", "oracle_functions", "bound_functions"]
)
def test_importing_generated_code_loads_neither_sympy_nor_torch(module: str) -> None:
    heavy = ("sympy", "torch", "hypothesis", "bnverify.symbolic", "bnverify.codegen")
    assert loaded_by(f"import bnverify.generated.{module}", *heavy) == set()


def test_importing_torch_functions_loads_only_what_torch_loads() -> None:
    names = ("sympy", "hypothesis", "bnverify.symbolic", "bnverify.codegen")
    assert loaded_by("import bnverify.generated.torch_functions", *names) == loaded_by("import torch", *names)


def test_the_test_of_imports_sees_what_is_loaded() -> None:
    assert loaded_by("import bnverify.symbolic", "sympy", "bnverify.symbolic") == {"sympy", "bnverify.symbolic"}


# ----------------------------------------------------------------------------------------------- agreement

EPS, RATE, C = 0.375, 0.25, 3
SHAPES = {2: (8, C), 3: (4, C, 3), 4: (3, C, 2, 3), 5: (2, C, 2, 1, 3)}
UNIT = {torch.float64: 2.0**-53, torch.float32: 2.0**-24}


def data(rank: int, dtype: Any) -> dict[str, Any]:
    """Return data of a mean about twice the deviation, with the channels at axis 1."""
    numbers = np.random.default_rng(rank)
    wide = {n: numbers.normal(center, 1.5, size=SHAPES[rank]) for n, center in (("x", 3.0), ("dy", 0.5))}
    narrow = {
        "gamma": [1.5, -0.75, 2.0],
        "beta": [0.5, -1.25, 3.0],
        "running_mean": [0.25, 1.0, -2.0],
        "running_var": [4.0, 0.5, 7.0],
    }
    return {n: torch.tensor(np.asarray(v)).to(dtype) for n, v in {**wide, **narrow}.items()}


def reference(d: dict[str, Any], training: bool) -> tuple[Any, ...]:
    """Return y, dx, dgamma, dbeta by torch in float64, whatever the dtype under test: no float32 reference."""
    x, gamma, beta = (d[n].double().requires_grad_() for n in ("x", "gamma", "beta"))
    stored = (d["running_mean"].double(), d["running_var"].double())
    y = torch.nn.functional.batch_norm(x, *stored, gamma, beta, training=training, momentum=RATE, eps=EPS)
    return y.detach(), *torch.autograd.grad(y, (x, gamma, beta), d["dy"].double())


def generated(functions: Any, d: dict[str, Any], training: bool, axis: int) -> tuple[Any, ...]:
    stored = (d["running_mean"], d["running_var"], EPS)
    if not training:
        return (
            functions.inference(d["x"], d["gamma"], d["beta"], *stored, channel_axis=axis),
            *functions.inference_vjp(d["dy"], d["x"], d["gamma"], *stored, channel_axis=axis),
        )
    y, mean, _, inv_std = functions.training_forward(d["x"], d["gamma"], d["beta"], EPS, channel_axis=axis)
    return y, *functions.training_vjp(d["dy"], d["x"], d["gamma"], mean, inv_std, channel_axis=axis)


def moved(d: dict[str, Any], axis: int) -> dict[str, Any]:
    return {n: torch.movedim(v, 1, axis).contiguous() if v.ndim > 1 else v for n, v in d.items()}


def require_agreement(found: tuple[Any, ...], expected: tuple[Any, ...], dtype: Any, axis: int = 1) -> None:
    """A sum of m terms is off by m u of its absolute terms, and mean|x|/s is at most 3 here (the shape of the bound is
    (m + 8) u (1 + mean|x|/s)); a factor of 8 is for what gamma and the products add, relative to the largest value.
    """
    for name, one, other in zip(("y", "dx", "dgamma", "dbeta"), found, expected, strict=True):
        one = torch.as_tensor(one)
        one = torch.movedim(one, axis, 1) if one.ndim > 1 else one
        assert one.dtype == dtype, name
        assert one.shape == other.shape, name
        count = expected[0].numel() // C
        allowed = 8 * (count + 8) * UNIT[dtype] * 4 * (1 + other.abs().max())
        assert (one.double() - other).abs().max() <= allowed, name


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("dtype", UNIT, ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_generated_code_agrees_with_torch(library: str, rank: int, axis: int, dtype: Any, training: bool) -> None:
    d = data(rank, dtype)
    given, functions = moved(d, axis), torch_functions
    if library == "numpy":
        given, functions = {n: v.numpy() for n, v in given.items()}, numpy_functions
    require_agreement(generated(functions, given, training, axis), reference(d, training), dtype, axis)


@pytest.mark.parametrize("dtype", UNIT, ids=str)
@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_stored_statistics_agree_with_torch(library: str, correction: int, dtype: Any) -> None:
    d = data(4, dtype)
    wide = d["x"].double()
    kept = [d[n].double().clone() for n in ("running_mean", "running_var")]
    torch.nn.functional.batch_norm(wide, *kept, training=True, momentum=RATE, eps=EPS)
    if correction == 0:  # torch stores the corrected variance only
        kept[1] = (1 - RATE) * d["running_var"].double() + RATE * wide.var(dim=(0, 2, 3), correction=0)
    given, functions = d, torch_functions
    if library == "numpy":
        given, functions = {n: v.numpy() for n, v in d.items()}, numpy_functions
    count = d["x"].numel() // C
    _, mean, var, _ = functions.training_forward(given["x"], given["gamma"], given["beta"], EPS)
    found = functions.running_update(given["running_mean"], given["running_var"], mean, var, count, RATE, correction)
    for one, other in zip(map(torch.as_tensor, found), kept, strict=True):
        assert one.dtype == dtype
        # the variance's m + 8 roundings in numbers of size 8, see require_agreement
        assert (one.double() - other).abs().max() <= 8 * (count + 8) * UNIT[dtype] * 8


def as_numpy(tensor: Any) -> Any:
    """Return a NumPy array of the same bits; NumPy has no bfloat16 of its own."""
    if tensor.dtype == torch.bfloat16:
        return tensor.float().numpy().astype(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_torch(array: Any) -> Any:
    half = isinstance(array, np.ndarray) and array.dtype == ml_dtypes.bfloat16
    return torch.as_tensor(array.astype(np.float32)).bfloat16() if half else torch.as_tensor(array)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("parameters", ["half", "float32"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_half_types_are_computed_in_float32_and_returned_in_the_types_of_x_and_gamma(
    library: str, half: Any, parameters: str, training: bool
) -> None:
    d = data(4, half)
    if parameters == "float32":
        d = {n: v if v.ndim > 1 else v.float() for n, v in d.items()}
    functions, read = (torch_functions, lambda v: v) if library == "torch" else (numpy_functions, as_numpy)
    found = [as_torch(v) for v in generated(functions, {n: read(v) for n, v in d.items()}, training, 1)]
    wide = generated(functions, {n: read(v.float()) for n, v in d.items()}, training, 1)
    assert [v.dtype for v in found] == [half, half, d["gamma"].dtype, d["gamma"].dtype]
    for one, other in zip(found, map(as_torch, wide), strict=True):
        assert torch.equal(one, other.to(one.dtype)), "bits of the float32 computation, rounded once"
    rounding = 2.0**-8 if half == torch.bfloat16 else 2.0**-11  # of the output, beside which float32 does not count
    for one, other in zip(found, reference(d, training), strict=True):
        assert (one.double() - other).abs().max() <= 1.01 * rounding * other.abs().max()


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_the_stored_statistics_keep_their_type_and_are_averaged_in_float32(half: Any, library: str) -> None:
    functions, read = (torch_functions, lambda v: v) if library == "torch" else (numpy_functions, as_numpy)
    d = data(4, half)
    stored = [d[n] for n in ("running_mean", "running_var")]
    batch = [torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.1, 1.2, 1.3])]
    found = functions.running_update(*map(read, [*stored, *batch]), 4, RATE, 1)
    wide = functions.running_update(*map(read, [*(v.float() for v in stored), *batch]), 4, RATE, 1)
    for one, other in zip(map(as_torch, found), map(as_torch, wide), strict=True):
        assert one.dtype == half
        assert torch.equal(one, other.to(half))


def channels_last(x: Any) -> Any:
    return x.to(memory_format=torch.channels_last)


def every_second(x: Any) -> Any:
    return torch.repeat_interleave(x, 2, dim=0)[::2]


def transposed(x: Any) -> Any:
    return x.transpose(0, 3).contiguous().transpose(0, 3)


def expanded(x: Any) -> Any:
    return x[:1].expand_as(x)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("arrange", [channels_last, every_second, transposed, expanded])
def test_strides_do_not_matter(arrange: Callable[[Any], Any], training: bool) -> None:
    d = data(4, torch.float64)
    arranged = {n: arrange(v) if v.ndim > 1 else v for n, v in d.items()}
    assert not arranged["x"].is_contiguous()
    same = {n: v.contiguous() for n, v in arranged.items()}
    require_agreement(generated(torch_functions, arranged, training, 1), reference(same, training), torch.float64)


def test_the_comparison_sees_an_input_off_by_a_ten_thousandth() -> None:
    d = data(3, torch.float32)
    y, *gradients = generated(torch_functions, {**d, "x": d["x"] * 1.0001}, True, 1)
    with pytest.raises(AssertionError):
        require_agreement((y, *gradients), reference(d, True), torch.float32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch sees no CUDA device here")
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("dtype", UNIT, ids=str)
def test_generated_code_agrees_with_torch_on_a_gpu(dtype: Any, training: bool) -> None:
    d = data(4, dtype)
    found = generated(torch_functions, {n: v.cuda() for n, v in d.items()}, training, 1)
    assert all(v.is_cuda for v in found)
    require_agreement(tuple(v.cpu() for v in found), reference(d, training), dtype)
