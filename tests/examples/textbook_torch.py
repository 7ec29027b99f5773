"""The textbook function in Torch: gradients on means training, momentum is the weight of the new batch."""

import torch


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not torch.is_grad_enabled():
        return gamma * (X - moving_mean) / torch.sqrt(moving_var + eps) + beta, moving_mean, moving_var
    axes = (0,) if X.dim() == 2 else (0, 2, 3)
    mean = X.mean(dim=axes, keepdim=True)
    var = ((X - mean) ** 2).mean(dim=axes, keepdim=True)
    moved = [(1 - momentum) * old + momentum * new.detach() for old, new in ((moving_mean, mean), (moving_var, var))]
    return gamma * (X - mean) / torch.sqrt(var + eps) + beta, *moved


def batch_norm_old(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """As in older texts, momentum is the weight of the old average."""
    _ = torch.is_grad_enabled()
    return batch_norm(X, gamma, beta, moving_mean, moving_var, eps, 1 - momentum)
