"""Weights of a finished run as the start of another: frozen parts, other sources, a fresh optimiser."""

import pytest
import torch

from sepkit.checkpoints import model_file
from tests.training.runs import history


@pytest.fixture
def tune(sepkit, small_config, songs, trained, tmp_path):
    """Fine-tune the trained model in a folder of its own."""

    def run(*more):
        best = trained / "best_model.safetensors"
        command = ("train", small_config, "--data-dir", songs, "--resume-from", best, "--output-dir", tmp_path / "t")
        return sepkit(*command, *more), tmp_path / "t"

    return run


def loaded(run):
    return model_file.load(run / "best_model.safetensors").weights


def test_frozen_weights_and_their_statistics_stay_to_the_bit(tune, trained):
    done, run = tune("--set", 'train.freeze=["encoder.*", "project.*"]', "--set", "train.ema=0.5")
    assert done.code == 0, done.err
    assert "M frozen" in done.err
    before, after = loaded(trained), model_file.load(run / "last_state.safetensors").weights
    for name, tensor in before.items():
        frozen = ".encoder." in name or ".project." in name
        if "num_batches" not in name:
            assert torch.equal(tensor, after[name]) == frozen, name


@pytest.mark.parametrize(
    ("patterns", "message"),
    [('["decodr.*"]', 'Did you mean "decoder"?'), ('["*"]', "leave nothing to learn")],
)
def test_patterns_that_freeze_nothing_or_everything_are_refused(tune, patterns, message):
    done, run = tune("--set", f"train.freeze={patterns}")
    assert done.code == 2
    assert message in done.err
    assert not run.exists()


def test_another_target_keeps_all_weights(tune, trained):
    tiny = ("--set", "train.optimizer.lr=1e-12", "--set", "train.optimizer.weight_decay=0")
    done, run = tune("--target", "drums", "--epochs", "1", *tiny)
    assert done.code == 0, done.err
    assert "Left behind" not in done.err
    assert f"Starting from the weights of {trained}/best_model.safetensors, which were for vocals" in done.err
    learned = [n for n in loaded(trained) if "running" not in n and "num_batches" not in n]
    assert all(torch.allclose(loaded(trained)[n], loaded(run)[n], atol=1e-6) for n in learned)
    assert model_file.load(run / "best_model.safetensors").manifest.audio.sources == ("drums",)


def test_more_sources_keep_what_fits_and_say_what_was_left(tune, trained):
    tiny = ("--set", "train.optimizer.lr=1e-12", "--set", "train.optimizer.weight_decay=0")
    done, run = tune("--set", 'audio.sources=["vocals", "drums"]', "--epochs", "1", *tiny)
    assert done.code == 0, done.err
    line = next(line for line in done.err.splitlines() if line.startswith("Left behind"))
    before, after = loaded(trained), loaded(run)
    changed = [name for name in before if before[name].shape != after[name].shape]
    assert changed
    assert all(name in line for name in changed)
    kept = [n for n in before if n not in changed and "running" not in n and "num_batches" not in n]
    assert all(torch.allclose(before[n], after[n], atol=1e-6) for n in kept)


def test_another_width_is_refused(tune):
    done, run = tune("--set", "model.hidden=16")
    assert done.code == 2
    assert "model.hidden is 16, in the file 8" in done.err
    assert not run.exists()


def test_weights_that_no_epoch_made_better_stay_the_best(tune, trained):
    done, run = tune("--set", "train.optimizer.lr=0.5", "--set", "train.schedule.warmup_steps=0", "--json")
    assert done.code == 0, done.err
    assert done.json["best_epoch"] == 0
    assert not any(row["best"] for row in history(run))
    before, after = loaded(trained), loaded(run)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_it_begins_with_what_it_starts_from(tune, trained):
    """The validation before the first epoch is that of the given weights."""
    done, _ = tune()
    line = next(line for line in done.err.splitlines() if line.startswith("before training"))
    best = min(row["validation_loss"] for row in history(trained))
    assert f"{best:.5f}" in line
