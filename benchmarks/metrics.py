"""museval beside `sdr` and `bsseval` in one run: seconds, agreement, memory.

Four sources of stereo at 44.1 kHz, where nothing is silent: the first stems of `songs/` in SEPKIT_AUDIO that sound in
every second, or noise. Each case is a process of its own with one thread, as a worker of `sepkit evaluate` has it; its
seconds are those of a call alone, the median of those that start within a second. Cases take turns. Linux only; needs
ffmpeg, as museval does.

Prints Markdown tables; exits 1 if a goal is missed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import soundfile
from goals import Goal, judged, print_table
from numpy.typing import NDArray
from peak_memory import peak

from sepkit import AudioSpec

RATE, SOURCES = 44_100, 4
STEMS = ("vocals", "drums", "bass", "other")
RATIOS = ("SDR", "ISR", "SIR", "SAR")
Signals = NDArray[np.float32]
Scores = NDArray[np.float64]


class Result(NamedTuple):
    """The seconds of a call in each process, the most memory of any of them in MB, and the scores [ratio, ...]."""

    seconds: list[float]
    megabytes: float
    scores: Scores


def _nothing(estimates: Signals, references: Signals) -> Callable[[], Any]:
    return lambda: np.zeros(0)


def _museval(estimates: Signals, references: Signals) -> Callable[[], Any]:
    from museval import evaluate

    found, wanted = (signal.swapaxes(1, 2) for signal in (estimates, references))
    return lambda: evaluate(wanted, found, win=RATE, hop=RATE)


def _sdr(estimates: Signals, references: Signals) -> Callable[[], Any]:
    from sepkit.metrics.sdr import SDR

    measure, mixture = SDR().build(AudioSpec(RATE, 2, STEMS)), references.sum(0)
    return lambda: measure(estimates, references, mixture)


def _bsseval(estimates: Signals, references: Signals) -> Callable[[], Any]:
    from sepkit.metrics.bsseval import BSSEval

    measure, mixture = BSSEval().build(AudioSpec(RATE, 2, STEMS)), references.sum(0)
    return lambda: list(dict(measure(estimates, references, mixture)).values())


CASES = {"signals only": _nothing, "museval": _museval, "sdr": _sdr, "bsseval": _bsseval}


def main() -> int:
    """Measure all cases and print what they reached; or, in a process of its own, run one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30, help="of the track")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each case")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        _run(CASES[options.case], options.folder)
        return 0
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with TemporaryDirectory() as folder:
        np.save(f"{folder}/signals.npy", _signals(options.seconds))
        results = _measured(Path(folder), options.rounds)
    return judged(list(_goals(results)))


def _run(case: Callable[[Signals, Signals], Callable[[], Any]], folder: Path) -> None:
    call = case(*np.load(folder / "signals.npy"))
    seconds: list[float] = []
    while sum(seconds) < 1:
        started = perf_counter()
        scores = np.array(call())
        seconds.append(perf_counter() - started)
    np.savez(folder / "result.npz", scores=scores, seconds=median(seconds))


def _measured(folder: Path, rounds: int) -> dict[str, Result]:
    results = {name: Result([], 0.0, np.zeros(0)) for name in CASES}
    for _ in range(rounds):
        for name, before in results.items():
            command = [sys.executable, __file__, "--case", name, "--folder", str(folder)]
            megabytes = max(before.megabytes, peak(command).alone)
            with np.load(folder / "result.npz") as file:
                seconds = [*before.seconds, float(file["seconds"])]
                results[name] = Result(seconds, megabytes, file["scores"])
    return results


def _goals(results: dict[str, Result]) -> Iterator[Goal]:
    nothing, museval, sdr, bsseval = results.values()
    theirs = median(museval.seconds)
    rows = [
        (name, f"{median(r.seconds):.3f} s", f"{theirs / median(r.seconds):.1f}", f"{r.megabytes:.0f} MB")
        for name, r in list(results.items())[1:]
    ]
    rows.append(("signals only", "", "", f"{nothing.megabytes:.0f} MB"))
    print_table(("", "median", "times faster", "most resident memory"), rows)
    differences = np.abs(bsseval.scores - museval.scores).max((1, 2))
    ranges = [(r.min(), np.median(r), r.max()) for r in museval.scores]
    lines = [(n, *(f"{v:.2f}" for v in r), f"{d:.1e}") for n, r, d in zip(RATIOS, ranges, differences, strict=True)]
    print_table(("museval, dB", "least", "median", "most", "largest difference of bsseval"), lines)
    yield Goal("sdr: dB from museval", float(np.abs(sdr.scores - museval.scores[0]).max()), 1e-6)
    yield Goal("sdr: times faster than museval", theirs / median(sdr.seconds), 500, least=True)
    yield Goal("bsseval: dB from museval in ISR, SIR, SAR", float(differences[1:].max()), 0.01)
    yield Goal("bsseval: times faster than museval", theirs / median(bsseval.seconds), 10, least=True)
    yield Goal("bsseval: memory of museval's", bsseval.megabytes / museval.megabytes, 1)


def _signals(seconds: int) -> Signals:
    """Return estimates and references, [2, source, channel, time]: leaks, another colour, and a little noise."""
    rng = np.random.default_rng(0)
    noises = rng.uniform(-0.2, 0.2, (SOURCES, 2, seconds * RATE)).astype(np.float32)
    references = np.stack(_stems(seconds) or list(noises))
    level = references.std((1, 2), keepdims=True)
    noise = 0.02 * level * rng.standard_normal(references.shape)
    leaks = 0.1 * (references.sum(0) - references)
    estimates = 0.9 * references + 0.1 * np.roll(references, 7, -1) + leaks + noise
    return np.stack([estimates, references]).astype(np.float32)


def _stems(seconds: int) -> list[Signals]:
    """Return the first stems [channel, time] that sound in every second; none where there are too few."""
    found: list[Signals] = []
    folder = os.environ.get("SEPKIT_AUDIO")
    for path in sorted(Path(folder).glob("songs/**/*.*")) if folder else []:
        if path.stem in STEMS and len(found) < SOURCES:
            samples, rate = soundfile.read(path, frames=seconds * RATE, dtype="float32", always_2d=True)
            if rate == RATE and samples.shape == (seconds * RATE, 2) and samples.reshape(seconds, -1).any(1).all():
                found.append(samples.T)
    return found if len(found) == SOURCES else []


if __name__ == "__main__":
    sys.exit(main())
