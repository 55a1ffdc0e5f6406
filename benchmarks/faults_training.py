"""Training that is killed at random instants, at every step of writing its files, and on a full disk.

Exits 1 on a fault.

1. kill -9 at random instants, each followed by --resume: the final weights equal those of an uninterrupted run to the
   bit, and the history has no gap and no repeat.
2. kill -9 at every open, write, fsync, rename and removal in the run folder, one run for each (strace injects the
   signal): both model files load, and are the old or the new ones.
3. A disk of 1.5 times the state (tmpfs): exit 1, and the earlier files are byte-identical.

Needs strace for 2 and the right to mount for 3; without them they are left out, and it is said.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file

from sepkit.checkpoints import model_file
from sepkit.errors import SepkitError
from sepkit.training import state as states

CONFIG = """
[audio]
sample_rate = 8000
[[datasets]]
name = "synthetic"
root = "songs"
train = 3
validation = 1
test = 1
seconds = 5.0
[model]
name = "crnn"
n_fft = 256
hop_length = 64
channels = [8, 16]
frequency_strides = [4, 2]
time_strides = [2, 1]
projection = 32
hidden = 32
layers = 2
dropout = 0.2
[[augmentations]]
name = "gain"
[train]
epochs = 6
steps_per_epoch = 25
batch_size = 4
chunk_seconds = 1.0
workers = 0
ema = 0.9
save_minutes = 0.002
[train.schedule]
name = "plateau"
patience = 0
warmup_steps = 5
[train.validation]
sdr_every = 2
"""
SAME = ("epoch", "step", "train_loss", "validation_loss", "sdr", "lr", "skipped", "best")
FILES = ("best_model.safetensors", "last_state.safetensors")
CALLS = ("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "chmod", "rename", "unlink")


def main() -> int:
    """Run all three, print counts, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        os.chdir(name)
        os.environ |= {"OMP_NUM_THREADS": "1", "SEPKIT_CACHE": f"{name}/cache"}
        Path("run.toml").write_text(CONFIG)
        _finish(_train("whole"))
        faults = _random_kills(arguments.kills, random.Random(arguments.seed))
        faults += _kills_at_calls() if shutil.which("strace") else _left_out("no strace")
        faults += _full_disk()
    print(f"{faults} faults")
    return int(faults > 0)


def _random_kills(kills: int, rng: random.Random) -> int:
    """The instants are spread over the part of the run that is still to come."""
    run, done, at = Path("killed"), 0, []
    while done < kills:
        process = _train("killed", "--resume")
        before = _step(run)
        _wait_for_step(run, before, process)
        time.sleep(rng.uniform(0, 0.25))
        if process.poll() is None:
            process.kill()
            done += 1
            at.append(_step(run))
        process.wait()
        if len(_rows(run)) >= 5 and done < kills:  # the run ends too soon for more: begin another
            _finish(_train("killed", "--resume"))
            if not _as_whole(run):
                return 1
            shutil.rmtree(run)
    _finish(_train("killed", "--resume"))
    equal = _as_whole(run)
    print(f"kill -9 at {done} random instants (steps {', '.join(map(str, at))}): {'equal' if equal else 'DIFFERENT'}")
    return int(not equal)


def _as_whole(run: Path) -> bool:
    """Return True if a run ended as the uninterrupted one did, and left nothing unfinished."""
    rows = [[[row[key] for key in SAME] for row in _rows(folder)] for folder in (run, Path("whole"))]
    left = [path for path in run.iterdir() if path.name.startswith(".")]
    return rows[0] == rows[1] and not left and all(_equal(run / name, Path("whole") / name) for name in FILES)


