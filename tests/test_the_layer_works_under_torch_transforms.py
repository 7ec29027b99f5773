"""The layers work under torch.compile, torch.func, autocast, copies, pickles and data-parallel training."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  it imports torch

import bnverify.torch as ours  # noqa: E402  it imports torch

# torch warns of itself when it loads its compiler, its forward mode or traces a function of autograd
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
C = 3
ROUNDINGS = 1e4 * 2.0**-53
"""Some 100 operations on numbers of size 1 to 100, relative to the largest entry."""
UNIT32 = 64 * 2.0**-24
"""Two orders of summation of at most 36 values of size 1, twice."""
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch sees no CUDA device here")


def data(*shape: int, seed: int = 0, dtype: Any = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return (1.5 + torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def layer_for(training: bool, dtype: Any = torch.float64, **options: Any) -> Any:
    """Return a layer with parameters away from 1 and 0; for torch.func its statistics are only read."""
    layer = ours.BatchNorm2d(C, dtype=dtype, **{"track_running_stats": not training, **options})
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.5, -0.75, 2.0]))
        layer.bias.copy_(torch.tensor([0.5, 1.0, -2.0]))
        if layer.running_var is not None:
            layer.running_var.copy_(torch.tensor([4.0, 0.5, 2.0]))
    return layer.train(training)


def plain(layer: Any) -> Callable[[Any], Any]:
    """Return the layer's function in operations that torch differentiates itself to any order.

    torch's own batch norm is no reference from the second tangent on: its derivatives of that order lack terms.
    """

    def y(x: Any, gamma: Any = layer.weight, beta: Any = layer.bias) -> Any:
        shape, axes = (1, -1, 1, 1), (0, 2, 3)
        mean, var = layer.running_mean, layer.running_var
        if layer.training:
            mean = x.mean(axes)
            var = ((x - mean.reshape(shape)) ** 2).mean(axes)
        centred = x - mean.reshape(shape)
        return gamma.reshape(shape) * centred / torch.sqrt(var.reshape(shape) + layer.eps) + beta.reshape(shape)

    return y


def require_close(found: Any, expected: Any, roundings: float = ROUNDINGS) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert (found - expected).abs().max() <= roundings * (1 + expected.abs().max())


# -------------------------------------------------------------------------------------------------------- torch.func


def scalar(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: (f(x) ** 3).sum()


def along(f: Callable[[Any], Any], direction: Any) -> Callable[[Any], Any]:
    return lambda x: torch.func.jvp(f, (x,), (direction,))[1]


def third_order(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    grad = torch.func.grad

    def first(x: Any) -> Any:
        return (grad(f)(x) ** 2).sum()

    return grad(lambda x: (grad(first)(x) ** 2).sum())


TRANSFORMS: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "grad": torch.func.grad,
    "jvp": lambda f: along(f, data(2, C, 2, 1, seed=5)),
    "jvp of jvp": lambda f: along(along(f, data(2, C, 2, 1, seed=5)), data(2, C, 2, 1, seed=6)),
    "hessian": torch.func.hessian,
    "jacrev of jacfwd": lambda f: torch.func.jacrev(torch.func.jacfwd(f)),
    "jacrev of jacrev": lambda f: torch.func.jacrev(torch.func.jacrev(f)),
    "jacfwd of jacfwd": lambda f: torch.func.jacfwd(torch.func.jacfwd(f)),
    "grad of grad of grad": third_order,
}


@each_mode
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_of_torch_func_compose_to_any_order(transform: str, training: bool) -> None:
    layer = layer_for(training)
    x, take = data(2, C, 2, 1), TRANSFORMS[transform]
    expected = take(scalar(plain(layer)))(x)
    require_close(take(scalar(layer))(x).detach(), expected.detach(), 100 * ROUNDINGS)


@each_mode
def test_vmap_normalizes_each_entry_of_a_batch_by_itself(training: bool) -> None:
    layer, xs = layer_for(training), data(4, 2, C, 2, 3)
    require_close(torch.vmap(layer)(xs), torch.stack([layer(x) for x in xs]))
    require_close(torch.vmap(layer, in_dims=2)(xs.movedim(0, 2)), torch.stack([layer(x) for x in xs]))


@each_mode
def test_gradients_of_each_entry_come_from_vmap_of_grad(training: bool) -> None:
    layer, xs = layer_for(training), data(4, 2, C, 2, 3)
    parameters = {n: p.detach() for n, p in layer.named_parameters()}

    def loss(given: dict[str, Any], x: Any) -> Any:
        return (torch.func.functional_call(layer, given, (x,)) ** 3).sum()

    found = torch.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, 0))(parameters, xs)
    for k, x in enumerate(xs):
        by_parameters, by_x = torch.func.grad(loss, argnums=(0, 1))(parameters, x)
        require_close(found[1][k], by_x)
        for name, value in by_parameters.items():
            require_close(found[0][name][k], value)


def test_an_ensemble_is_trained_under_vmap_like_its_members() -> None:
    members = [layer_for(True, track_running_stats=True) for _ in range(3)]
    for k, member in enumerate(members):
        with torch.no_grad():
            member.weight.add_(k)
    parameters, buffers = torch.func.stack_module_state(members)
    skeleton = copy.deepcopy(members[0])
    xs = data(3, 4, C, 2, 2)
    call = torch.vmap(lambda p, b, x: torch.func.functional_call(skeleton, (p, b), (x,)))
    found = call(parameters, buffers, xs)
    require_close(found.detach(), torch.stack([m(x) for m, x in zip(members, xs, strict=True)]).detach())
    for name, value in buffers.items():
        assert torch.allclose(value, torch.stack([dict(m.named_buffers())[name] for m in members]), rtol=ROUNDINGS)


def test_functional_call_uses_and_updates_what_it_is_given() -> None:
    layer, x = layer_for(True, track_running_stats=True), data(4, C, 2, 2)
    given = {n: v.detach().clone() for n, v in layer.state_dict().items()}
    y = torch.func.functional_call(layer, given, (x,))
    assert layer.num_batches_tracked == 0
    assert given["num_batches_tracked"] == 1
    require_close(y, layer(x).detach())
    for name, value in layer.state_dict().items():
        assert torch.equal(value, given[name]), name


@each_mode
def test_autograd_finds_every_first_and_second_derivative_by_differences(training: bool) -> None:
    layer, x = layer_for(training), data(2, C, 2, 1).requires_grad_()
    modes = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(layer, x, **modes)
    assert torch.autograd.gradgradcheck(layer, x, check_fwd_over_rev=True)


# ----------------------------------------------------------------------------------------------------------- compile


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    """Forget what was compiled before: after so many kinds of one function the compiler gives it up for the process."""
    torch.compiler.reset()


def compiled_step(layer: Any, x: Any, dy: Any) -> dict[str, Any]:
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(dy)
    gradients = {"dx": x.grad, "dgamma": layer.weight.grad, "dbeta": layer.bias.grad}
    return {"y": y.detach(), **gradients, **dict(layer.named_buffers())}


def require_the_same_step(one: Any, compiled: Any, x: Any, dy: Any, unit: float) -> None:
    expected, found = compiled_step(one, x, dy), compiled_step(compiled, x, dy)
    for name, value in expected.items():
        other = found["_orig_mod." + name] if name not in found else found[name]
        assert other.dtype == value.dtype, name
        assert (other.double() - value.double()).abs().max() <= unit * (1 + value.double().abs().max()), name


@each_mode
def test_a_compiled_layer_computes_what_the_layer_does(training: bool) -> None:
    layer = layer_for(training, torch.float32, track_running_stats=True)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True)
    x, dy = data(4, C, 3, 3, dtype=torch.float32), data(4, C, 3, 3, seed=1, dtype=torch.float32)
    require_the_same_step(layer, compiled, x, dy, UNIT32)


@pytest.mark.parametrize("momentum", [0.25, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_compiled_layer_is_one_graph_in_every_setting(dtype: Any, momentum: float | None) -> None:
    """Traced only, which takes no compiler: half data beside float32 parameters, and the cumulative average."""
    layer = layer_for(True, torch.float32, track_running_stats=True, momentum=momentum)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="aot_eager")
    for k in range(2):
        x, dy = data(4, C, 3, 3, seed=k, dtype=dtype), data(4, C, 3, 3, seed=9, dtype=dtype)
        layer.zero_grad(), compiled.zero_grad()
        require_the_same_step(layer, compiled, x, dy, 2.0**-8 if dtype == torch.bfloat16 else UNIT32)
    assert layer.num_batches_tracked == 2


SHAPES = {"planes": (4, C, 3, 5), "one value a plane": (4, C, 1, 1), "one plane a channel": (1, C, 3, 3)}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_compiled_layer_merges_what_it_knows_of_each_plane(shape: tuple[int, ...], layout: Any) -> None:
    layer = layer_for(True, torch.float64, track_running_stats=True)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="aot_eager")
    scale = torch.tensor([1e-3, 1.0, 1e3]).reshape(-1, 1, 1)
    x, dy = ((scale * data(*shape, seed=k)).to(memory_format=layout) for k in (0, 1))
    require_the_same_step(layer, compiled, x, dy, ROUNDINGS)


@each_mode
def test_a_compiled_gradient_of_torch_func_is_the_gradient(training: bool) -> None:
    """The compiler tells a function of autograd that x needs no gradient, although torch.func asks for it."""
    layer, x = layer_for(training), data(4, C, 3, 3)

    def dx(x: Any) -> Any:
        return torch.func.grad(scalar(layer))(x)

    require_close(torch.compile(dx, fullgraph=True, backend="aot_eager")(x).detach(), dx(x).detach())


@pytest.mark.parametrize("shape", [(0, C, 3, 3), (4, C, 0, 3)], ids=str)
def test_a_compiled_layer_takes_an_empty_batch(shape: tuple[int, ...]) -> None:
    layer = layer_for(True, torch.float32, track_running_stats=True)
    before = copy.deepcopy(layer.state_dict())
    y = torch.compile(layer, fullgraph=True, backend="aot_eager")(torch.ones(shape))
    assert y.shape == shape
    assert all(torch.equal(before[n], v) for n, v in layer.state_dict().items() if n != "num_batches_tracked")


def test_a_compiled_model_holds_the_layer_without_a_break() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, C, 3), ours.BatchNorm2d(C), nn.ReLU())
    twin = torch.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager", dynamic=True)
    for size in (5, 7):
        x = data(4, 2, size, size, dtype=torch.float32)
        expected, found = model(x), twin(x)
        require_close(found.detach(), expected.detach(), UNIT32)
    assert torch.allclose(model[1].running_var, dict(twin.named_buffers())["_orig_mod.1.running_var"])


# -------------------------------------------------------------------------------------- autocast, copies, processes


def test_autocast_hands_half_data_to_float32_parameters() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, C, 3), ours.BatchNorm2d(C))
    x = data(4, 2, 5, 5, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        inner = model[0](x)
        y = model[1](inner)
    y.float().square().sum().backward()
    assert (inner.dtype, y.dtype) == (torch.bfloat16, torch.bfloat16)
    assert model[1].weight.grad.dtype == model[1].running_var.dtype == x.grad.dtype == torch.float32


def reloaded(layer: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), reloaded], ids=["deepcopy", "pickle", "save"]
)
def test_a_copy_goes_on_like_the_original(copied: Callable[[Any], Any]) -> None:
    layer = layer_for(True, track_running_stats=True)
    layer(data(4, C, 2, 2))
    twin = copied(layer)
    x = data(4, C, 2, 2, seed=1)
    assert torch.equal(twin(x), layer(x))
    for name, value in layer.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value), name
    assert twin.weight is not layer.weight


def train_in_parallel(rank: int, world: int, folder: str) -> None:
    """One process of data-parallel training. No process leaves before the others are done: gloo aborts what is left."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store{world}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    try:
        step_in_parallel(rank, world, folder)
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def step_in_parallel(rank: int, world: int, folder: str) -> None:
    """Two steps, each on this process's own part of a batch, and what came of them to a file."""
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(2, C), ours.BatchNorm1d(C)))
    for k in range(2):
        x = data(8, 2, seed=k, dtype=torch.float32)[rank::world]
        model.zero_grad()
        model(x).square().sum().backward()
    gradients = {n: p.grad for n, p in model.module.named_parameters()}
    torch.save({**gradients, **dict(model.module.named_buffers())}, f"{folder}/{world}-{rank}")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
