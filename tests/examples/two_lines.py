"""A layer whose constructor fails with a message of two lines."""

from torch import nn


class Failing(nn.BatchNorm2d):
    """Refuses everything, in its constructor."""

    def reset_parameters(self) -> None:
        """Raise."""
        raise RuntimeError("no layer\nof this kind")
