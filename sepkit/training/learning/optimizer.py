"""torch's optimisers, as the config asks for them."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from sepkit.settings import OptimizerSettings


def build_optimizer(settings: OptimizerSettings, parameters: Iterable[Parameter]) -> Optimizer:
    """Return the optimiser of `[train.optimizer]`."""
    lr, decay = settings.lr, settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=settings.momentum)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=lr, weight_decay=decay)
