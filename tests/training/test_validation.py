"""What is validated is what is saved, and what users get from it."""

import pytest
import torch

from sepkit import config as configs
from sepkit.checkpoints import model_file
from sepkit.config import Shortcuts
from sepkit.data.loader import Data
from sepkit.training.learner import Learner
from sepkit.training.ranks import Ranks
from sepkit.training.validation import Validation, Validator, measure_of
from tests.training.runs import history, same_weights

SOURCES = ("--set", 'audio.sources=["vocals", "drums"]')


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_the_best_model_is_what_was_validated_and_scores_as_validated(sepkit, small_config, songs, tmp_path, ema):
    """With an average, the average: loaded back, it has the loss and the SDR that the history says."""
    run = tmp_path / "r"
    settings = (*SOURCES, "--set", f"train.ema={ema}", "--set", "train.validation.sdr_every=1", "--epochs", 3,
                "--set", "train.optimizer.lr=5e-3")  # fmt: skip
    assert sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, *settings).code == 0
    best = next(row for row in history(run) if row["epoch"] == max(r["epoch"] for r in history(run) if r["best"]))
    config = configs.load(run / "config.toml")
    loaded = model_file.load(run / "best_model.safetensors")
    learner = Learner(config, loaded.network(), 1, Ranks(torch.device("cpu")))
    found = Validator(config, Data(config), learner, lambda: None)(0)
    assert found.loss == best["validation_loss"]
    assert found.sdr == best["sdr"]
    assert loaded.manifest.metrics["sdr_drums"] == best["sdr"]["drums"]
    live = model_file.load(run / "last_state.safetensors").weights
    averages = [name for name in live if "gru" in name]
    same = all(torch.equal(live[name], loaded.weights[name]) for name in averages)
    assert same == (not ema and best["epoch"] == 3)


def test_the_sdr_is_that_of_evaluate(sepkit, small_config, songs, tmp_path):
    run = tmp_path / "r"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, *SOURCES)
    assert sepkit(*command, "--epochs", 1, "--set", "train.validation.sdr_every=1").code == 0
    config = configs.load(small_config, [SOURCES[1]], Shortcuts(data_dir=songs))
    (held_out,) = Data(config).validation_tracks
    to = ("--output-dir", tmp_path / "e", "--no-report")
    done = sepkit("evaluate", "--song-dir", songs / held_out.name, "-m", run, "--no-cost", "--json", *to)
    own = (row for row in done.json["medians"] if row["metric"] == "sdr" and row["estimate"] in done.json["estimates"])
    scores = {row["stem"]: row["median"] for row in own}
    for source, value in history(run)[0]["sdr"].items():
        assert scores[source] == pytest.approx(value, abs=1e-5)  # a file may be run by another backend


def test_sdr_is_measured_at_its_interval_and_before_the_first_epoch(sepkit, small_config, songs, tmp_path):
    run = tmp_path / "r"
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, "--epochs", 5)
    done = sepkit(*command, "--set", "train.validation.sdr_every=2")
    assert [row["sdr"] is not None for row in history(run)] == [False, True, False, True, True]
    before = next(line for line in done.err.splitlines() if line.startswith("before training"))
    assert "SDR vocals" in before
    never = sepkit(*command, "--overwrite", "--set", "train.validation.sdr_every=0")
    assert "SDR" not in never.err
    assert all(row["sdr"] is None for row in history(run))


def test_what_is_measured_changes_nothing_that_is_learned(sepkit, small_config, songs, tmp_path):
    """Dropout draws from the generator from which the separator's network gets its first weights."""
    command = ("train", small_config, "--data-dir", songs, "--set", "model.layers=2", "--set", "model.dropout=0.5")
    for every in (0, 1):
        done = sepkit(*command, "--output-dir", tmp_path / str(every), "--set", f"train.validation.sdr_every={every}")
        assert done.code == 0, done.err
    assert same_weights(tmp_path / "0", tmp_path / "1")


def test_sdr_can_choose_the_best_model(sepkit, small_config, songs, tmp_path):
    run = tmp_path / "r"
    monitored = ("--set", 'train.validation={monitor="sdr", sdr_every=2}', "--set", "train.patience=3", "--json")
    command = ("train", small_config, "--data-dir", songs, "--output-dir", run, "--epochs", 60)
    done = sepkit(*command, *monitored, "--set", "train.optimizer.lr=0.1").json
    rows = history(run)
    measured = {row["epoch"]: row["sdr"]["vocals"] for row in rows if row["sdr"]}
    assert done["monitor"] == "sdr"
    assert done["best_epoch"] % 2 == 0
    assert done["best_score"] == measured[done["best_epoch"]] == max(measured.values())
    assert done["reason"] == "no improvement"
    assert len(rows) == done["best_epoch"] + 3
    assert sum(row["best"] for row in rows) >= 1
    for settings in (
        'train.validation={monitor="sdr", sdr_every=0}',
        "train.validation.monitor=sdr",
        "train.patience=1",
    ):
        rare = ("--set", 'train.validation={monitor="sdr", sdr_every=9}') if "patience" in settings else ()
        refused = sepkit(*command, *rare, "--set", settings, "--epochs", 9)
        assert refused.code == 2
        assert "sdr_every" in refused.err


def test_scores():
    assert Validation(0.5).score("loss") == 0.5
    assert Validation(0.5).score("sdr") is None
    assert Validation(0.5, {"a": 4.0, "b": None, "c": 2.0}).score("sdr") == -3.0
    assert Validation(0.5, {"a": None}).score("sdr") is None
    assert not Validation(float("nan"), {"a": 4.0}).score("sdr") < 0


SDR_MONITOR = ('train.validation={monitor="sdr", sdr_every=1}',)


@pytest.mark.parametrize(
    ("monitor", "change", "differs"),
    [
        (SDR_MONITOR, 'metrics=[{name="sdr", frame_seconds=0.5}]', True),
        (SDR_MONITOR, 'metrics=[{name="sdr"}]', False),
        (SDR_MONITOR, "separate.overlap=0.5", True),
        (SDR_MONITOR, "separate.chunk_seconds=3", True),
        (SDR_MONITOR, 'separate.residual="others"', False),
        ((), 'metrics=[{name="sdr", frame_seconds=0.5}]', False),
        ((), "separate.overlap=0.5", False),
    ],
)
def test_what_an_sdr_depends_on_is_part_of_its_measure_alone(small_config, monitor, change, differs):
    before, after = (measure_of(configs.load(small_config, [*monitor, *more]), ["one"]) for more in ((), (change,)))
    assert (before != after) == differs
