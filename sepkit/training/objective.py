"""The weighted sum of a run's losses, over the sources that are present."""

from torch import Tensor

from sepkit.config import RunConfig


class Objective:
    """(estimate, target, present) -> scalar."""

    def __init__(self, config: RunConfig) -> None:
        self._terms = [(loss.weight, loss.build(config.audio)) for loss in config.losses]

    def __call__(self, estimate: Tensor, target: Tensor, present: Tensor) -> Tensor:
        """Estimate and target [batch, source, channel, time], present [batch, source].

        An absent source is unknown, not silent: its estimate is left out, and each remaining one becomes an example of
        one source. A batch without any present source gives a loss of zero.
        """
        if not bool(present.all()):
            estimate, target = estimate[present][:, None], target[present][:, None]
        if not len(estimate):
            return estimate.sum()
        losses = [weight * loss(estimate.float(), target) for weight, loss in self._terms]
        return sum(losses[1:], losses[0])
