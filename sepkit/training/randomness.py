"""The states of all generators that a network, a loss or a plugin may draw from, as tensors of one shape on every rank.

The data's randomness has no state: it follows from the seed and the number of the chunk.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Seed all generators."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the generator that plugins draw from


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch on the CPU and on a GPU, of Python and of numpy."""
    version, words, gauss = random.getstate()
    _, key, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words]),
        "python_gauss": torch.tensor(float("nan") if gauss is None else gauss, dtype=torch.float64),
        "numpy": torch.tensor([*map(int, key), int(position), int(has_gauss)]),
        "numpy_gauss": torch.tensor(float(cached), dtype=torch.float64),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Undo `random_states`. A GPU that the run did not have keeps its state."""
    torch.set_rng_state(states["torch"])
    version, *words = states["python"].tolist()
    gauss = states["python_gauss"].item()
    random.setstate((version, tuple(words), None if gauss != gauss else gauss))  # noqa: PLR0124  NaN: there is none
    *key, position, has_gauss = states["numpy"].tolist()
    cached = states["numpy_gauss"].item()
    np.random.set_state(("MT19937", np.array(key, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def preserved_randomness(device: torch.device) -> Iterator[None]:
    """Restore all generators afterwards, so that work inside draws from them without a trace."""
    before = random_states(device)
    try:
        yield
    finally:
        restore_random_states(before, device)
