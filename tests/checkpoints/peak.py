"""Run command lines in this process, one after another, and print what they left and the most memory that was used.

Usage: python -m tests.checkpoints.peak '[["models", "info", "m.safetensors"], ...]'
"""

import contextlib
import io
import json
import resource
import sys
from pathlib import Path

from sepkit.cli import main


def peak() -> int:
    """Return the most bytes that this process had in memory.

    Linux hands the maximum of getrusage on from the process that started this one, but counts VmHWM afresh.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def run(args: list[str]) -> dict:
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(args)
        except SystemExit as ended:
            return {"code": ended.code, "err": error.getvalue(), "peak": peak()}
    raise AssertionError("the command line returns by exiting")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    print(json.dumps([run(args) for args in json.loads(sys.argv[1])]))  # noqa: T201
