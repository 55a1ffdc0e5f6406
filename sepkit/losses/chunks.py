"""The chunks over which a loss is a mean: each source of a batch counts as one.

So a batch may be divided over steps or machines, and the mean of the parts, weighted by their numbers of chunks, has
the gradient of the whole.
"""

import torch
from torch import Tensor


def as_chunks(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, source, channel, time] -> [chunk, channel, time] of both, in the wider of their two precisions.

    Half precision becomes single: sums and logarithms need more than its 8 or 11 bits.
    """
    widest = torch.promote_types(torch.promote_types(estimate.dtype, target.dtype), torch.float32)
    return estimate.to(widest).flatten(0, 1), target.to(widest).flatten(0, 1)
