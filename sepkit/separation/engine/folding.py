"""Batch norms folded into the convolutions before them: the same results, and one operation less for each.

In evaluation mode a batch norm is a factor and an offset for each channel, and so is part of what a convolution can do.
"""

from collections import Counter
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Exact types: a subclass may do anything else.
_NORM_AFTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.ConvTranspose1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.ConvTranspose2d: nn.BatchNorm2d,
}


def fold(module: nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution in a plain `nn.Sequential`, for evaluation only.

    In a `Sequential` the convolution becomes a new one and the batch norm an identity, so places keep their numbers.
    Tensors stay as they are, as another network may share them. Pairs that are in training mode, have hooks, or whose
    convolution has a second place are left alone.
    """
    places = Counter(id(child) for parent in module.modules() for child in parent._modules.values())  # noqa: SLF001
    for parent in module.modules():
        if type(parent) is nn.Sequential:
            for i in range(len(parent) - 1):
                conv, norm = parent[i], parent[i + 1]
                if places[id(conv)] == 1 and _foldable(conv, norm):
                    parent[i], parent[i + 1] = _folded(conv, norm), nn.Identity().eval()


def _foldable(conv: nn.Module, norm: nn.Module) -> bool:
    if _NORM_AFTER.get(type(conv)) is not type(norm):
        return False
    grouped = _is_transposed(conv) and conv.groups != 1  # whose weights hold only a part of the channels
    known = norm.running_mean is not None and norm.running_var is not None
    return known and not (grouped or conv.training or norm.training or _has_hooks(conv) or _has_hooks(norm))


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    fuse: Callable[..., nn.Module] = fuse_conv_bn_eval
    with torch.no_grad():
        return fuse(conv, norm, transpose=_is_transposed(conv))


def _is_transposed(conv: nn.Module) -> bool:
    return isinstance(conv, (nn.ConvTranspose1d, nn.ConvTranspose2d))


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return any(getattr(module, kind) for kind in kinds)
