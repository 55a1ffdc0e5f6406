"""Runs that are killed, interrupted and resumed, as processes of their own: rows 1, 3, 5 and 10 of the faults."""

import json
import os
import random
import shlex
import signal
import time

import pytest

from sepkit.checkpoints import tensor_file
from sepkit.terminal import program
from sepkit.training.learner import Learner
from sepkit.training.validation import Validator
from tests.conftest import SMALL, write_songs
from tests.training.runs import end, hidden_files, history, repeated, same_weights, start, wait_for

# A state after every step; an average, a rate that drops and every kind of randomness that a run has.
EVERY_STEP = ("--set", "train.save_minutes=1e-9")
RICH = (
    "--set", "train.ema=0.9", "--set", 'train.schedule={name="plateau", patience=0, warmup_steps=2}',
    "--set", "train.validation={sdr_every=2}", "--set", "model.layers=2", "--set", "model.dropout=0.3",
    "--set", 'augmentations=[{name="gain"}]', "--set", "train.epochs=4",
)  # fmt: skip

SIGNALS = [
    (signal.SIGINT, 130),
    *(pytest.param(*case, marks=pytest.mark.fuzz) for case in ((signal.SIGTERM, 143), (signal.SIGHUP, 129))),
]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The arguments of a training run in a folder."""
    folder = tmp_path_factory.mktemp("resume")
    config = folder / "small.toml"
    config.write_text(SMALL)
    songs = write_songs(folder / "songs", ["one", "two", "three", "four"], ("vocals", "drums"))
    return lambda run, *more: ("train", config, "--data-dir", songs, "--output-dir", run, *RICH, *more)


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """A run that nothing interrupts."""
    run = tmp_path_factory.mktemp("whole") / "run"
    end(start(*command(run)))
    return run


@pytest.mark.fuzz
def test_row_1_killed_at_random_instants_a_run_ends_as_if_nothing_had_been(command, whole, tmp_path):
    run, rng, kills = tmp_path / "killed", random.Random(1), 0
    while True:
        process = start(*command(run, "--resume", *EVERY_STEP, "--set", "train.workers=1"))
        if kills == 4:
            break
        if not (run / "last_state.safetensors").exists():
            wait_for(run / "last_state.safetensors", process)
        else:
            time.sleep(rng.uniform(3.5, 6))
        process.kill()
        process.communicate()
        kills += 1
    end(process)
    assert same_weights(whole, run)
    assert same_weights(whole, run, "best_model.safetensors")
    assert repeated(run) == repeated(whole)
    assert hidden_files(run) == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_row_3_a_signal_saves_in_the_middle_of_an_epoch_and_says_how_to_go_on(command, whole, tmp_path, number, code):
    run = tmp_path / "stopped"
    process = start(*command(run, "--set", "train.steps_per_epoch=3", *EVERY_STEP), cwd=tmp_path)
    wait_for(run / "last_state.safetensors", process)
    process.send_signal(number)
    out, _ = end(process, code)
    assert hidden_files(run) == []
    last = out.strip().splitlines()[-1].strip()
    assert last.startswith("sepkit train ")
    assert last.endswith(" --resume")
    end(start(*shlex.split(last)[1:], cwd=tmp_path))
    assert same_weights(whole, run)
    assert repeated(run) == repeated(whole)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_row_3_a_signal_to_the_whole_group_leaves_the_workers_alive_until_the_state_is_saved(command, tmp_path):
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        run = tmp_path / str(code)
        process = start(*command(run, "--set", "train.workers=2", *EVERY_STEP), start_new_session=True)
        wait_for(run / "last_state.safetensors", process)
        os.killpg(process.pid, number)
        _, err = end(process, code)
        assert "worker" not in err


def test_an_interrupt_as_json(command, tmp_path):
    run = tmp_path / "stopped"
    process = start(*command(run, "--json", *EVERY_STEP))
    wait_for(run / "last_state.safetensors", process)
    process.send_signal(signal.SIGINT)
    done = json.loads(end(process, 130)[0])
    assert (done["reason"], done["signal"]) == ("interrupted", "SIGINT")
    assert "--resume" in done["go_on"]


def test_interrupted_before_there_is_anything_to_save_the_same_command_starts_again(
    sepkit, command, tmp_path, monkeypatch
):
    loss = Validator._loss

    def interrupted(validator):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss(validator)

    monkeypatch.setattr(Validator, "_loss", interrupted)
    done = sepkit(*command(tmp_path / "r", "--overwrite"))
    assert done.code == 143
    assert "--overwrite" in done.out
    assert "--resume" not in done.out
    assert not (tmp_path / "r" / "last_state.safetensors").exists()


def test_row_1_epochs_that_are_run_again_stand_in_the_history_once(sepkit, small_config, songs, tmp_path):
    """A kill between the renaming of the history and that of the state leaves a row too many."""
    run = tmp_path / "r"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run)
    assert sepkit(*command, "--epochs", 1).code == 0
    state = (run / "last_state.safetensors").read_bytes()
    assert sepkit(*command, "--resume", "--epochs", 3).code == 0
    before = repeated(run)
    (run / "last_state.safetensors").write_bytes(state)
    assert sepkit(*command, "--resume", "--epochs", 3).code == 0
    assert repeated(run) == before


@pytest.mark.parametrize(
    "change", ["losses.0.weight=100", "train.chunk_seconds=0.25", "train.source_weights={vocals=3}"]
)
def test_scores_of_another_measure_are_not_compared(sepkit, small_config, songs, trained, change):
    command = ("train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--epochs", 3)
    if change.startswith("losses"):
        small_config.write_text(small_config.read_text() + '\n[[losses]]\nname = "l1"\n')
    done = sepkit(*command, "--set", change, "--json")
    assert done.code == 0, done.err
    assert "scored by another measure" in done.err
    assert done.json["best_epoch"] == 3
    assert sepkit(*command, "--epochs", 4).err.count("another measure") == 1


def test_the_best_model_by_another_measure_stays_until_there_is_a_better_one(
    sepkit, small_config, songs, trained, monkeypatch
):
    best = trained / "best_model.safetensors"
    before = best.read_bytes()
    command = (
        "train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--json",
        "--set", "train.chunk_seconds=0.25", "--epochs",
    )  # fmt: skip
    assert "another measure" in sepkit(*command, 2).err  # all epochs are done
    take_step = Learner.take_step

    def interrupted(learner, batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return take_step(learner, batch)

    for noted in (True, False):  # the second time the state is that of the first, of the new measure
        with monkeypatch.context() as patch:
            patch.setattr(Learner, "take_step", interrupted)
            done = sepkit(*command, 4)
        assert done.code == 143, done.err
        assert ("another measure" in done.err) == noted
        assert done.json["best_score"] is None
        assert best.read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr(Validator, "_loss", lambda validator: float("nan"))
        assert "no epoch has a finite score" in sepkit(*command, 3).err
    assert best.read_bytes() == before
    done = sepkit(*command, 4)
    assert done.json["best_epoch"] in (3, 4), done.err
    assert best.read_bytes() != before


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("position", {"laps": 3}, "laps"),
        ("stopping", {"mood": 3}, "mood"),
        ("schedule", {"steps": "tensor:lost"}, "lacks 'lost'"),
        ("model", None, "cannot be restored"),
    ],
)
def test_a_state_of_another_version_is_named(sepkit, small_config, songs, trained, part, change, said):
    path = trained / "last_state.safetensors"
    manifest, tensors = tensor_file.read(path)
    for pair in manifest["state"]["pairs"]:
        if pair[0] == part:
            pairs = pair[1]["pairs"]
            pair[1] = {"pairs": [*pairs, *map(list, change.items())]} if change else {"pairs": [[1]]}
    tensor_file.write(path, tensors, manifest)
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", trained, "--resume", "--epochs", 3)
    assert done.code == 1
    assert [text for text in ("last_state", said, "another version of sepkit") if text not in done.err] == []


def test_what_a_run_cannot_overwrite_unasked(sepkit, small_config, songs, tmp_path):
    """A config that somebody wrote, where the run would put its own."""
    mine = tmp_path / "config.toml"
    mine.write_text(small_config.read_text())
    done = sepkit("train", mine, "--data-dir", songs, "--output-dir", tmp_path)
    assert done.code == 2
    assert "config.toml would be replaced" in done.err
    assert mine.read_text() == small_config.read_text()


def test_how_a_run_begins_is_said(sepkit, small_config, songs, tmp_path):
    command = ("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--resume")
    assert f"No run in {tmp_path / 'r'} yet: a new one begins" in sepkit(*command).err
    assert "Resuming after epoch 2" in sepkit(*command, "--epochs", 3).err
    assert "Raise --epochs to continue" in sepkit(*command, "--epochs", 3).out
    state = tmp_path / "r" / "last_state.safetensors"
    state.write_bytes(state.read_bytes()[:-9])
    broken = sepkit(*command, "--epochs", 4)
    assert broken.code == 1
    assert "--resume-from" in broken.err
    state.unlink()
    assert "without its state" in sepkit(*command).err


@pytest.mark.parametrize("epochs_before", [2, *(pytest.param(n, marks=pytest.mark.fuzz) for n in (1, 3))])
def test_row_5_patience_rate_drops_and_the_best_survive_a_stop(sepkit, small_config, songs, tmp_path, epochs_before):
    """The rate is so high that nothing gets better after the first epochs: it drops, and patience ends the run."""
    rough = (
        "--set", "train.patience=4", "--set", "train.optimizer.lr=0.3",
        "--set", 'train.schedule={name="plateau", patience=0, factor=0.3}', "--json",
        "--set", "train.validation.sdr_every=0",
    )  # fmt: skip
    command = ("train", small_config, "--data-dir", songs, *rough)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    reference = sepkit(*command, "--output-dir", straight, "--epochs", 40).json
    assert reference["reason"] == "no improvement"
    assert len({row["lr"] for row in history(straight)}) >= 3
    stop_at = reference["epochs"] - epochs_before
    assert sepkit(*command, "--output-dir", stopped, "--epochs", stop_at).json["epochs"] == stop_at
    resumed = sepkit(*command, "--output-dir", stopped, "--epochs", 40, "--resume").json
    assert {**resumed, "best_model": "", "history": ""} == {**reference, "best_model": "", "history": ""}
    assert repeated(stopped) == repeated(straight)
    assert same_weights(straight, stopped)
    assert same_weights(straight, stopped, "best_model.safetensors")


def test_row_10_a_run_started_with_two_workers_goes_on_with_none(command, whole, tmp_path):
    run = tmp_path / "workers"
    process = start(*command(run, "--set", "train.workers=2", *EVERY_STEP))
    wait_for(run / "last_state.safetensors", process)
    process.terminate()
    end(process, 143)
    assert history_length(run) < 4
    end(start(*command(run, "--set", "train.workers=0", "--resume")))
    assert same_weights(whole, run)
    assert repeated(run) == repeated(whole)


def history_length(run):
    return len(history(run)) if (run / "history.jsonl").exists() else 0


def test_two_processes_never_train_in_one_folder(command, tmp_path):
    run = tmp_path / "r"
    first = start(*command(run, "--set", "train.epochs=1000", *EVERY_STEP))
    wait_for(run / "last_state.safetensors", first)
    _, err = end(start(*command(run, "--set", "train.epochs=1000", "--resume")), 2)
    first.terminate()
    end(first, 143)
    assert "another process trains in" in err


def test_what_a_killed_run_left_unfinished_is_removed(sepkit, command, tmp_path):
    run = tmp_path / "r"
    run.mkdir()
    (run / ".last_state.safetensors.abc.part").write_bytes(b"half")
    (run / ".of somebody else.part").write_bytes(b"")
    assert sepkit(*command(run, "--epochs", 1)).code == 0
    assert hidden_files(run) == [".of somebody else.part"]


def test_torchrun_is_part_of_the_command_that_goes_on(monkeypatch):
    import click

    from sepkit.cli.command_line import rerun_command
    from sepkit.cli.train import train

    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    args = ["c o.toml", "--set", "a=1", "--set", "b=[1, 2]", "--overwrite", "--output-dir", "x", "--json"]
    with click.Context(click.Group("sepkit"), info_name="sepkit") as parent:
        context = train.make_context("train", args, parent=parent)
    torchrun = shlex.join(program("torchrun", "torch.distributed.run"))
    assert rerun_command(context, without=("overwrite",), adding=("--resume",)) == (
        f"{torchrun} --nnodes 2 --nproc-per-node 2 -m sepkit train 'c o.toml' --set a=1 --set 'b=[1, 2]' "
        "--output-dir x --json --resume"
    )
