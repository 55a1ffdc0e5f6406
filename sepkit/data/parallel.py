"""A function over many items: in worker processes where it computes, in threads where it waits for a disk."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sepkit.data.workers import in_order

# On a network disk a small file takes milliseconds, in which nothing is computed.
THREADS = 8
# Items that a thread takes at once.
AT_ONCE = 50

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Generator[Result, None, None]:
    """Yield `function(item)` of each item, in their order, from `workers` processes (0: this one).

    The function and the items must be picklable. An error that it raises ends everything.

    Raises:
        WorkerError: a worker cannot be started, or died.
    """
    return in_order(function, items, min(workers, len(items)))


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order: for what waits for a disk more than it computes."""
    some = [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
    with ThreadPoolExecutor(THREADS) as threads:
        for results in threads.map(lambda chunk: [function(item) for item in chunk], some):
            yield from results
