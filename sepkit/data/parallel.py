"""A function over many items in worker processes: torch's own loader, which also sees to signals and to threads."""

import os
from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Generator[Result, None, None]:
    """Yield `function(item)` of each item, in their order, from `workers` processes (0: this one).

    The function and the items must be picklable, and the function should return its errors: one that it raises ends
    everything.
    """
    yield from DataLoader(
        _Mapped(function, items), batch_size=None, num_workers=min(workers, len(items)), collate_fn=unchanged
    )


def cores() -> int:
    """Return how many processes can compute at the same time here."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1


class _Mapped(Dataset[Result], Generic[Item, Result]):
    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._function = function
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Result:
        return self._function(self._items[index])


def unchanged(item: Any) -> Any:
    """Return what a loader would otherwise convert."""
    return item
