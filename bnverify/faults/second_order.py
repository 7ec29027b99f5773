"""Seeded faults of tangents and double backward passes that no formula shows: the wrong mode, strides not looked at."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.placement import as_if_contiguous
from bnverify.faults.structural import fault


class _AsInTraining(GeneratedNumpy):
    """What inference saved, as if the statistics had been those of the batch."""

    def as_in_training(self, saved: Any) -> Any:
        if saved[0]:
            return saved
        _, x, gamma, _, _, eps = saved
        _, mean, _, inv_std = self.code.training_forward(
            x, gamma, gamma, eps, channel_axis=self.convention.channel_axis
        )
        return True, x, gamma, mean, inv_std


@fault("inference-jvp-of-training", "the tangent of y in inference moves with the statistics of the batch")
class InferenceJvpOfTraining(_AsInTraining):
    def jvp(self, saved: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
        return super().jvp(self.as_in_training(saved), dx, dgamma, dbeta)


@fault("inference-second-of-training", "the double backward pass of inference is that of training")
class InferenceSecondOfTraining(_AsInTraining):
    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> tuple[Any, Any, Any]:
        return super().double_backward(self.as_in_training(saved), dy, ddx, ddgamma, ddbeta)


@fault("second-reads-upstream-as-contiguous", "the double backward pass reads the buffer of dy whatever its strides")
class SecondReadsUpstreamAsContiguous(GeneratedNumpy):
    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> tuple[Any, Any, Any]:
        return super().double_backward(saved, as_if_contiguous(dy), ddx, ddgamma, ddbeta)
