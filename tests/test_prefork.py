"""The server that forks commands for tests: its answers stay apart, and one that was killed is started anew."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from tests import prefork


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_two_numbers_that_arrive_together_are_two(pair, monkeypatch):
    ours, theirs = pair
    theirs.sendall(b"1234\n0\n")
    monkeypatch.setattr(prefork, "_connected", lambda: ours)
    command = prefork.Command(["--version"])
    assert (command.pid, command.wait(5)) == (1234, 0)
    command.stdout.close()
    command.stderr.close()


@pytest.mark.parametrize("stale", [False, True])
def test_a_server_is_started_where_none_listens(monkeypatch, stale):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        if stale:  # as SIGKILL leaves it
            place = Path(folder, f"prefork-{os.getpid()}")
            place.mkdir()
            with socket.socket(socket.AF_UNIX) as killed:
                killed.bind(str(place / "socket"))
        starts = []

        def start(path, session):
            starts.append(session)
            server.bind(str(path))
            server.listen()

        monkeypatch.setattr(prefork, "_start", start)
        for _ in range(2):
            prefork._connected().close()
        assert starts == [os.getpid()]
