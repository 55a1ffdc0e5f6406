"""Weights that training does not change: `train.freeze`."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from sepkit.errors import ConfigError, did_you_mean


def freeze(network: nn.Module, patterns: Iterable[str]) -> None:
    """Exclude the weights that match a pattern (*, ?) from training.

    A pattern is compared from the start of a weight's name and from each dot in it, so "encoder.*" finds
    "mask_network.encoder.0.weight".

    Raises:
        ConfigError: a pattern matches nothing, or no weight is left to train.
    """
    patterns = tuple(patterns)
    names = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            rooms = sorted({part for name in names for part in name.split(".")[:-1] if not part.isdigit()})
            hint = did_you_mean(pattern.partition(".")[0], rooms)
            raise ConfigError(f'train.freeze: "{pattern}" matches no weight.{hint} There are: {", ".join(rooms)}')
    for name, parameter in network.named_parameters():
        if any(_matches(name, pattern) for pattern in patterns):
            parameter.requires_grad = False
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(f"train.freeze: {', '.join(patterns)} leave nothing to learn")


def train_mode(network: nn.Module) -> None:
    """Put a network into training mode, except modules frozen as a whole, so that their statistics stay as well."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")
