"""Several processes that train one network, started by torchrun as a user starts them."""

import os
import shlex
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sepkit import config as configs
from sepkit.checkpoints import model_file
from sepkit.config import Shortcuts
from sepkit.data.loader import Data
from sepkit.terminal import program
from sepkit.training.learner import Learner
from sepkit.training.ranks import Ranks
from sepkit.training.validation import Validator
from tests.conftest import write_songs
from tests.training.runs import end, hidden_files, history, same_weights, start, wait_for

# A network without batch statistics, in float64; it has a mean that all examples share nowhere.
PLUGIN = """
from typing import Literal
from sepkit import AudioSpec, ModelConfig, hookimpl

class Exact(ModelConfig):
    name: Literal["exact"] = "exact"

    def build(self, audio: AudioSpec):
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Conv1d(audio.channels, 8, 9, padding=4, dtype=torch.float64)
                self.norm = nn.GroupNorm(2, 8, dtype=torch.float64)
                self.last = nn.Conv1d(8, len(audio.sources), 9, padding=4, dtype=torch.float64)

            def forward(self, x):
                return self.last(torch.tanh(self.norm(self.first(x.double()))))[:, :, None]

        return Net()

@hookimpl
def sepkit_models():
    return [Exact]
"""
EXACT = (
    "--set", 'model={name="exact"}', "--set", 'audio.sources=["vocals", "drums"]', "--set", "train.batch_size=4",
    "--set", 'train.optimizer={name="sgd", lr=0.05}', "--set", "train.steps_per_epoch=10", "--set", "train.remix=0.3",
    "--set", "train.source_weights.vocals=2",
    "--set", 'losses=[{name="l1"}, {name="l1_magnitude", n_fft=256, hop_length=64}]',
)  # fmt: skip


@pytest.fixture
def plugin(install_plugin, tmp_path):
    install_plugin("sepkit-exact", "exact", "sepkit_exact", PLUGIN)
    return {"PYTHONPATH": str(tmp_path / "site")}


@pytest.fixture
def mixed_songs(tmp_path):
    """Songs of which some lack a source, so that the shares of two ranks count differently."""
    root = write_songs(tmp_path / "songs", ["one", "two", "three", "four", "five"], ("vocals", "drums"))
    for name in ("one", "three"):
        (root / name / "drums.wav").unlink()
    return root


def torchrun(ranks, *args, env=None, options=()):
    """Start the command line in `ranks` processes of one thread each."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(Path.cwd())]))
    return subprocess.Popen(
        [*launcher, "--standalone", "-m", "sepkit", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def forked(ranks, *args, env=None):
    """Start ranks with the environment that torchrun gives them, each forked from a process with PyTorch in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    own = ({"RANK": rank, "LOCAL_RANK": rank} for rank in range(ranks))
    return [start(*args, env={**(env or {}), **{k: str(v) for k, v in (shared | one).items()}}) for one in own]


def by_torchrun(*args, **options):
    return [torchrun(*args, **options)]


@pytest.mark.parametrize("ranks_of", [forked, pytest.param(by_torchrun, marks=pytest.mark.fuzz)])
def test_two_ranks_learn_what_one_learns(small_config, mixed_songs, plugin, tmp_path, ranks_of):
    command = ("train", small_config, "--data-dir", mixed_songs, *EXACT, "--output-dir")
    for ranks in (1, 2):
        for process in ranks_of(ranks, *command, tmp_path / str(ranks), env=plugin):
            end(process)
    one, two = (load_file(tmp_path / str(ranks) / "last_state.safetensors") for ranks in (1, 2))
    names = [name for name in one if name.startswith("model.")]
    assert len(names) == 6
    for name in names:
        assert one[name].dtype == torch.float64
        torch.testing.assert_close(two[name], one[name], rtol=1e-9, atol=0)
    for a, b in zip(history(tmp_path / "1"), history(tmp_path / "2"), strict=True):
        assert a["step"] == b["step"]
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-9)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-9)


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_together_hear_the_batches_that_one_hears(small_config, mixed_songs, ranks):
    overrides = ['audio.sources=["vocals", "drums"]', "train.batch_size=4", 'augmentations=[{name="gain"}]']
    config = configs.load(small_config, overrides, Shortcuts(data_dir=mixed_songs))
    whole = list(islice(Data(config).train_batches(3), 4))
    shares = [list(islice(Data(config, rank, ranks).train_batches(3), 4)) for rank in range(ranks)]
    for number, batch in enumerate(whole):
        for key in ("mixture", "targets", "present"):
            assert torch.equal(torch.cat([share[number][key] for share in shares]), batch[key])
        for share in shares:
            assert torch.equal(share[number]["present_everywhere"], batch["present"])
            assert share[number]["tracks"] == batch["tracks"]
    counts = [sum(len(b["mixture"]) for b in Data(config, r, ranks).validation_batches()) for r in range(ranks)]
    assert sum(counts) == sum(len(b["mixture"]) for b in Data(config).validation_batches())


