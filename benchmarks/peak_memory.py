"""The most memory that a process and its children take together, seen from /proc thirty times a second. Linux only."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import NamedTuple


class Memory(NamedTuple):
    """Megabytes: resident in all processes together (pages that they share count for each), and in the first alone."""

    together: float = 0.0
    alone: float = 0.0


def peak(command: list[str]) -> Memory:
    """Run a command and return the most that it takes at any time."""
    most = Memory()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            together = sum(_megabytes(pid, "VmRSS") for pid in _tree(process.pid))
            most = Memory(*map(max, most, (together, _megabytes(process.pid, "VmHWM"))))
            sleep(0.03)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return most


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _megabytes(pid: int, field: str) -> float:
    """Return a size of a process; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return 1.024e-3 * int(line.split()[1])
    return 0.0
