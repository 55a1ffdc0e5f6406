"""Results of worker processes: in order and whole, and an error where anything goes wrong. Row 32 of the faults."""

import os
import resource
import signal
import tempfile
import threading
import time
from contextlib import closing, suppress
from functools import partial
from multiprocessing import Pipe, Process, active_children
from pathlib import Path

import numpy as np
import pytest

from sepkit.data import workers
from sepkit.data.workers import in_order
from sepkit.errors import AudioError, CorpusError, WorkerError


class TwoArgumentsError(Exception):
    def __init__(self, path, why):
        super().__init__(f"{path}: {why}")


def twice(item):
    return {"array": np.full((3, 5), 2 * item, np.float32), "names": (str(item),), "empty": np.zeros((0, 2))}


def fault(item):
    """Do what the item names."""
    match item:
        case "newline":
            raise CorpusError("a\nb/mixture.wav: cut off; replace it")
        case "two":
            raise TwoArgumentsError("a.wav", "odd")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            raise SystemExit(3)
        case "unpicklable":
            return lambda: None
        case "hang":
            time.sleep(1000)
    return item


def process_ids(_item):
    return os.getpid()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_results_come_in_order_and_are_whole_and_own_their_memory(count):
    results = list(in_order(twice, iter(range(10)), count))
    for item, result in enumerate(results):
        np.testing.assert_array_equal(result["array"], np.full((3, 5), 2 * item, np.float32))
        assert result["names"] == (str(item),)
        assert result["empty"].shape == (0, 2)
        result["array"] += 1
    assert len(results) == 10
    assert not active_children()


@pytest.mark.parametrize(
    ("item", "kind", "text"),
    [
        ("newline", CorpusError, "a\nb/mixture.wav: cut off; replace it"),
        ("two", RuntimeError, "TwoArgumentsError: a.wav: odd"),
        ("killed", WorkerError, "a worker process was killed by SIGKILL, as by a system that runs out of memory; use"),
        ("exit", WorkerError, "a worker process ended (exit code 3); use"),
        ("unpicklable", Exception, "pickle"),
    ],
)
def test_every_fault_ends_the_series_with_its_whole_message(item, kind, text):
    series = in_order(fault, ["before", "as well", item, "after"], 2)
    assert [next(series), next(series)] == ["before", "as well"]
    with pytest.raises(kind) as raised:
        next(series)
    assert text in str(raised.value)
    assert not active_children()


def test_an_error_keeps_the_traceback_of_its_worker_as_a_note():
    with pytest.raises(CorpusError) as raised:
        list(in_order(fault, ["newline"], 1))
    assert "in fault" in raised.value.__notes__[0]


def no_room():
    raise MemoryError("no room for an item")


class Heavy:
    """An item that a worker cannot unpickle."""

    def __reduce__(self):
        return no_room, ()


def test_an_item_that_a_worker_cannot_take_ends_the_series_with_the_reason():
    calls = []

    def give_up():
        calls.append(1)
        if len(calls) > 100:
            raise TimeoutError

    series = in_order(fault, ["before", Heavy(), np.ones(1_000_000), "after"], 1, waiting=give_up)
    assert next(series) == "before"
    with pytest.raises(MemoryError, match="no room for an item"):
        next(series)
    assert not active_children()


def test_no_thread_of_the_series_runs_yet_while_processes_are_forked(monkeypatch):
    threads = []

    class Watched(Process):
        def start(self):
            threads.append(threading.active_count())
            super().start()

    monkeypatch.setattr(workers, "Process", Watched)
    assert len(list(in_order(twice, range(4), 3))) == 4
    assert threads == [threading.active_count()] * 3


def test_a_thread_that_cannot_be_started_leaves_no_process(monkeypatch):
    here = os.getpid()

    class Refused(threading.Thread):
        def start(self):
            if os.getpid() == here:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(workers, "Thread", Refused)
    with pytest.raises(RuntimeError, match="can't start"):
        list(in_order(twice, range(4), 2))
    assert not active_children()


def test_an_error_that_is_a_result_is_no_fault():
    assert str(next(in_order(partial(AudioError), ["x"], 1))) == "x"


def test_a_wait_can_be_ended_and_ends_the_workers():
    def leave():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(in_order(fault, ["hang", "hang"], 2, waiting=leave))
    assert not active_children()


def test_a_worker_that_leaves_signals_to_others_still_ends_with_the_series():
    with closing(in_order(process_ids, range(100), 1)) as series:
        worker = next(series)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(worker, number)
        assert [next(series) for _ in range(5)] == [worker] * 5
    assert not active_children()


def test_more_results_than_memory_has_room_for_are_never_ready_at_once():
    drawn = []
    series = in_order(fault, (drawn.append(n) or n for n in range(100)), 2)
    assert next(series) == 0
    time.sleep(0.1)
    assert len(drawn) == 2 * workers.AHEAD + 1
    series.close()


@pytest.fixture
def limited():
    """Limit a resource until the test ends."""
    before = {}

    def limit(kind, value):
        before.setdefault(kind, resource.getrlimit(kind))
        resource.setrlimit(kind, (value, before[kind][1]))

    yield limit
    for kind, limits in before.items():
        resource.setrlimit(kind, limits)


def test_no_room_in_any_file_or_shared_memory_and_no_name_for_a_socket_is_needed(limited, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/" + 90 * "x")
    limited(resource.RLIMIT_FSIZE, 0)
    sums = [result.sum() for result in in_order(partial(np.ones, dtype=np.float32), [3_000_000] * 5, 2)]
    limited(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    assert sums == [3_000_000] * 5


def test_two_file_descriptors_a_worker_are_enough_and_too_few_are_said(limited):
    limited(resource.RLIMIT_NOFILE, 300)
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(0))
    try:
        for _ in range(9):
            os.close(taken.pop())
        assert len(list(in_order(twice, range(4), 2))) == 4
        with pytest.raises(WorkerError, match="a worker process cannot be started .*Too many open files.*; use fewer"):
            list(in_order(twice, range(4), 30))
    finally:
        for descriptor in taken:
            os.close(descriptor)
    assert not active_children()


def _run_and_die(tell):
    series = in_order(process_ids, range(100), 3)
    tell.send([next(series) for _ in range(3)])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_workers_of_a_process_that_is_killed_end():
    here, there = Pipe(duplex=False)
    parent = Process(target=_run_and_die, args=(there,))
    parent.start()
    running = here.recv()
    parent.join()
    assert parent.exitcode == -signal.SIGKILL
    for _ in range(2000):
        running = list(filter(_lives, running))
        if not running:
            break
        time.sleep(0.01)
    assert not running


def _lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