@pytest.mark.parametrize("world", [1, 2])
def test_data_parallel_training_averages_the_gradients_of_its_processes(world: int, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_in_parallel, (world, str(tmp_path)), nprocs=world)
    results = [torch.load(tmp_path / f"{world}-{rank}") for rank in range(world)]
    for name, value in results[0].items():
        if not name.endswith(("running_mean", "running_var")):  # those are of each process's own half
            assert all(torch.equal(value, other[name]) for other in results), name
    assert results[0]["1.num_batches_tracked"] == 2


# --------------------------------------------------------------------------------------------------------------- GPU


@gpu
@each_mode
def test_a_compiled_layer_computes_what_the_layer_does_on_a_gpu(training: bool) -> None:
    layer = layer_for(training, torch.float32, track_running_stats=True).cuda()
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True)
    x, dy = (data(4, C, 3, 3, seed=k, dtype=torch.float32).cuda() for k in (0, 1))
    require_the_same_step(layer, compiled, x, dy, UNIT32)


@gpu
def test_autocast_on_a_gpu_hands_half_data_to_float32_parameters() -> None:
    model = nn.Sequential(nn.Conv2d(2, C, 3), ours.BatchNorm2d(C)).cuda()
    with torch.autocast("cuda", torch.float16):
        y = model(data(4, 2, 5, 5, dtype=torch.float32).cuda())
    y.float().sum().backward()
    assert y.dtype == torch.float16
    assert model[1].weight.grad.dtype == torch.float32
