"""The cost of a model: parameters, arithmetic, time and memory, measured in a child process."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np

from sepkit.device import cpu_threads
from sepkit.errors import ModelFileError
from sepkit.songs.separator import Separator

# Noise is separated, so that figures do not depend on a corpus.
SECONDS, RATE, CHANNELS = 30.0, 44_100, 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Attributes:
    parameters: Of the network.
    gflop_per_minute: Of a minute of audio at the model's own rate and channels, without overlap.
    real_time_factor: Seconds of computing for a second of a song of 44.1 kHz stereo; below 1 is faster than it plays.
    peak_megabytes: The most resident memory of the process that loads the model and separates 30 s.
    device: The device, with the number of threads.
    """

    parameters: int
    gflop_per_minute: float
    real_time_factor: float
    peak_megabytes: float | None
    device: str


def measure(model: Path, device: str) -> Cost:
    """Measure a model file on this machine.

    Raises:
        ModelFileError: the process that measured it died.
    """
    # Ctrl-C in a terminal goes to every process of the group, and this one decides.
    quiet = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=quiet) as pool:
        try:
            return pool.submit(_measured, model, device).result()
        except BrokenProcessPool:
            raise ModelFileError(f"{model}: the process that measured its cost died; is there enough memory?") from None


def _measured(model: Path, device: str) -> Cost:
    separator = Separator.load(model, device)
    noise = np.random.default_rng(0).normal(0, 0.1, (CHANNELS, round(SECONDS * RATE))).astype(np.float32)
    separator(noise[:, :RATE], RATE)  # the work of the first call
    started = perf_counter()
    separator(noise, RATE)
    seconds = perf_counter() - started
    peak = _peak_megabytes()
    from sepkit.checkpoints.info import cost as cost_of_network  # which imports PyTorch, now that the rest is measured

    known = cost_of_network(separator.model.network(), separator.model.manifest.audio)
    threads = cpu_threads()
    where = f"{separator.device}, {threads} thread{'s' * (threads > 1)}"
    return Cost(known["parameters"], known["gflop_per_minute"], seconds / SECONDS, peak, where)


def _peak_megabytes() -> float | None:
    """Return the most resident memory of this process so far, None if the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
