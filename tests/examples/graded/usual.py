"""A test as it is usually written: random data against torch.nn, the layer's defaults, torch's tolerances."""

import torch
from torch.testing import assert_close


def test_my_batch_norm(batch_norm):
    torch.manual_seed(0)
    x = torch.randn(8, 3, 16, 16)
    mine, reference = batch_norm(3), torch.nn.BatchNorm2d(3)
    assert_close(mine(x), reference(x))
    assert_close(mine.running_mean, reference.running_mean)
    assert_close(mine.running_var, reference.running_var)
    assert_close(mine.eval()(x), reference.eval()(x))
