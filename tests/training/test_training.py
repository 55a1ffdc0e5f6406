"""Runs through the real command line: resuming, fine-tuning, stopping early, and folders in use."""

import json

import pytest
import torch
from safetensors.torch import load_file

from sepkit.checkpoints import model_file
from sepkit.training.progress import EarlyStopping
from sepkit.training.run_directory import RunDirectory


def history(run):
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def weights(run, name="last_state.safetensors"):
    return load_file(run / name)


def test_resume_without_a_state_starts_and_on_a_finished_run_says_so(sepkit, small_config, songs, tmp_path):
    command = ("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--resume", "--json")
    assert sepkit(*command).json["reason"] == "all epochs done"
    (exported,) = (tmp_path / "r").glob("best_model.*.onnx")  # so that nothing is left to do at the first song
    made = exported.stat().st_mtime_ns
    before = (tmp_path / "r" / "best_model.safetensors").read_bytes()
    again = sepkit(*command)
    assert (again.code, again.json["reason"]) == (0, "all epochs done before")
    assert (tmp_path / "r" / "best_model.safetensors").read_bytes() == before
    assert exported.stat().st_mtime_ns == made
    longer = sepkit(*command, "--epochs", 3).json
    assert longer["epochs"] == 3
    assert "epochs = 3" in (tmp_path / "r" / "config.toml").read_text()


def test_row_7_a_used_folder_is_refused_and_kept(sepkit, small_config, songs, trained):
    before = {p.name: p.read_bytes() for p in trained.iterdir()}
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained)
    assert done.code == 2
    assert "--resume" in done.err
    assert "--overwrite" in done.err
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before
    bad = sepkit("train", small_config, "--data-dir", songs / "no", "--output-dir", trained, "--overwrite")
    assert bad.code == 1
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before
    assert sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained, "--overwrite").code == 0


def test_fine_tuning_starts_from_weights_with_a_fresh_optimiser(sepkit, small_config, songs, trained, tmp_path):
    best = trained / "best_model.safetensors"
    tuned = tmp_path / "tuned"
    command = ("train", small_config, "--data-dir", songs, "--resume-from", best, "--epochs", 1)
    assert sepkit(*command, "--output-dir", trained).code == 2
    assert best.exists()
    tiny_step = ("--set", "train.optimizer.lr=1e-12", "--set", "train.optimizer.weight_decay=0")
    done = sepkit(*command, "--output-dir", tuned, *tiny_step)
    assert done.code == 0, done.err
    assert [row["epoch"] for row in history(tuned)] == [1]
    start, end = model_file.load(best).weights, model_file.load(tuned / "best_model.safetensors").weights
    learned = [name for name in start if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(start[name], end[name], atol=1e-6) for name in learned)


def test_resume_from_a_state_continues_it_in_another_folder(sepkit, small_config, songs, trained, tmp_path):
    other = tmp_path / "other"
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", other, "--epochs", 3,
        "--resume-from", trained / "last_state.safetensors",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert [row["epoch"] for row in history(other)] == [1, 2, 3]
    assert (other / "best_model.safetensors").exists()


def test_a_state_without_its_best_model_finds_a_new_best(sepkit, small_config, songs, trained, tmp_path):
    (trained / "best_model.safetensors").unlink()
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--epochs", 3, "--json"
    )
    assert (done.code, done.json["best_epoch"]) == (0, 3)
    assert (trained / "best_model.safetensors").exists()


def test_the_file_that_a_run_starts_from_is_never_removed(sepkit, small_config, songs, trained):
    before = {p.name: p.read_bytes() for p in trained.iterdir()}
    best = trained / "best_model.safetensors"
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume-from", best, "--overwrite"
    )
    assert done.code == 2
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA has fp16")
def test_a_run_that_cannot_start_costs_no_earlier_one(sepkit, small_config, songs, trained):
    before = {p.name: p.read_bytes() for p in trained.iterdir()}
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", trained, "--overwrite",
        "--set", "train.precision=fp16",
    )  # fmt: skip
    assert done.code == 2
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before


def test_a_changed_rate_is_taken_on_resume(sepkit, small_config, songs, trained):
    command = ("train", small_config, "--data-dir", songs, "--output-dir", trained, "--epochs", 3, "--resume")
    assert sepkit(*command, "--set", "train.optimizer.lr=1e-4").code == 0
    assert [row["lr"] for row in history(trained)] == [1e-3, 1e-3, 1e-4]


def test_a_finished_run_whose_best_model_is_gone_says_so(sepkit, small_config, songs, trained):
    (trained / "best_model.safetensors").unlink()
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume")
    assert done.code == 1
    assert "missing" in done.err


