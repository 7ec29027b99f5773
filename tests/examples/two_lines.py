"""A layer whose constructor fails with a message of two lines."""

from torch import nn


class Failing(nn.Module):
    """Has BatchNorm's constructor, and refuses everything."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        raise RuntimeError("no layer\nof this kind")
