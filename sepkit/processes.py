"""Processes of a run: the environment of child processes, and the first of those that torchrun starts."""

import os
import sys


def child_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a Python child process that imports what this process can, with `settings` added.

    The search path is this process's own, and not the working folder, which may hold an untrusted `numpy.py`.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings}


def is_first() -> bool:
    """Return whether this process reports and writes: true for one of all that torchrun starts, and for any other."""
    return os.environ.get("RANK", "0") == "0"
