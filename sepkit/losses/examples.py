"""The examples that a batch consists of: each source of each item is one.

The loss of a batch is the mean over its examples of the loss of each alone. So a batch may be divided over steps or
machines, and the mean of the parts, weighted by their numbers of examples, has the gradient of the whole.
"""

import torch
from torch import Tensor


def examples(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, source, channel, time] -> [example, channel, time] of both, in the wider of their two precisions.

    Half precision becomes single: sums and logarithms need more than its 8 or 11 bits.
    """
    widest = torch.promote_types(torch.promote_types(estimate.dtype, target.dtype), torch.float32)
    return estimate.to(widest).flatten(0, 1), target.to(widest).flatten(0, 1)
