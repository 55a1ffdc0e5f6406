"""Measure `sepkit --help` as a whole process. Goal: a median of at most 0.35 s on two cores."""

import subprocess
import sys
from statistics import median
from time import perf_counter

GOAL_SECONDS = 0.35
RUNS = 15


def main() -> None:
    """Time whole processes, the first of them (cold) left out, beside an interpreter that does nothing."""
    help_, bare = [], []
    for _ in range(RUNS + 1):
        help_.append(_seconds([sys.executable, "-m", "sepkit", "--help"]))
        bare.append(_seconds([sys.executable, "-c", "pass"]))
    print(f"sepkit --help: median {median(help_[1:]):.3f} s of {RUNS} runs (goal {GOAL_SECONDS} s)")
    print(f"python -c pass: median {median(bare[1:]):.3f} s")


def _seconds(command: list[str]) -> float:
    started = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


if __name__ == "__main__":
    main()
