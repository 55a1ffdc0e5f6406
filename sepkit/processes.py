"""Processes of a run: the environment of child processes, and the first of those that torchrun starts."""

import os
import sys


def child_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a Python child process with the search path of this one, with `settings` added.

    The working folder is not part of it, for it may hold an untrusted `numpy.py`.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings}


def is_first() -> bool:
    """Return whether this process reports and writes: true for one of all that torchrun starts, and for any other."""
    return os.environ.get("RANK", "0") == "0"
