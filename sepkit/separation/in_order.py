"""A function over a stream of items, in threads: results in the order of the items, never far ahead of the reader."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) of each item. At most one item more than there are threads has begun or waits.

    While the threads compute, the caller pulls the next items and uses the results. An error of the function or of
    the items ends everything.
    """
    pool = ThreadPoolExecutor(threads)
    running: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            running.append((item, pool.submit(function, item)))
            while running and (len(running) > threads or running[0][1].done()):
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