def _kills_at_calls() -> int:
    """Each call in the run folder, in the second epoch of a run that has done one."""
    _finish(_train("template", "--set", "train.epochs=1"))
    old = {name: _digest(Path("template") / name) for name in FILES}
    more = ("--resume", "--set", "train.epochs=2", "--set", "train.steps_per_epoch=5", "--set", "train.save_minutes=60")
    _copy("template", "traced")
    _finish(_train("traced", *more, strace=("-y", "-e", f"trace={','.join(CALLS)}", "-o", "calls.log")))
    new = {name: _content(Path("traced") / name) for name in FILES}
    points = _points(Path("calls.log"), Path("traced").resolve())
    outcomes: Counter[str] = Counter()
    faults = 0
    for call, number in points:
        _copy("template", "hit")
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}", "-o", "/dev/null")
        process = _train("hit", *more, strace=inject)
        process.communicate()
        outcomes["killed" if process.returncode else "not reached"] += 1
        for name in FILES:
            found = _state_of(Path("hit") / name, old[name], new[name])
            outcomes[f"{name} {found}"] += 1
            faults += found in ("TORN", "GONE", "OTHER")
    counts = Counter(call for call, _ in points)
    print(f"kill at each call: {', '.join(f'{n} {call}' for call, n in counts.items())}")
    print(f"  {', '.join(f'{text}: {count}' for text, count in sorted(outcomes.items()))}")
    return faults + int(not points) + outcomes["not reached"]


def _points(log: Path, folder: Path) -> list[tuple[str, int]]:
    """The calls of the main thread that touch the folder, each with its number among those of its name."""
    lines = [line.split(None, 1) for line in log.read_text().splitlines()]
    main = lines[0][0]
    numbers: Counter[str] = Counter()
    points = []
    for thread, text in lines:
        call = text.partition("(")[0]
        if thread != main or call not in CALLS:
            continue
        numbers[call] += 1
        if str(folder) in text and not re.search(r"events\.|curves", text):
            points.append((call, numbers[call]))
    return points


def _full_disk() -> int:
    size = (Path("whole") / FILES[1]).stat().st_size
    Path("disk").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={round(1.5 * size)}", "tmpfs", "disk"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return _left_out("may not mount a tmpfs")
    try:
        _finish(_train("disk/run", "--set", "train.epochs=1", "--set", "train.save_minutes=60"))
        before = {name: _digest(Path("disk/run") / name) for name in FILES}
        process = _train("disk/run", "--resume")
        message = process.communicate()[1].strip().splitlines()[-1]
        kept = before == {name: _digest(Path("disk/run") / name) for name in FILES}
        good = process.returncode == 1 and "No space left" in message and "disk/run" in message and kept
        print(f"full disk: exit {process.returncode}, files {'kept' if kept else 'CHANGED'}: {message}")
        return int(not good)
    finally:
        subprocess.run(["umount", "--lazy", "disk"], check=True)


def _left_out(reason: str) -> int:
    print(f"left out: {reason}")
    return 0


def _train(run: str, *more: str, strace: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    tracer = ["strace", "-f", *strace] if strace else []
    command = [*tracer, sys.executable, "-m", "sepkit", "train", "run.toml", "--output-dir", run, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"a run failed: {errors}")


def _wait_for_step(run: Path, before: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and _step(run) == before:
        time.sleep(0.005)


def _step(run: Path) -> int:
    try:
        return model_file.load(run / FILES[1]).manifest.step
    except SepkitError:
        return 0


def _rows(run: Path) -> list[dict[str, object]]:
    history = run / "history.jsonl"
    return [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []


def _copy(source: str, target: str) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _content(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def _equal(one: Path, other: Path) -> bool:
    return _same(load_file(one), load_file(other))


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k].nan_to_num(), other[k].nan_to_num()) for k in one)


def _state_of(path: Path, old: str, new: dict[str, torch.Tensor]) -> str:
    """Return True if a file is the old one, or equals the new one. States differ in their seconds."""
    if not path.exists():
        return "GONE"
    try:
        (states if path.name == FILES[1] else model_file).load(path)
    except SepkitError:
        return "TORN"
    if _digest(path) == old:
        return "old"
    return "new" if _same(load_file(path), new) else "OTHER"


if __name__ == "__main__":
    sys.exit(main())
