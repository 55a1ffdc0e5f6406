"""Runs as processes of their own, to be killed, and what is compared afterwards."""

import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.prefork import Command

# What a history repeats to the bit; the rest are times.
SAME = ("epoch", "step", "train_loss", "validation_loss", "sdr", "lr", "skipped", "best")


def start(*args, **options):
    """Start the command line in a process of its own, with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return Command(args, env=environment, **options)


def end(process, code=0):
    """Wait for a process that shall end with `code`; return its stdout and stderr."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def wait_for(path: Path, process, seconds=60.0):
    """Wait until a file is there."""
    started = time.monotonic()
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - started < seconds, f"no {path}"
        time.sleep(0.01)


def history(run: Path):
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def repeated(run: Path):
    """What the history of a run has in common with that of its repetition."""
    return [[row[key] for key in SAME] for row in history(run)]


def same_weights(one: Path, other: Path, name="last_state.safetensors"):
    """Whether the files of two runs hold the same tensors, to the bit."""
    a, b = load_file(one / name), load_file(other / name)
    return a.keys() == b.keys() and all(torch.equal(a[key].nan_to_num(), b[key].nan_to_num()) for key in a)


def hidden_files(run: Path):
    return [path.name for path in run.iterdir() if path.name.startswith(".")]
