"""Time and memory of separation, side by side with open-unmix and htdemucs in one run.

Two cores, one target, 44.1 kHz stereo, random weights everywhere. Cases take turns, so that a machine that slows down
slows them all; but other processes on the same cores slow the peers more than us, so there should be next to none. Of
`SEPKIT_AUDIO` the first of `songs/**/mixture.*` is separated instead of noise and tones. Linux only; needs
`pip install openunmix demucs`.

Prints Markdown tables; exits 1 if a goal is missed.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import separate_peers as peers
import soundfile
import torch
from goals import Goal, judged, print_table
from peak_memory import peak
from separate_bench import RATE, Bench, write_model
from separate_network import network
from turns import child_seconds, in_turn, observed, run, timed

from sepkit.separation import Separator

THREADS = 2
# The default backend first.
BACKENDS = ("onnx", "torch")
# Seconds for htdemucs: five of its segments; a whole song would take minutes.
DEMUCS_SECONDS = 28.5
# Minutes of the long song for peers, whose memory grows with it, as does their time.
PEER_MINUTES = {"open-unmix": 10.0, "htdemucs": 4.0}


def speed(bench: Bench) -> Iterator[Goal]:
    """Measure samples in memory to stems in memory, networks loaded and warm."""
    samples = soundfile.read(bench.song(bench.minutes), dtype="float32")[0].T.copy()
    mixture = torch.from_numpy(samples)
    part = mixture[:, : round(DEMUCS_SECONDS * RATE)]
    seconds = mixture.shape[1] / RATE
    onnx, plain = (Separator.load(bench.model, "cpu", backend=backend) for backend in BACKENDS)
    peer = {name: partial(peers.separate, name, build()) for name, build in peers.PEERS.items()}
    cases: dict[str, Callable[[], object]] = {
        "sepkit, onnx": lambda: onnx(samples, RATE),
        "sepkit, torch": lambda: plain(samples, RATE),
        "open-unmix": lambda: peer["open-unmix"](mixture),
        f"htdemucs, times {seconds / DEMUCS_SECONDS:.2f}": lambda: peer["htdemucs"](part),
    }
    for warm in (onnx, plain):
        warm(part.numpy(), RATE)
    peer["open-unmix"](part)
    times = in_turn(cases, bench.rounds)
    demucs = [t * seconds / (part.shape[1] / RATE) for t in times.popitem()[1]]
    times[f"htdemucs, from {DEMUCS_SECONDS:g} s"] = demucs
    ours, _, unmix, _ = (median(t) for t in times.values())
    print_table(("network part", "median", "least", "of sepkit"), [timed(name, t, ours) for name, t in times.items()])
    yield Goal("network part: times faster than open-unmix", unmix / ours, 5, least=True)
    yield Goal("network part: times faster than htdemucs", median(demucs) / ours, 50, least=True)


def process(bench: Bench) -> Iterator[Goal]:
    """Measure whole processes: start, imports, load, decode, separate, write."""
    commands = {
        "sepkit separate": bench.sepkit(bench.minutes),
        "sepkit separate, 1 s": bench.sepkit(1 / 60),
        "sepkit separate --backend torch": bench.sepkit(bench.minutes, "--backend", "torch"),
        "open-unmix": bench.peer("open-unmix", bench.minutes),
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    }
    for kept in bench.folder.glob("*.onnx"):
        kept.unlink()
    export = in_turn({"sepkit separate, the first time (exports)": partial(run, commands["sepkit separate"])}, 1)
    run([sys.executable, "-c", "import openunmix"])
    runs: dict[str, list[float]] = {name: [] for name in commands}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(bench.rounds):
        for name, command in commands.items():
            own, started = child_seconds(), perf_counter()
            run(command)
            runs[name].append(perf_counter() - started)
            cpu[name].append(child_seconds() - own)
    ours, unmix = median(runs["sepkit separate"]), median(runs["open-unmix"])
    rows = [(*timed(n, t, ours), f"{median(cpu[n]):.2f} s" if n in cpu else "") for n, t in (runs | export).items()]
    print_table(("whole process", "median", "least", "of sepkit", "processor"), rows)
    grown = median(_first_stems(bench) for _ in range(bench.rounds))
    yield Goal("whole process: times faster than open-unmix", unmix / ours, 7, least=True)
    yield Goal(f"whole process: seconds, {bench.minutes:g} minutes", ours, 1.8 * bench.minutes / 4)
    yield Goal("whole process: seconds until the first stems are on disk", grown, 0.8)


def _first_stems(bench: Bench) -> float:
    """Return the seconds from the start of a process to the first samples of a stem on disk."""
    output = bench.folder / "sepkit"
    started = perf_counter()
    with subprocess.Popen(bench.sepkit(bench.minutes), stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            if any(file.stat().st_size for file in output.glob(".sepkit-work-*/*/*.raw")):
                seconds = perf_counter() - started
                running.wait()
                return seconds
            sleep(0.003)
    raise RuntimeError("no stems have grown")


def memory(bench: Bench) -> Iterator[Goal]:
    """Measure the most memory of a process and its children, for a short and for a long song."""
    run(bench.sepkit(0.1))
    cases = {f"sepkit separate, {minutes:g} min": bench.sepkit(minutes) for minutes in (1.0, bench.long)}
    for name, longest in PEER_MINUTES.items():
        for minutes in (1.0, min(longest, bench.long)):
            cases[f"{name}, {minutes:g} min"] = bench.peer(name, minutes)
    peaks = {name: peak(command) for name, command in cases.items()}
    rows = [(name, *(f"{megabytes:.0f} MB" for megabytes in found)) for name, found in peaks.items()]
    print_table(("most resident memory", "the process and its children", "the process"), rows)
    short, long, *_ = (found.together for found in peaks.values())
    yield Goal(f"memory: {bench.long:g} minutes over 1 minute", long / short, 1.1)
    yield Goal(f"memory: MB, {bench.long:g} minutes", long, 380)


PARTS: dict[str, Callable[[Bench], Iterator[Goal]]] = {
    "speed": speed, "process": process, "network": partial(network, backends=BACKENDS), "memory": memory
}  # fmt: skip


def main() -> int:
    """Run the parts and print the goals that they reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each case")
    parser.add_argument("--minutes", type=float, default=4.0, help="of the song, for speed and process")
    parser.add_argument("--long", type=float, default=60.0, help="minutes of the long song, for memory")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    torch.set_num_threads(THREADS)
    with TemporaryDirectory() as folder:
        os.environ.update(SEPKIT_CACHE=f"{folder}/cache", OMP_NUM_THREADS=str(THREADS))
        bench = Bench(Path(folder), options.rounds, options.minutes, options.long)
        write_model(bench.model)
        goals = []
        for name in [options.only] if options.only else PARTS:
            goals += observed(partial(PARTS[name], bench))
    return judged(goals)


if __name__ == "__main__":
    sys.exit(main())
