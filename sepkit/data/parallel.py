"""A function over many items in worker processes: torch's own loader, which also sees to signals and to threads."""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from sepkit.errors import SepkitError

# On a network disk a small file takes milliseconds, in which nothing is computed.
THREADS = 8
# Seconds that a worker has from SIGTERM on.
GRACE = 120
# Items that a thread takes at once.
AT_ONCE = 50

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    started: Callable[[int], None] | None = None,
) -> Generator[Result, None, None]:
    """Yield `function(item)` of each item, in their order, from `workers` processes (0: this one).

    The function and the items must be picklable. An error that it raises ends everything. `started` is called in each
    process, with its number, and sees to signals; default: `outlive_signals`.
    """
    loader = DataLoader(
        _Mapped(function, items),
        batch_size=None,
        num_workers=min(workers, len(items)),
        collate_fn=unchanged,
        worker_init_fn=started or outlive_signals,
    )
    yield from unwrapped(loader)


def cores() -> int:
    """Return how many processes can compute at the same time here."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order: for what waits for a disk more than it computes."""
    some = [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
    with ThreadPoolExecutor(THREADS) as threads:
        for results in threads.map(lambda chunk: [function(item) for item in chunk], some):
            yield from results


def unwrapped(results: Iterable[Result]) -> Generator[Result, None, None]:
    """Yield results of a loader. An error of a worker comes with its traceback as message; raise it with its own."""
    try:
        yield from results
    except SepkitError as error:
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        raise type(error)(str(error).strip().splitlines()[-1].removeprefix(f"{name}: ")) from None


def outlive_signals(worker: int) -> None:
    """Let a worker of a training run leave signals to the process that trains, which saves its state first.

    A group of processes gets them together, and a worker that dies takes the training process with it. One that is
    asked to end, and is not sent home in time, ends.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


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
