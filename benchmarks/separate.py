"""What separation takes, side by side with open-unmix and htdemucs in one run: seconds, whole processes, memory.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import numpy as np
import separate_peers as peers
import soundfile
import torch
from goals import Goal, judged, print_table
from numpy.typing import NDArray
from peak_memory import peak
from torch import Tensor

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.checkpoints.info import describe
from sepkit.separation import Separator
from sepkit.separation.engine.onnx_engine import OnnxEngine
from sepkit.separation.engine.torch_engine import TorchEngine
from sepkit.separation.stream import in_order

RATE, THREADS = 44_100, 2
# The default one, where it is installed, and the other.
BACKENDS = ("onnx", "torch")
# What htdemucs gets: five of its segments; a whole song would take minutes.
DEMUCS_SECONDS = 28.5
# Minutes of the long song for peers, whose memory grows with it, and time, too.
PEER_MINUTES = {"open-unmix": 10.0, "htdemucs": 4.0}
MATRIX = 2048
BUDGET_GFLOP = 100.0


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder of this run, how often each case takes its turn, and the minutes of the songs."""

    folder: Path
    rounds: int
    minutes: float
    long: float

    @property
    def model(self) -> Path:
        """The default CRNN."""
        return self.folder / "model.safetensors"

    def song(self, minutes: float) -> Path:
        """Return a song of a length, written at the first time."""
        path = self.folder / f"{minutes:g}.wav"
        if not path.exists():
            loop, left = _sound(), round(minutes * 60 * RATE)
            with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
                while left > 0:
                    file.write(loop[:left])
                    left -= len(loop)
        return path

    def sepkit(self, minutes: float, *options: str) -> list[str]:
        """Return the command that separates a song."""
        output = self.folder / "sepkit"
        given = ["-m", self.model, "-o", output, "--device", "cpu", "--overwrite", *options]
        return [sys.executable, "-m", "sepkit", "separate", *map(str, [self.song(minutes), *given])]

    def peer(self, name: str, minutes: float) -> list[str]:
        """Return the command that separates a song with a peer."""
        weights = self.folder / f"{name}.safetensors"
        if not weights.exists():
            peers.save_weights(name, weights)
        return [sys.executable, peers.__file__, name, *map(str, [weights, self.song(minutes), self.folder / name])]


def speed(bench: Bench) -> Iterator[Goal]:
    """Samples in memory to stems in memory, networks loaded and warm."""
    samples = soundfile.read(bench.song(bench.minutes), dtype="float32")[0].T.copy()
    mixture = torch.from_numpy(samples)
    part = mixture[:, : round(DEMUCS_SECONDS * RATE)]
    seconds = mixture.shape[1] / RATE
    onnx, plain = (Separator.load(bench.model, "cpu", backend=backend) for backend in BACKENDS)
    run = {name: partial(peers.separate, name, build()) for name, build in peers.PEERS.items()}
    cases: dict[str, Callable[[], object]] = {
        "sepkit, onnx": lambda: onnx(samples, RATE),
        "sepkit, torch": lambda: plain(samples, RATE),
        "open-unmix": lambda: run["open-unmix"](mixture),
        f"htdemucs, times {seconds / DEMUCS_SECONDS:.2f}": lambda: run["htdemucs"](part),
    }
    for warm in (onnx, plain):
        warm(part.numpy(), RATE)
    run["open-unmix"](part)
    times = _in_turn(cases, bench.rounds)
    demucs = [t * seconds / (part.shape[1] / RATE) for t in times.popitem()[1]]
    times[f"htdemucs, from {DEMUCS_SECONDS:g} s"] = demucs
    ours, _, unmix, _ = (median(t) for t in times.values())
    print_table(("network part", "median", "least", "of sepkit"), [_timed(name, t, ours) for name, t in times.items()])
    yield Goal("network part: times faster than open-unmix", unmix / ours, 5, least=True)
    yield Goal("network part: times faster than htdemucs", median(demucs) / ours, 50, least=True)


def process(bench: Bench) -> Iterator[Goal]:
    """Whole processes: start, imports, load, decode, separate, write."""
    commands = {
        "sepkit separate": bench.sepkit(bench.minutes),
        "sepkit separate, 1 s": bench.sepkit(1 / 60),
        "sepkit separate --backend torch": bench.sepkit(bench.minutes, "--backend", "torch"),
        "open-unmix": bench.peer("open-unmix", bench.minutes),
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    }
    for kept in bench.folder.glob("*.onnx"):
        kept.unlink()
    export = _in_turn({"sepkit separate, the first time (exports)": partial(_run, commands["sepkit separate"])}, 1)
    _run([sys.executable, "-c", "import openunmix"])
    runs: dict[str, list[float]] = {name: [] for name in commands}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(bench.rounds):
        for name, command in commands.items():
            own, started = _child_seconds(), perf_counter()
            _run(command)
            runs[name].append(perf_counter() - started)
            cpu[name].append(_child_seconds() - own)
    ours, unmix = median(runs["sepkit separate"]), median(runs["open-unmix"])
    rows = [(*_timed(n, t, ours), f"{median(cpu[n]):.2f} s" if n in cpu else "") for n, t in (runs | export).items()]
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


def _child_seconds() -> float:
    """Return the CPU seconds of all children that have ended."""
    return sum(os.times()[2:4])


