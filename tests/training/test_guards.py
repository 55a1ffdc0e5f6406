"""What must not end a run, or must end it in time: rows 4, 6, 8 and 9 of the faults."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sepkit.checkpoints import model_file
from tests.training.runs import hidden_files, history

# An augmentation that spoils the chunks of one song, and a network that diverges when it is told to.
PLUGIN = '''
from typing import Literal
from pydantic import Field
from sepkit import AudioSpec, AugmentationConfig, LossConfig, hookimpl

class Spoil(AugmentationConfig):
    """The chunks in which something is louder than a limit get a sample that is no number."""
    name: Literal["spoil"] = "spoil"
    above: float = 0.9

    def build(self, audio: AudioSpec):
        def spoil(stems, mixture, rng):
            if abs(stems[0]).max() <= self.above:
                return stems, mixture
            mixture = mixture.copy()
            mixture[0, 3] = float("nan")
            return stems, mixture
        return spoil

class Broken(LossConfig):
    name: Literal["broken"] = "broken"

    def build(self, audio: AudioSpec):
        return lambda estimate, target: (estimate - target).abs().mean() * float("nan")

@hookimpl
def sepkit_augmentations():
    return [Spoil]

@hookimpl
def sepkit_losses():
    return [Broken]
'''


@pytest.fixture
def spoiling(install_plugin):
    install_plugin("sepkit-spoil", "spoil", "sepkit_spoil", PLUGIN)


@pytest.fixture
def loud_voice(songs):
    """The voice of one training song is louder than all others."""
    samples, rate = soundfile.read(songs / "two" / "vocals.wav")
    soundfile.write(songs / "two" / "vocals.wav", samples * (0.99 / np.abs(samples).max()), rate, subtype="FLOAT")
    return songs


def weights_are_finite(run):
    loaded = [model_file.load(run / f"{name}.safetensors").weights for name in ("best_model", "last_state")]
    return all(bool(torch.isfinite(tensor).all()) for weights in loaded for tensor in weights.values())


def test_row_8_batches_that_are_not_finite_are_skipped_counted_and_named(
    sepkit, small_config, loud_voice, spoiling, tmp_path
):
    run = tmp_path / "r"
    done = sepkit(
        "train", small_config, "--data-dir", loud_voice, "--output-dir", run, "--epochs", 4,
        "--set", 'augmentations=[{name="spoil"}]', "--set", "train.remix=0", "--set", "train.batch_size=1",
        "--set", "train.steps_per_epoch=8",
    )  # fmt: skip
    assert done.code == 0, done.err
    skipped = [line for line in done.err.splitlines() if line.startswith("Skipped epoch")]
    assert len(skipped) == sum(row["skipped"] for row in history(run)) > 0
    assert all("the loss is not finite; samples that are not finite in two" in line for line in skipped)
    assert weights_are_finite(run)
    assert all(row["train_loss"] is not None for row in history(run))


def test_row_8_a_sample_that_is_no_number_is_silence_and_its_file_is_named(sepkit, small_config, songs, tmp_path):
    samples, rate = soundfile.read(songs / "two" / "vocals.wav", dtype="float32")
    samples[1000:1005] = np.nan
    soundfile.write(songs / "two" / "vocals.wav", samples, rate, subtype="FLOAT")
    run = tmp_path / "r"
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", "train.steps_per_epoch=20")
    assert done.code == 0, done.err
    warnings = [line for line in done.err.splitlines() if "not finite" in line]
    assert len(warnings) == 1
    assert str(songs / "two" / "vocals.wav") in warnings[0]
    assert sum(row["skipped"] for row in history(run)) == 0
    assert weights_are_finite(run)


def test_row_8_an_exploding_rate_ends_the_run_with_the_last_good_state(sepkit, small_config, songs, tmp_path):
    run = tmp_path / "r"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run)
    assert sepkit(*command).code == 0
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix == ".safetensors"}
    explode = ("--set", "train.optimizer.lr=1e30", "--set", "train.clip_norm=0", "--epochs", 40)
    done = sepkit(*command, "--resume", *explode, "--set", "train.skip_limit=7")
    assert done.code == 1
    assert "7 steps in a row were skipped" in done.err
    assert "The state of step 6 is kept" in done.err
    assert "train.optimizer.lr" in done.err
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.suffix == ".safetensors"} == before
    assert sepkit(*command, "--resume", "--epochs", 3).code == 0
    assert [row["epoch"] for row in history(run)] == [1, 2, 3]


def test_a_run_that_cannot_be_validated_fails_before_its_first_step(sepkit, small_config, songs, spoiling, tmp_path):
    run = tmp_path / "r"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run)
    done = sepkit(*command, "--set", 'losses=[{name="broken"}]')
    assert done.code == 1
    assert "before training the validation loss is not finite" in done.err
    assert not run.exists()


def test_validation_songs_that_cannot_be_scored_fail_before_the_first_step(
    sepkit, small_config, songs, tmp_path, monkeypatch
):
    """A file that breaks between the first look at it and the scoring of the whole song."""
    from sepkit.errors import AudioError
    from sepkit.evaluation import song_scorer

    def broken(track):
        raise AudioError(f"{track.mixture}: truncated")

    monkeypatch.setattr(song_scorer, "load", broken)
    run = tmp_path / "r"
    sdr = ("--set", "train.validation.sdr_every=1")
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, *sdr)
    assert done.code == 1
    assert "mixture.wav: truncated" in done.err
    assert "epoch" not in done.err.replace("an epoch", "")


@pytest.mark.parametrize(
    ("override", "key", "values"),
    [
        ("model.hidden=9", "model.hidden", ("9", "8")),
        ("audio.sample_rate=16000", "audio.sample_rate", ("16000", "8000")),
        ('audio.sources=["drums"]', "audio.sources", ("['drums']", "['vocals']")),
        ("train.optimizer.name=sgd", "train.optimizer.name", ("'sgd'", "'adam'")),
        ('train.freeze=["encoder.*"]', "train.freeze", ("encoder", "[]")),
    ],
)
def test_row_6_resuming_with_another_network_names_both_values(
    sepkit, small_config, songs, trained, override, key, values
):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--set", override)
    assert done.code == 2
    for part in (key, *values):
        assert part in done.err
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_row_9_all_files_that_are_broken_are_listed_before_the_first_epoch(sepkit, small_config, songs, tmp_path):
    (songs / "one" / "vocals.wav").write_bytes((songs / "one" / "vocals.wav").read_bytes()[:3000])
    (songs / "two" / "vocals.wav").write_bytes(b"")
    (songs / "three" / "mixture.wav").write_bytes(os.urandom(5000))
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r")
    assert done.code == 1
    for name in ("one/vocals.wav", "two/vocals.wav", "three/mixture.wav"):
        assert name in done.err
    assert not (tmp_path / "r").exists()


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that makes a file system of a size in bytes, where that is allowed."""
    mounted = []

    def make(size):
        folder = tmp_path / "disk"
        folder.mkdir()
        if not shutil.which("mount"):
            pytest.skip("no mount on PATH: a small disk is mounted")
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if os.name != "posix" or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("may not mount a tmpfs")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def test_row_4_a_full_disk_costs_the_run_and_none_of_its_files(sepkit, small_config, songs, tmp_path, small_disk):
    command = ("train", small_config, "--data-dir", songs, "--set", "model.hidden=64")
    assert sepkit(*command, "--output-dir", tmp_path / "probe").code == 0
    size = (tmp_path / "probe" / "last_state.safetensors").stat().st_size
    assert size > 1e5
    run = small_disk(round(1.5 * size)) / "run"
    first = sepkit(*command, "--output-dir", run, "--epochs", 1, "--set", "train.patience=1")
    assert first.code == 0, first.err
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    done = sepkit(*command, "--output-dir", run, "--resume", "--epochs", 50)
    assert done.code == 1
    assert "No space left" in done.err
    assert str(run) in done.err
    assert "Traceback" not in done.err
    kept = {path.name: path.read_bytes() for path in run.iterdir()}
    assert {name: kept[name] for name in before if not name.startswith("events")} == {
        name: content for name, content in before.items() if not name.startswith("events")
    }
    assert hidden_files(run) == []
    if Path("/proc/self/fd").exists():
        assert [link for link in map(_target, Path("/proc/self/fd").iterdir()) if str(run) in link] == []


def _target(link):
    try:
        return str(link.readlink())
    except OSError:  # that of the listing itself
        return ""
