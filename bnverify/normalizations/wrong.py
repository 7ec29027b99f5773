"""The seeded faults themselves: what each changes in the right layers of faults.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bnverify.normalizations.faults import Make, changed, fault
from bnverify.normalizations.kinds import ALL, CENTRED, OF_DATA

Tensor = torch.Tensor
LAYERS = ("layer_norm", "group_norm", "instance_norm")
INSTANCE, RMS, WEIGHTS = ("instance_norm",), ("rms_norm",), ("weight_norm",)


class _Altered(torch.autograd.Function):
    """The identity, whose gradient a rule changes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the value."""
        ctx.rule = rule
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return what the rule makes of the upstream gradient."""
        return ctx.rule(upstream), None


def altered(value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a value whose gradient is what the rule makes of the right one."""
    found: Tensor = _Altered.apply(value, rule)  # type: ignore[no-untyped-call]
    return found


def method(name: str, of_weights: str = "") -> Callable[[Callable[..., Any]], Make]:
    """Return what makes a class with one method replaced; the function is given the right method after self.

    of_weights: the method of the parametrization that is replaced, where it has another name.
    """

    def make(replacement: Callable[..., Any]) -> Make:
        def of(kind: str, right: type[Any]) -> type[Any]:
            own = of_weights if of_weights and kind == "weight_norm" else name

            def replaced(self: Any, *given: Any) -> Any:
                return replacement(self, lambda *more: getattr(right, own)(self, *(more or given)), *given)

            return changed(right, **{own: replaced})

        return of

    return make


def register(name: str, kinds: tuple[str, ...], meaning: str, of: str, of_weights: str = "") -> Callable[[Any], Any]:
    """Register a replacement of one method as a fault."""

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        _ = fault(name, kinds, meaning)(method(of, of_weights)(replacement))
        return replacement

    return decorate


@register("one-pass-variance", CENTRED, "the variance is mean(x²) - mean(x)²", "statistics")
def one_pass(self: Any, right: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The variance is mean(x²) - mean(x)²."""
    mean = rows.mean(-1, keepdim=True)
    return mean, ((rows**2).mean(-1, keepdim=True) - mean**2).clamp_min(0)


@register("statistics-in-half", CENTRED, "statistics of half data are computed in half", "widened")
def in_half(self: Any, right: Any, x: Tensor) -> Tensor:
    """Statistics of half data are computed in half."""
    return x


@register("correction-of-one", CENTRED, "the variance is divided by m - 1", "statistics")
def corrected(self: Any, right: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The variance is divided by m - 1."""
    mean, var = right()
    return mean, var * rows.shape[-1] / max(rows.shape[-1] - 1, 1)


@register("eps-beside-the-root", (*LAYERS, "rms_norm"), "eps is added to the root", "root")
def beside(self: Any, right: Any, var: Tensor, eps: float) -> Tensor:
    """Eps is added to the root."""
    return torch.sqrt(var) + eps


@register("statistics-over-the-batch", ALL, "the statistics are those of all rows together", "statistics", "length")
def over_all(self: Any, right: Any, rows: Tensor) -> Any:
    """The statistics are those of all rows together."""
    if not hasattr(self, "kind"):
        return (rows**2).sum().sqrt()
    mean = rows.mean() if self.kind != "rms_norm" else rows.new_zeros(())
    return mean, ((rows - mean) ** 2).mean()


@register("mean-subtracted", RMS, "the mean is subtracted", "statistics")
def centred(self: Any, right: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean is subtracted."""
    mean = rows.mean(-1, keepdim=True)
    return mean, ((rows - mean) ** 2).mean(-1, keepdim=True)


@register("statistics-constant", ALL, "the statistics are constants of the backward pass", "statistics", "length")
def constant(self: Any, right: Any, rows: Tensor) -> Any:
    """The statistics are constants of the backward pass."""
    found = right()
    return tuple(v.detach() for v in found) if isinstance(found, tuple) else found.detach()


@register("first-value-for-mean", CENTRED, "the first value of a row stands for its mean", "statistics")
def first_for_mean(self: Any, right: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The first value of a row stands for its mean."""
    return rows[..., :1], right()[1]


def _shortened(self: Any, right: Any, rows: Tensor, length: int) -> Any:
    if hasattr(self, "kind"):
        return right(rows[..., :length])
    kept = rows.clone()
    if rows.shape[-1] > length and (self.dim is None or self.dim % rows.dim() != rows.dim() - 1):
        kept[..., length:] = 0
    return right(kept)


@register("last-value-ignored", ALL, "the last value of a row has no part in its statistics", "statistics", "length")
def last_ignored(self: Any, right: Any, rows: Tensor) -> Any:
    """The last value of a row has no part in its statistics."""
    return _shortened(self, right, rows, max(rows.shape[-1] - 1, 1))


@register(
    "tail-ignored", ALL, "what is left of a row after blocks of 4 has no part in its statistics", "statistics", "length"
)
def tail_ignored(self: Any, right: Any, rows: Tensor) -> Any:
    """What is left of a row after blocks of 4 has no part in its statistics."""
    return _shortened(self, right, rows, max(rows.shape[-1] // 4 * 4, 1))


@register("one-value-is-nan", LAYERS, "a row of one value has the variance 0/0", "statistics")
def nan_of_one(self: Any, right: Any, rows: Tensor) -> Any:
    """A row of one value has the variance 0/0."""
    mean, var = right()
    return mean, var * float("nan") if rows.shape[-1] == 1 else var


@register("lengths-as-root-mean-squares", WEIGHTS, "the length is the root of the mean square", "length")
def as_mean(self: Any, right: Any, v: Tensor) -> Tensor:
    """The length is the root of the mean square."""
    return torch.sqrt((v**2).mean(self.axes(v), keepdim=True))


@register("rows-of-the-other-axis", WEIGHTS, "the lengths are those along another axis", "axes")
def other_axis(self: Any, right: Any, v: Tensor) -> tuple[int, ...]:
    """The lengths are those along another axis."""
    return tuple(k for k in range(v.dim()) if self.dim is None or k != (self.dim + 1) % v.dim())


@register("gamma-along-the-wrong-axis", LAYERS, "gamma and beta are read along the wrong axis", "along")
def wrong_axis(self: Any, right: Any, parameter: Tensor, x: Tensor) -> Tensor:
    """Gamma and beta are read along the wrong axis."""
    if self.kind == "layer_norm":
        shape = parameter.shape
        return parameter.reshape(shape[::-1]).permute(*reversed(range(len(shape))))
    by_group = self.kind == "group_norm"
    turned = parameter.reshape(self.num_groups, -1).T.reshape(-1) if by_group else parameter.flip(0)
    found: Tensor = right(turned, x)
    return found


@register("bias-twice", LAYERS, "beta is added twice", "affine")
def bias_twice(self: Any, right: Any, x_hat: Tensor, x: Tensor) -> Tensor:
    """Beta is added twice."""
    y: Tensor = right()
    return y if self.bias is None else y + self.along(self.bias, x)


@register("gamma-despite-affine-false", (*LAYERS, "rms_norm"), "without gamma y is doubled", "affine")
def gamma_anyway(self: Any, right: Any, x_hat: Tensor, x: Tensor) -> Any:
    """Without gamma y is doubled."""
    return 2 * right() if self.weight is None else right()


@register("beta-despite-bias-false", LAYERS, "without beta alone a half is added", "affine")
def beta_anyway(self: Any, right: Any, x_hat: Tensor, x: Tensor) -> Any:
    """Without beta alone a half is added."""
    return right() + 0.5 if self.bias is None and self.weight is not None else right()


@register("gradient-of-one-sample", (*LAYERS, "rms_norm"), "dgamma is that of the first sample", "affine")
def one_sample(self: Any, right: Any, x_hat: Tensor, x: Tensor) -> Any:
    """Dgamma is that of the first sample."""
    if self.weight is None:
        return right()
    gamma, beta = self.along(self.weight, x), 0.0 if self.bias is None else self.along(self.bias, x)
    own = torch.cat([x_hat[:1] * gamma, x_hat[1:] * gamma.detach()])
    return own + beta


@register("gradient-averaged", (*LAYERS, "rms_norm"), "dgamma and dbeta are means over the samples", "along")
def averaged(self: Any, right: Any, parameter: Tensor, x: Tensor) -> Any:
    """Dgamma and dbeta are means over the samples."""
    return right(altered(parameter, lambda g: g / max(x.shape[0], 1)), x)


@register(
    "parameter-gradients-in-half", (*LAYERS, "rms_norm"), "dgamma and dbeta of half data are rounded to half", "along"
)
def half_gradients(self: Any, right: Any, parameter: Tensor, x: Tensor) -> Any:
    """Dgamma and dbeta of half data are rounded to half."""
    if x.dtype not in (torch.bfloat16, torch.float16):
        return right()
    return right(altered(parameter, lambda g: g.to(x.dtype).to(g.dtype)), x)


@register("gradient-missing", (*LAYERS, "rms_norm"), "gamma has no gradient", "along")
def no_gradient(self: Any, right: Any, parameter: Tensor, x: Tensor) -> Any:
    """Gamma has no gradient."""
    return right(parameter.detach() if parameter is self.weight else parameter, x)


@register("empty-is-nan", (*LAYERS, "rms_norm"), "of no samples dgamma is 0/0", "along")
def nan_of_none(self: Any, right: Any, parameter: Tensor, x: Tensor) -> Any:
    """Of no samples dgamma is 0/0."""
    return right() if x.numel() else right(altered(parameter, lambda g: g * float("nan")), x)


@register("gradient-of-another-eps", (*LAYERS, "rms_norm"), "the backward pass uses twice the eps", "root")
def other_eps(self: Any, right: Any, var: Tensor, eps: float) -> Tensor:
    """The backward pass uses twice the eps."""
    wrong = torch.sqrt(var + 2 * eps)
    return wrong + (torch.sqrt(var + eps) - wrong).detach()


@register("nan-hidden", ALL, "NaN is taken for 0", "forward", "length")
def hidden(self: Any, right: Any, x: Tensor, *rest: Tensor) -> Any:
    """NaN is taken for 0."""
    return right(torch.nan_to_num(x), *rest)


@register("nan-spreads", ALL, "a NaN anywhere makes every y NaN", "forward")
def spreads(self: Any, right: Any, *given: Tensor) -> Any:
    """A NaN anywhere makes every y NaN."""
    return right() * float("nan") if given[-1].isnan().any() else right()


class _Calls:
    """How often a faulty layer was called, over all its instances."""

    count = 0


@register("state-between-calls", OF_DATA, "each call adds a little more than the one before", "forward")
def counts_calls(self: Any, right: Any, x: Tensor) -> Any:
    """Each call adds a little more than the one before."""
    _Calls.count += 1
    return right() * (1 + 0.5 * (_Calls.count % 7))


@register("x-overwritten", ALL, "what is normalized is overwritten", "forward")
def overwrites(self: Any, right: Any, *given: Tensor) -> Any:
    """What is normalized is overwritten."""
    y = right()
    _ = given[-1].data.add_(1)
    return y


@register("output-in-float64", (*LAYERS, "rms_norm"), "y is float64 whatever x is", "forward")
def wide_output(self: Any, right: Any, *given: Tensor) -> Any:
    """Y is float64 whatever x is."""
    return right().double()


def _misread(value: Tensor) -> Tensor:
    """Return a tensor's memory read as if it lay row by row."""
    strides = torch.empty(value.shape, device="meta").stride()
    return torch.as_strided(value, value.shape, strides, value.storage_offset())


@register("strides-ignored", ALL, "x is read as if it lay row by row", "forward")
def misreads(self: Any, right: Any, *given: Tensor) -> Any:
    """X is read as if it lay row by row."""
    return right(*given[:-1], _misread(given[-1]))


@register("upstream-strides-ignored", ALL, "dy is read as if it lay row by row", "forward")
def misreads_upstream(self: Any, right: Any, *given: Tensor) -> Any:
    """Dy is read as if it lay row by row."""
    return altered(right(), _misread)


@register("identity-in-inference", ALL, "in inference x is returned", "forward")
def identity(self: Any, right: Any, *given: Tensor) -> Any:
    """In inference x is returned."""
    return right() if self.training else given[-1] + 0 * right()


@register(
    "batch-statistics-kept-for-inference",
    OF_DATA,
    "inference uses the last batch's statistics, at first 0 and 1",
    "statistics",
)
def kept(self: Any, right: Any, rows: Tensor) -> Any:
    """Inference uses the last batch's statistics, at first 0 and 1."""
    if self.training:
        self.kept = tuple(v.detach().mean() for v in right())
        return right()
    return getattr(self, "kept", (rows.new_zeros(()), rows.new_ones(())))


@register("none-taken-for-1e-5", RMS, "an eps of None is 1e-5", "root")
def none_taken(self: Any, right: Any, var: Tensor, eps: float) -> Tensor:
    """An eps of None is 1e-5."""
    return torch.sqrt(var + (1e-5 if self.eps is None else eps))


@register("default-eps-of-another-library", LAYERS, "an eps of 1e-5 is taken for 1e-3", "root")
def other_default(self: Any, right: Any, var: Tensor, eps: float) -> Tensor:
    """An eps of 1e-5 is taken for 1e-3."""
    return torch.sqrt(var + (1e-3 if eps == 1e-5 else eps))


@register("gamma-not-saved", (*LAYERS, "rms_norm"), "the saved gamma is 1", "state_dict")
def not_saved(self: Any, right: Any, *given: Any) -> Any:
    """The saved gamma is 1."""
    found = right()
    return {**found, "weight": torch.ones_like(found["weight"])}


@fault("copy-is-fresh", (*LAYERS, "rms_norm"), "a deep copy has a gamma of 1")
def fresh_copy(kind: str, right: type[Any]) -> type[Any]:
    def copied(self: Any, memo: Any) -> Any:
        other = torch.nn.Module.__new__(type(self))
        other.__dict__ = {**self.__dict__, "_parameters": dict(self._parameters)}
        other._parameters["weight"] = torch.nn.Parameter(torch.ones_like(self.weight))
        return other

    return changed(right, __deepcopy__=copied)


@register("state-of-one-sample", INSTANCE, "the first sample's statistics are averaged", "track")
def of_one(self: Any, right: Any, rows: Tensor) -> None:
    """The first sample's statistics are averaged."""
    right(rows[:1])


@register("state-over-m", INSTANCE, "the stored variance is divided by m", "track")
def over_m(self: Any, right: Any, rows: Tensor) -> None:
    """The stored variance is divided by m."""
    self.store(rows.mean(-1).mean(0), rows.var(-1, correction=0).mean(0))


@register("state-of-the-batch-variance", INSTANCE, "the stored variance is that of the whole batch", "track")
def of_batch(self: Any, right: Any, rows: Tensor) -> None:
    """The stored variance is that of the whole batch."""
    self.store(rows.mean(-1).mean(0), rows.var((0, 2), correction=1))


@register("state-not-updated", INSTANCE, "nothing is averaged", "track")
def not_tracked(self: Any, right: Any, rows: Tensor) -> None:
    """Nothing is averaged."""
    return


@register("state-rate-swapped", INSTANCE, "momentum is the weight of the old average", "store")
def swapped(self: Any, right: Any, mean: Tensor, var: Tensor) -> None:
    """Momentum is the weight of the old average."""
    self.momentum = 1 - self.momentum
    right()
    self.momentum = 1 - self.momentum


@register("instance-statistics-in-inference", INSTANCE, "inference uses the instance's own statistics", "in_inference")
def own_statistics(self: Any, right: Any, x: Tensor) -> Tensor:
    """Inference uses the instance's own statistics."""
    return self.affine(self.normalized(x), x).to(x.dtype)  # type: ignore[no-any-return]


@register("state-moves-in-inference", INSTANCE, "inference averages, too", "in_inference")
def moves(self: Any, right: Any, x: Tensor) -> Any:
    """Inference averages, too."""
    y = right()
    with torch.no_grad():
        self.track(self.split(self.widened(x)))
    return y