def network(bench: Bench) -> Iterator[Goal]:
    """The mask network alone on the chunks of a minute, beside the machine's matrix products."""
    before = _matrix_rate()
    minute = torch.from_numpy(soundfile.read(bench.song(1.0), dtype="float32")[0].T.copy())
    separators = {backend: Separator.load(bench.model, "cpu", backend=backend) for backend in BACKENDS}
    runs = {backend: _mask_network(separator, minute.numpy()) for backend, separator in separators.items()}
    times = _in_turn({backend: run for backend, (run, _) in runs.items()}, 3 * bench.rounds)
    after = _matrix_rate()
    rate, minutes = fmean((before, after)), runs["onnx"][1]
    plain = float(describe(bench.model)["gflop_per_minute"])
    work = plain * minutes
    print(f"A minute: {plain:.1f} GFLOP, {work:.1f} with overlap. {MATRIX}³ matrix product: "
          f"{before:.0f} GFLOP/s before, {after:.0f} after.\n")  # fmt: skip
    rows = [
        (f"sepkit, {backend}", f"{median(t):.2f} s", f"{min(t):.2f} s",
         f"{work / median(t):.0f}", f"{work / median(t) / rate:.0%}")
        for backend, t in times.items()
    ]  # fmt: skip
    print_table(("mask network, 60 s of a song", "median", "least", "GFLOP/s", "of matrix products"), rows)
    limit = f"the time of {BUDGET_GFLOP:g} GFLOP"
    yield Goal(f"mask network, 60 s of a song: seconds, and {limit}", median(times["onnx"]), BUDGET_GFLOP / rate)


def memory(bench: Bench) -> Iterator[Goal]:
    """The most memory of a process and its children, for a short and for a long song."""
    _run(bench.sepkit(0.1))
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
    "speed": speed, "process": process, "network": network, "memory": memory
}  # fmt: skip


def main() -> int:
    """Run the parts that are asked for and print what they reached."""
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
        _write_model(bench.model)
        goals = []
        for name in [options.only] if options.only else PARTS:
            goals += _observed(PARTS[name], bench)
    return judged(goals)


def _write_model(path: Path) -> None:
    config = configs.load(None, [])
    torch.manual_seed(0)
    with Commit() as commit:
        model_file.stage(commit, path, config.model.build(config.audio), model_file.manifest_of(config))


def _sound() -> NDArray[np.float32]:
    """Return [time, channel]: a real song, or half a minute of tones in noise."""
    folder = os.environ.get("SEPKIT_AUDIO")
    for path in sorted(Path(folder).glob("songs/**/mixture.*")) if folder else []:
        samples: NDArray[np.float32]
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if (rate, samples.shape[1]) == (RATE, 2):
            return samples
    rng = np.random.default_rng(0)
    time = np.arange(30 * RATE, dtype=np.float32)[:, None] / RATE
    tones = sum(0.05 * np.sin(2 * np.pi * rng.uniform(80, 8000, (1, 2)) * time) for _ in range(8))
    sound: NDArray[np.float32] = (tones + 0.05 * rng.standard_normal((len(time), 2))).astype(np.float32)
    return sound


def _in_turn(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each case in each round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            started = perf_counter()
            case()
            times[name].append(perf_counter() - started)
    return times


def _timed(name: str, times: Sequence[float], ours: float) -> tuple[str, ...]:
    return name, f"{median(times):.2f} s", f"{min(times):.2f} s", f"{median(times) / ours:.2f}"


def _observed(part: Callable[[Bench], Iterator[Goal]], bench: Bench) -> list[Goal]:
    """Run a part, and print what else the machine did meanwhile."""
    machine, own, started = *_cpu_seconds(), perf_counter()
    goals = list(part(bench))
    machine_after, own_after = _cpu_seconds()
    cores = (machine_after - machine - own_after + own) / (perf_counter() - started)
    print(f"Load average {os.getloadavg()[0]:.1f}; other processes took {cores:.2f} cores.\n")
    return goals


def _cpu_seconds() -> tuple[float, float]:
    """Return the CPU seconds that all processes, and this one with its children, have taken so far."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return sum((user, nice, system, *rest)) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _matrix_rate() -> float:
    """Return the GFLOP/s of a product of large matrices."""
    a, b = torch.rand(2, MATRIX, MATRIX)
    times = _in_turn({"mm": lambda: torch.mm(a, b)}, 12)["mm"]
    return 2e-9 * MATRIX**3 / median(times[2:])


def _mask_network(separator: Separator, mixture: NDArray[np.float32]) -> tuple[Callable[[], None], float]:
    """Return what runs the mask network on all chunks of a song, as the separator does, and the minutes of them all."""
    engine = separator.engine(RATE, 2)
    spectra: list[NDArray[np.float32]] = []
    if isinstance(engine, OnnxEngine):
        mask = engine.masks
        engine.masks = lambda some: (spectra.append(some.copy()), mask(some))[1]  # type: ignore[assignment, func-returns-value]
        separator(mixture, RATE)
        engine.masks = mask
    else:
        assert isinstance(engine, TorchEngine)
        network = engine.network.get_submodule("mask_network")
        hook = network.register_forward_pre_hook(lambda _, given: spectra.append(given[0].numpy().copy()))
        separator(mixture, RATE)
        hook.remove()

        @torch.inference_mode()
        def mask(some: NDArray[np.float32]) -> Tensor:
            found: Tensor = network(torch.from_numpy(some))
            return found

    def run() -> None:
        with engine.computing():
            for _ in in_order(mask, spectra, engine.threads):
                pass

    frames = separator.settings.chunk_seconds / spectra[0].shape[-1]
    return run, sum(spectrum.shape[-1] for spectrum in spectra) * frames / 60


if __name__ == "__main__":
    sys.exit(main())
