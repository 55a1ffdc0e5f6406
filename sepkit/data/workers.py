"""A function over many items: in worker processes if it computes, in threads if it waits for a disk.

Each worker has one end of a pipe. A result is pickled with its arrays out of band (PEP 574), and a thread of this
process reads these into memory of their own while other work continues. So the transfer needs no shared memory, no name
in any folder and two file descriptors a worker; an error arrives as it was raised; and the death of either process
closes the pipe.
"""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from multiprocessing import Pipe, Process, get_start_method
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import Thread
from traceback import format_exception
from typing import Any, Generic, TypeVar

import numpy as np

from sepkit.errors import WorkerError, reason

# Results of each worker that may be ready before they are asked for.
AHEAD = 2
# Seconds between two calls of `waiting`.
INTERVAL = 0.1
# Seconds from SIGTERM on in which a worker still serves a process that was asked to end as well.
SERVICE = 120
# On a network disk a small file takes milliseconds of waiting.
THREADS = 8
# Items that a thread takes at once.
AT_ONCE = 50

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order, from threads: for functions that wait for a disk."""
    parts = [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
    with ThreadPoolExecutor(THREADS) as threads:
        for results in threads.map(lambda part: [function(item) for item in part], parts):
            yield from results


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Generator[Result, None, None]:
    """Yield `function(item)` of each item, in their order, from up to `workers` processes, as `in_order` does."""
    return in_order(function, items, min(workers, len(items)))


def in_order(
    function: Callable[[Item], Any],
    items: Iterable[Item],
    workers: int,
    *,
    received: Callable[[Any], Result] = lambda result: result,
    waiting: Callable[[], None] = lambda: None,
) -> Generator[Result, None, None]:
    """Yield `received(function(item))` of each item, in their order; `workers` processes compute the function.

    Args:
        function: Must be picklable if processes are spawned, as on macOS and Windows.
        items: Picklable. Each worker has `AHEAD` of them at a time.
        workers: 0: this process computes all by itself.
        received: Called in this process, in a thread of its own if there are workers.
        waiting: Called repeatedly until the next result is there; it may raise to end the wait.

    Raises:
        WorkerError: a worker cannot be started, or died.
        Exception: any error of the function, with its message.
    """
    if not workers:
        yield from (received(function(item)) for item in items)
        return
    with ExitStack() as pool:
        processes = []
        for _ in range(workers):
            worker: _Worker[Item, Result] = _Worker(function)
            pool.callback(worker.end)
            processes.append(worker)
        series, asked = iter(items), deque[_Worker[Item, Result]]()
        for worker in processes:  # once all are forked: a fork beside a running thread may inherit a lock that it holds
            worker.listen(received)
        for worker, item in zip(processes * AHEAD, series):  # noqa: B905  there may be fewer items
            worker.ask(item)
            asked.append(worker)
        while asked:
            worker = asked.popleft()
            result = worker.answer(waiting)
            for item in islice(series, 1):
                worker.ask(item)
                asked.append(worker)
            yield result


class _Worker(Generic[Item, Result]):
    """A process that computes a function of one item after the other, and a thread that receives the results."""

    def __init__(self, function: Callable[[Item], Any]) -> None:
        try:
            self._pipe, theirs = Pipe()
            with theirs:
                # A forked process inherits our end, and would never see it close.
                inherited = self._pipe if get_start_method() == "fork" else None
                self._process = Process(target=_serve, args=(theirs, inherited, function), daemon=True)
                self._process.start()
        except OSError as error:
            raise WorkerError(f"a worker process cannot be started ({error}); use fewer of them, or none") from None
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread: Thread | None = None

    def listen(self, received: Callable[[Any], Result]) -> None:
        """Start the thread."""
        thread = Thread(target=self._receive, args=(received,), daemon=True)
        thread.start()
        self._thread = thread

    def ask(self, item: Item) -> None:
        with suppress(ConnectionError):  # the worker died, which the receiving thread reports
            _send(self._pipe, _packed(item))

    def answer(self, waiting: Callable[[], None]) -> Result:
        while True:
            with suppress(Empty):
                result, error = self._results.get(timeout=INTERVAL)
                if error:
                    raise error
                return result  # type: ignore[no-any-return]
            waiting()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        if self._thread:
            self._thread.join()
        self._pipe.close()

    def _receive(self, received: Callable[[Any], Result]) -> None:
        while True:
            try:
                result, error = _received(self._pipe)
                self._results.put((None, error) if error else (received(result), None))
            except (EOFError, ConnectionError):
                self._results.put((None, self._death()))
                return
            except BaseException as error:  # noqa: BLE001  such as no memory for a result
                self._results.put((None, error))
                return

    def _death(self) -> WorkerError:
        self._process.join(1)
        code = self._process.exitcode or 0
        death = f"ended (exit code {code})"
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            cause = ", as by a system that runs out of memory" if -code == signal.SIGKILL else ""
            death = f"was killed by {names.get(-code, f'signal {-code}')}{cause}"
        return WorkerError(f"a worker process {death}; use fewer of them, or none")


def _serve(pipe: Connection, inherited: Connection | None, function: Callable[[Any], Any]) -> None:
    """Answer each item with a result or an error, until the other end is closed."""
    if inherited:
        inherited.close()
    _outlive_signals()
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes share the cores, and a forked OpenMP has lost its threads
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
    items: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    Thread(target=_take, args=(pipe, items), daemon=True).start()
    while True:
        item, fault = items.get()
        try:
            if fault:
                raise fault
            answer = _packed((function(item), None))
        except Exception as error:  # noqa: BLE001  the caller raises it again
            answer = _packed((None, _portable(error)))
        with suppress(ConnectionError):
            _send(pipe, answer)
        if fault:  # the end of this process also ends a wait of the other one, which may be sending a large item
            return


def _take(pipe: Connection, items: SimpleQueue[tuple[Any, BaseException | None]]) -> None:
    """Take items at once, so that asking never waits. If the other end is closed, end the process.

    After any other error, such as no memory for an item, the error stands in place of the item, and is the last.
    """
    try:
        while True:
            items.put((_received(pipe), None))
    except (EOFError, ConnectionError):
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  the caller raises it again
        items.put((None, error))


def _outlive_signals() -> None:
    """Leave signals, which a group of processes gets together, to the parent, which may have something to save first.

    After SIGTERM a worker ends by itself if its parent does not end it in time.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(SERVICE))


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent and raised again, with its traceback as a note for --debug."""
    try:
        same: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  from this process
    except Exception:  # noqa: BLE001  an error of several arguments need not survive pickling
        same = RuntimeError(reason(error))
    same.add_note("".join(format_exception(error)))
    return same


def _packed(value: Any) -> tuple[bytes, list[memoryview]]:
    """Return the pickle of a value, and the memory of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return message, [buffer.raw() for buffer in buffers]


def _send(pipe: Connection, packed: tuple[bytes, list[memoryview]]) -> None:
    message, arrays = packed
    pipe.send((message, [len(array) for array in arrays]))
    for array in arrays:
        pipe.send_bytes(array)


def _received(pipe: Connection) -> Any:
    """Return the next value, or raise EOFError if the other end is closed."""
    message, sizes = pipe.recv()
    arrays = [np.empty(size, np.uint8).data for size in sizes]
    for array in arrays:
        pipe.recv_bytes_into(array)
    return pickle.loads(message, buffers=arrays)  # noqa: S301  from a process that this one has started
