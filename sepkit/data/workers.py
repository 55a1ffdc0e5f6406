"""Worker processes: items go to them and results come back, each worker at one end of a socket pair.

A result is pickled with its arrays out of band (PEP 574), and a thread of this process reads these into memory of
their own, while other work goes on. So handing over needs no shared memory, no name in any folder and no more than two
file descriptors a worker; an error comes back as it was raised; and whichever process dies, the other end of its socket
notices.
"""

import os
import pickle
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, suppress
from itertools import islice
from multiprocessing import Process, get_start_method
from queue import Empty, SimpleQueue
from threading import Thread
from traceback import format_exception
from typing import Any, Generic, TypeVar

import numpy as np

from sepkit.errors import WorkerError, reason

# Results of each worker that may be ready before they are asked for.
AHEAD = 2
# Seconds between two looks at whether the wait shall end.
LOOK = 0.1
# Seconds in which a worker ends by itself.
GRACE = 1.0
# Seconds from SIGTERM on in which a worker still serves a process that was asked to end as well.
SERVICE = 120

Item = TypeVar("Item")
Result = TypeVar("Result")


def unchanged(result: Any) -> Any:
    """Return what came."""
    return result


def in_order(
    function: Callable[[Item], Any],
    items: Iterable[Item],
    workers: int,
    *,
    received: Callable[[Any], Result] = unchanged,
    waiting: Callable[[], None] = lambda: None,
) -> Generator[Result, None, None]:
    """Yield `received(function(item))` of each item, in their order; `workers` processes compute the function.

    Args:
        function: Must be picklable where processes are spawned, as on macOS and Windows.
        items: Picklable. Each worker has `AHEAD` of them at a time.
        workers: 0: this process computes all by itself.
        received: Called in this process, in a thread of its own if there are workers.
        waiting: Called again and again while a result is waited for; it may raise to end the wait.

    Raises:
        WorkerError: a worker cannot be started, or died.
        Exception: any error of the function, with its message.
    """
    if not workers:
        yield from (received(function(item)) for item in items)
        return
    pool: list[_Worker[Item, Result]] = []
    try:
        for _ in range(workers):
            pool.append(_Worker(function, received))  # noqa: PERF401  those before one that fails are to be closed
        series, asked = iter(items), deque[_Worker[Item, Result]]()
        for worker, item in zip(pool * AHEAD, series):  # noqa: B905  there may be fewer items
            worker.ask(item)
            asked.append(worker)
        while asked:
            worker = asked.popleft()
            result = worker.answer(waiting)
            for item in islice(series, 1):
                worker.ask(item)
                asked.append(worker)
            yield result
    finally:
        for worker in pool:
            worker.hang_up()
        for worker in pool:
            worker.end()


class _Worker(Generic[Item, Result]):
    """A process that computes a function of one item after the other, and a thread that receives the results."""

    def __init__(self, function: Callable[[Item], Any], received: Callable[[Any], Result]) -> None:
        with ExitStack() as unless_started:
            try:
                self._socket, theirs = map(unless_started.enter_context, socket.socketpair())
                # A process that was forked holds our end, too, and would never see it close.
                inherited = self._socket if get_start_method() == "fork" else None
                self._process = Process(target=_serve, args=(theirs, inherited, function), daemon=True)
                self._process.start()
            except OSError as error:
                raise WorkerError(f"a worker process cannot be started ({error}); use fewer of them, or none") from None
            unless_started.pop_all()
            theirs.close()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread = Thread(target=self._receive, args=(received,), daemon=True)
        self._thread.start()

    def ask(self, item: Item) -> None:
        with suppress(ConnectionError):  # it died, which the thread that receives reports
            _send(self._socket, _packed(item))

    def answer(self, waiting: Callable[[], None]) -> Result:
        while True:
            try:
                result, error = self._results.get(timeout=LOOK)
            except Empty:
                waiting()
                continue
            if error:
                raise error
            found: Result = result
            return found

    def hang_up(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self._process.join(GRACE)
        self._process.kill()
        self._process.join()
        self._thread.join()
        self._socket.close()

    def _receive(self, received: Callable[[Any], Result]) -> None:
        while True:
            try:
                result, error = _received(self._socket)
                self._results.put((None, error) if error else (received(result), None))
            except (EOFError, ConnectionError):
                self._results.put((None, self._death()))
                return
            except BaseException as error:  # noqa: BLE001  such as no memory for a result
                self._results.put((None, error))
                return

    def _death(self) -> WorkerError:
        self._process.join(GRACE)
        code = self._process.exitcode
        how, why = "ended", "" if code is None else f" (exit code {code})"
        if code is not None and code < 0:
            names = {number.value: number.name for number in signal.Signals}
            how = f"was killed by {names.get(-code, f'signal {-code}')}"
            why = ", as by a system that runs out of memory" if -code == signal.SIGKILL else ""
        return WorkerError(f"a worker process {how}{why}; use fewer of them, or none")


def _serve(theirs: socket.socket, inherited: socket.socket | None, function: Callable[[Any], Any]) -> None:
    """Answer each item with a result or an error, until the other end is closed."""
    if inherited:
        inherited.close()
    _outlive_signals()
    _compute_alone()
    items: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_take, args=(theirs, items), daemon=True).start()
    while True:
        item = items.get()
        try:
            answer = _packed((function(item), None))
        except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the caller
            answer = _packed((None, _portable(error)))
        with suppress(ConnectionError):
            _send(theirs, answer)


def _take(theirs: socket.socket, items: SimpleQueue[Any]) -> None:
    """Take items as they come, so that asking never waits. If the other end is closed, the process ends."""
    try:
        while True:
            items.put(_received(theirs))
    except (EOFError, ConnectionError):
        os._exit(0)


def _outlive_signals() -> None:
    """Leave signals to the process that started this one, which may have something to save first: a group of
    processes gets them together. A worker that is asked to end, and is not sent home in time, ends.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(SERVICE))


def _compute_alone() -> None:
    """Use one thread: the processes share the cores, and a forked OpenMP has lost its threads."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent and raised again, with its traceback as a note for --debug."""
    try:
        same = pickle.loads(pickle.dumps(error))  # noqa: S301  from this process
    except Exception:  # noqa: BLE001  an error of several arguments need not survive pickling
        same = RuntimeError(reason(error))
    same.add_note("".join(format_exception(error)))
    return same  # type: ignore[no-any-return]


def _packed(value: Any) -> list[Any]:
    """Return a value as bytes: its pickle, then the memory of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return [message, *(buffer.raw() for buffer in buffers)]


def _send(to: socket.socket, parts: list[Any]) -> None:
    to.sendall(struct.pack(f"<{1 + len(parts)}Q", len(parts), *map(len, parts)))
    for part in parts:
        to.sendall(part)


def _received(source: socket.socket) -> Any:
    """Return the next value.

    Raises:
        EOFError: the other end is closed.
    """
    (count,) = struct.unpack("<Q", _read(source, 8))
    sizes = struct.unpack(f"<{count}Q", _read(source, 8 * count))
    message, *buffers = [_read(source, size) for size in sizes]
    return pickle.loads(message, buffers=buffers)  # noqa: S301  from a process that this one has started


def _read(source: socket.socket, size: int) -> memoryview:
    data = left = memoryview(np.empty(size, np.uint8).data)
    while left:
        got = source.recv_into(left)
        if not got:
            raise EOFError
        left = left[got:]
    return data
