"""The weighted sum of a run's losses, over the sources that are present."""

import torch
from torch import Tensor

from sepkit.config import RunConfig


class Objective:
    """(estimate, target, present) -> scalar: the mean over all present sources of all chunks, each with its weight.

    A loss is a mean over chunks, so the objective of a batch is the mean of those of its parts, each with its `weight`:
    the number of ranks and of parts that compute a batch does not change its gradient.
    """

    def __init__(self, config: RunConfig) -> None:
        self._terms = [(loss.weight, loss.build(config.audio)) for loss in config.losses]
        self._weights = torch.tensor(
            [config.train.source_weights.get(source, 1.0) for source in config.audio.sources], dtype=torch.float64
        )
        self._uniform = bool((self._weights == self._weights[0]).all())

    def weight(self, present: Tensor) -> float:
        """Return the weight of a part of a batch, present [batch, source]: the sum over its present sources."""
        return float((present * self._weights).sum())

    def __call__(self, estimate: Tensor, target: Tensor, present: Tensor) -> Tensor:
        """Estimate and target [batch, source, channel, time], present [batch, source] on the CPU.

        An absent source is unknown, not silent: its estimate is left out, and each remaining one becomes a chunk of
        one source. A batch without any present source gives a loss of zero.
        """
        estimate = estimate.to(torch.promote_types(estimate.dtype, target.dtype))
        if self._uniform:
            if bool(present.all()):
                return self._sum(estimate, target)
            return self._mean(estimate, target, present)
        total = self.weight(present)
        parts = [
            self._mean(estimate[:, [n]], target[:, [n]], present[:, [n]]) * (float(weight) * int(known.sum()) / total)
            for n, (weight, known) in enumerate(zip(self._weights, present.T, strict=True))
            if total
        ]
        return sum(parts, estimate[:0].sum())

    def _mean(self, estimate: Tensor, target: Tensor, present: Tensor) -> Tensor:
        """Return the mean over the present sources, as chunks of one source [n, 1, channel, time]."""
        estimate, target = estimate[present][:, None], target[present][:, None]
        return self._sum(estimate, target) if len(estimate) else estimate.sum()

    def _sum(self, estimate: Tensor, target: Tensor) -> Tensor:
        losses = [weight * loss(estimate, target) for weight, loss in self._terms]
        return sum(losses[1:], losses[0])
