"""A layer that exists already, for four channels."""

from torch import nn

norm = nn.BatchNorm2d(4, eps=1e-3)