def test_overwriting_with_a_run_that_fails_at_once_keeps_the_earlier_one(sepkit, small_config, songs, trained):
    before = {p.name: p.read_bytes() for p in trained.iterdir()}
    command = ("train", small_config, "--data-dir", songs, "--output-dir", trained, "--overwrite")
    done = sepkit(*command, "--set", "train.optimizer.lr=1e30", "--set", "train.clip_norm=0")
    assert done.code == 1
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before


def test_a_finished_state_from_elsewhere_replaces_nothing(sepkit, small_config, songs, trained, tmp_path):
    other = tmp_path / "other"
    state = trained / "last_state.safetensors"
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", other, "--resume-from", state)
    assert done.code == 2
    assert "--epochs" in done.err
    assert not other.exists()


def test_a_broken_history_is_named(sepkit, small_config, songs, trained):
    with (trained / "history.jsonl").open("a") as file:
        file.write("{bad\n")
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--epochs", 3)
    assert done.code == 1
    assert "history.jsonl" in done.err


def test_an_adopted_state_never_takes_the_best_model_of_the_run_that_it_replaces(trained, tmp_path):
    run = RunDirectory(tmp_path / "other")
    run.path.mkdir()
    run.best_model.write_bytes(b"of another run")
    (trained / "best_model.safetensors").unlink()
    run.adopt(trained / "last_state.safetensors")
    assert not run.best_model.exists()
    assert run.last_state.read_bytes() == (trained / "last_state.safetensors").read_bytes()


def test_contradicting_options(sepkit, small_config, songs):
    done = sepkit("train", small_config, "--data-dir", songs, "--resume", "--overwrite")
    assert done.code == 2


def test_it_learns(sepkit, small_config, songs, tmp_path):
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--epochs", 6,
        "--set", "train.steps_per_epoch=15", "--set", "train.batch_size=4", "--set", "train.optimizer.lr=5e-3",
    )  # fmt: skip
    assert done.code == 0
    losses = [row["train_loss"] for row in history(tmp_path / "r")]
    assert losses[-1] < 0.6 * losses[0]


def test_patience_ends_the_run_and_the_best_model_is_the_best_epoch(sepkit, small_config, songs, tmp_path):
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--epochs", 50, "--json",
        "--set", "train.patience=2", "--set", "train.optimizer.lr=0.5",
    ).json  # fmt: skip
    assert done["reason"] == "no improvement"
    rows = history(tmp_path / "r")
    assert len(rows) == done["best_epoch"] + 2
    best = min(rows, key=lambda row: row["validation_loss"])
    assert best["epoch"] == done["best_epoch"]
    manifest = model_file.load(tmp_path / "r" / "best_model.safetensors").manifest
    assert manifest.epoch == done["best_epoch"]
    assert manifest.metrics["validation_loss"] == best["validation_loss"]


def test_bf16_trains_on_the_cpu(sepkit, small_config, songs, tmp_path):
    done = sepkit(
        "train",
        small_config,
        "--data-dir",
        songs,
        "--output-dir",
        tmp_path,
        "--set",
        "train.precision=bf16",
        "--overwrite",
    )
    assert done.code == 0, done.err
    assert "bfloat16" in done.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA has fp16")
def test_fp16_without_cuda_is_refused(sepkit, small_config, songs, tmp_path):
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--set", "train.precision=fp16"
    )
    assert done.code == 2
    assert "CUDA" in done.err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_fp16_with_a_scaler_on_cuda(sepkit, small_config, songs, tmp_path):
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--device", "cuda")
    assert done.code == 0, done.err
    assert "float16" in done.err


def test_early_stopping_never_takes_nan_for_better():
    assert not EarlyStopping(2, "").update(1, float("nan"))
    stopping = EarlyStopping(2, "")
    assert stopping.update(1, 1.0)
    assert not stopping.update(2, float("nan"))
    assert not stopping.exhausted
    assert not stopping.update(3, float("inf"))
    assert stopping.exhausted
    assert (stopping.best, stopping.best_epoch) == (1.0, 1)


def test_epochs_without_a_score_are_waited_for_as_well():
    stopping = EarlyStopping(3, "")
    assert stopping.update(2, -5.0)
    assert not stopping.update(3, None)
    assert not stopping.update(4, -4.0)
    assert (stopping.waited, stopping.exhausted) == (2, False)
    assert stopping.update(5, -6.0)


def test_a_run_without_a_finite_loss_says_so(sepkit, small_config, songs, tmp_path):
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r",
        "--set", "train.optimizer.lr=1e30", "--set", "train.clip_norm=0",
    )  # fmt: skip
    assert done.code == 1
    assert "epoch 1, step 2: the loss is not finite" in done.err
    assert not (tmp_path / "r" / "best_model.safetensors").exists()
