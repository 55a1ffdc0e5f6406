"""Cases in turn, so that a machine that slows down slows them all; and the load of other processes. Linux only."""

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from goals import Goal


def in_turn(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each case in each round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            started = perf_counter()
            case()
            times[name].append(perf_counter() - started)
    return times


def timed(name: str, times: Sequence[float], ours: float) -> tuple[str, ...]:
    """Return the row of a case: its median and least time, and the median over that of ours."""
    return name, f"{median(times):.2f} s", f"{min(times):.2f} s", f"{median(times) / ours:.2f}"


def observed(part: Callable[[], Iterable[Goal]]) -> list[Goal]:
    """Run a part, and print the load of other processes meanwhile."""
    machine, own, started = *_cpu_seconds(), perf_counter()
    goals = list(part())
    machine_after, own_after = _cpu_seconds()
    cores = (machine_after - machine - own_after + own) / (perf_counter() - started)
    print(f"Load average {os.getloadavg()[0]:.1f}; other processes took {cores:.2f} cores.\n")
    return goals


def child_seconds() -> float:
    """Return the CPU seconds of all children that have ended."""
    return sum(os.times()[2:4])


def run(command: list[str]) -> None:
    """Run a command, which must succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _cpu_seconds() -> tuple[float, float]:
    """Return the CPU seconds that all processes, and this one with its children, have taken so far."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return sum((user, nice, system, *rest)) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])