@pytest.mark.fuzz
def test_the_crnn_on_two_ranks_restarts_by_itself_and_goes_on_with_one(small_config, songs, tmp_path):
    settings = ("train.save_minutes=1e-9", "train.ema=0.9", "train.validation.sdr_every=1", "train.precision=fp32")
    command = ("train", small_config, "--data-dir", songs, *(word for one in settings for word in ("--set", one)))
    straight, restarted = tmp_path / "straight", tmp_path / "restarted"
    out, _ = end(torchrun(2, *command, "--output-dir", straight, "--json"))
    assert out.count('"reason"') == 1
    process = torchrun(2, *command, "--output-dir", restarted, options=("--max-restarts", "1"))
    wait_for(restarted / "last_state.safetensors", process)
    ranks = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    os.kill(ranks[-1], 9)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Resuming in epoch" in err
    assert same_weights(straight, restarted)
    assert same_weights(straight, restarted, "best_model.safetensors")
    assert [r["sdr"] for r in history(straight)] == [r["sdr"] for r in history(restarted)]
    assert hidden_files(restarted) == []
    config = configs.load(straight / "config.toml")
    best = max((row for row in history(straight) if row["best"]), key=lambda row: row["epoch"])
    network = model_file.load(straight / "best_model.safetensors").network()
    learner = Learner(config, network, 1, Ranks(torch.device("cpu")))
    assert Validator(config, Data(config), learner, lambda: None)(0).loss == pytest.approx(
        best["validation_loss"], rel=1e-6
    )
    alone = subprocess.run(
        [sys.executable, "-m", "sepkit", *map(str, command), "--output-dir", restarted, "--resume", "--epochs", "3"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert [row["epoch"] for row in history(restarted)] == [1, 2, 3]


@pytest.mark.fuzz
def test_a_restart_never_goes_on_with_a_run_that_was_there_before(small_config, songs, trained):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    command = ("train", small_config, "--data-dir", songs, "--output-dir", trained, "--epochs", 5)
    _, err = torchrun(2, *command, options=("--max-restarts", "1")).communicate(timeout=300)
    assert "holds a run already" in err
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_a_signal_to_one_rank_stops_all(small_config, songs, tmp_path):
    run = tmp_path / "run"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", "train.save_minutes=1e-9")
    leading, other = forked(2, *command, "--epochs", 1000)
    wait_for(run / "last_state.safetensors", leading)
    other.terminate()
    said = [end(process, 143) for process in (leading, other)]
    assert ["Stopped by SIGTERM" in out for out, _ in said] == [True, False]
    assert not any("Error" in err for _, err in said)


@pytest.mark.fuzz
def test_a_signal_to_one_rank_of_torchrun_stops_all(small_config, songs, tmp_path):
    run = tmp_path / "run"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", "train.save_minutes=1e-9")
    process = torchrun(2, *command, "--epochs", 1000)
    wait_for(run / "last_state.safetensors", process)
    ranks = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    os.kill(ranks[-1], 15)
    out, err = process.communicate(timeout=300)
    assert "Stopped by SIGTERM" in out
    assert "Error" not in err.replace("ChildFailedError", "")


@pytest.mark.fuzz
def test_a_signal_to_torchrun_saves_the_state_of_all_ranks(small_config, songs, tmp_path):
    run = tmp_path / "run"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", "train.save_minutes=1e-9")
    process = torchrun(2, *command, "--epochs", 1000)
    wait_for(run / "last_state.safetensors", process)
    process.terminate()
    out, _ = process.communicate(timeout=300)
    torchrun_here = shlex.join(program("torchrun", "torch.distributed.run"))
    assert f"{torchrun_here} --nproc-per-node 2 -m sepkit train" in out
    assert hidden_files(run) == []
    steps = int(out.partition("at step ")[2].partition(",")[0])
    end(torchrun(2, *command, "--resume", "--epochs", max(1, -(-(steps + 1) // 3))))


def test_a_batch_that_cannot_be_divided_is_refused(sepkit, small_config, songs, monkeypatch):
    done = sepkit("train", small_config, "--data-dir", songs, "--set", "train.accumulate=3")
    assert done.code == 2
    assert "multiple of 3" in done.err


def test_overwriting_is_refused_where_a_restart_would_overwrite_again(sepkit, small_config, songs, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    done = sepkit("train", small_config, "--data-dir", songs, "--overwrite")
    assert done.code == 2
    assert "--overwrite" in done.err
