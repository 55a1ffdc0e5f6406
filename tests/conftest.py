"""What tests share: the real command line, small corpora, real songs, and plugins in temporary folders."""

import json
import logging
import os
import re
import shutil
import signal
import sys
import sysconfig
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

# Commands that are printed name sepkit, as in an environment that is activated.
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: tests share their cores
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock

from sepkit import config as configs
from sepkit import plugins
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.cli import main
from sepkit.export.kept import prepare_export

# Under nohup and the like these are ignored, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)  # whatever runs beside: threads that wait for each other take the time of all

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"

# A network and a run small enough for a test, at 8 kHz.
SMALL = """
[audio]
sample_rate = 8000
[model]
name = "crnn"
n_fft = 256
hop_length = 64
channels = [4, 8]
frequency_strides = [4, 2]
time_strides = [2, 1]
projection = 16
hidden = 8
layers = 1
[train]
epochs = 2
steps_per_epoch = 3
batch_size = 2
chunk_seconds = 0.5
workers = 0
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Keep what a test learns about files out of the user's cache."""
    monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _own_warnings():
    """Take back what the command line has made of warnings, which it does once a process."""
    yield
    logger = logging.getLogger("sepkit")
    logger.handlers.clear()
    logger.propagate = True


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))


@pytest.fixture
def sepkit(capsys):
    """Run the real command line in this process."""

    def run(*args: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Outcome(ended.value.code, out, err)

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Run the real command line in this process, with a terminal as stdout that is so many columns wide."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")

    def run(*args: object, columns: int = 80) -> Outcome:
        here, there = pty.openpty()
        termios.tcsetwinsize(there, (24, columns))
        shown = bytearray()

        def read() -> None:
            with suppress(OSError):  # the end of a terminal
                while some := os.read(here, 1 << 16):
                    shown.extend(some)

        reader = Thread(target=read)
        reader.start()
        with os.fdopen(there, "w", encoding="utf-8") as stdout, monkeypatch.context() as patch:
            patch.delenv("COLUMNS", raising=False)
            patch.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as ended:
                main([str(arg) for arg in args])
        reader.join()
        os.close(here)
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n")
        return Outcome(ended.value.code, text, "")

    return run


@pytest.fixture
def small_config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def write_songs(
    root: Path, names: list[str], stems: tuple[str, ...], *, rate: int = 8000, seconds: float = 1.5
) -> Path:
    """Write a hum as the vocals, noise as every other stem, and their sum as the mixture, exact in float."""
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        folder = root / name
        folder.mkdir(parents=True)
        sounds = {stem: rng.uniform(-0.2, 0.2, (round(seconds * rate), 2)).astype(np.float32) for stem in stems}
        if "vocals" in stems:
            phase = 2 * np.pi * rng.uniform(200, 400) * np.arange(round(seconds * rate)) / rate
            hum = 0.1 * np.sin(phase) + 0.05 * np.sin(2 * phase)
            sounds["vocals"] = np.stack([hum, hum], 1).astype(np.float32)
        for stem, samples in {**sounds, "mixture": sum(sounds.values())}.items():
            soundfile.write(folder / f"{stem}.wav", samples, rate, subtype="FLOAT")
    return root


@pytest.fixture
def songs(tmp_path):
    """Four songs with vocals, drums and a mixture."""
    return write_songs(tmp_path / "songs", ["one", "two", "three", "four"], ("vocals", "drums"))


@pytest.fixture(scope="session")
def finished_training(tmp_path_factory):
    """The run folder of a small finished training, which the workers of a session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-training"
    run = folder / "run"
    with FileLock(f"{folder}.lock"):
        if not run.exists():
            songs = write_songs(folder / "songs", ["one", "two", "three", "four"], ("vocals", "drums"))
            (folder / "small.toml").write_text(SMALL)
            with pytest.raises(SystemExit, match="^0$"):
                main(["train", *map(str, (folder / "small.toml", "--data-dir", songs, "--output-dir", run))])
    return run


@pytest.fixture
def trained(finished_training, tmp_path):
    """A run folder of the test's own: a copy of the small finished training."""
    return Path(shutil.copytree(finished_training, tmp_path / "run"))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A model file of the small network as it is before training, with masks that differ between songs and bins."""
    path = tmp_path_factory.mktemp("model") / "best_model.safetensors"
    config = configs.validate(tomllib.loads(SMALL), "small")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = config.model.build(config.audio).eval()
        with torch.no_grad():
            network.mask_network.decoder[-1].weight *= 20
    with Commit() as commit:
        model_file.stage(commit, path, network, model_file.manifest_of(config))
    prepare_export(path)
    return path


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """The folder of real songs that SEPKIT_AUDIO names."""
    folder = os.environ.get("SEPKIT_AUDIO")
    if not folder:
        pytest.skip("SEPKIT_AUDIO does not name the folder of real songs")
    return Path(folder)


@pytest.fixture
def install_plugin(tmp_path, monkeypatch):
    """Put a distribution with an entry point and a module on the path, as pip would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one second would be the first, both times
    monkeypatch.syspath_prepend(str(site))

    def install(
        distribution: str, entry: str, module: str, source: str, version: str = "1.2.3", requires: str = ""
    ) -> None:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        wants = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{wants}")
        (info / "entry_points.txt").write_text(f"[sepkit]\n{entry} = {module}\n")
        (site / f"{module}.py").write_text(source)
        plugins.external.cache_clear()

    plugins.external.cache_clear()
    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(site) in str(sys.modules[name].__file__):
            del sys.modules[name]
    plugins.external.cache_clear()
