"""Batch normalization layers to use: torch.nn's interface, computed by the generated Torch code.

``BatchNorm1d``, ``BatchNorm2d`` and ``BatchNorm3d`` stand in for torch.nn's of the same names. Within bnverify ``import
torch`` means PyTorch, whose import this package needs; ``import bnverify`` does not load it.
"""

from bnverify.torch.layers import BatchNorm1d, BatchNorm2d, BatchNorm3d

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]
