"""The commands as users type them, from songs to stems and scores."""

import json
import os
import re
import signal
import sys

import numpy as np
import pytest
import soundfile
import torch

from sepkit import demo as demos
from sepkit.training.display import Display
from tests.conftest import CONFIGS
from tests.training.runs import same_weights


def test_train_writes_the_run_directory(trained):
    names = {re.sub(r"^(events)\.out.*|\.[0-9a-f]{12}(?=\.onnx)", r"\1", path.name) for path in trained.iterdir()}
    assert names == {
        "config.toml", "best_model.safetensors", "best_model.onnx", "last_state.safetensors", "history.jsonl",
        "curves.png", "events",
    }  # fmt: skip
    rows = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["step"] for row in rows] == [3, 6]
    assert all(row["train_loss"] > 0 and row["validation_loss"] > 0 for row in rows)


def test_train_reports_json_alone_on_stdout(sepkit, small_config, songs, tmp_path):
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--epochs", 1, "--json")
    assert done.json["epochs"] == 1
    assert done.json["reason"] == "all epochs done"


def test_separate_keeps_rate_channels_and_length_and_adds_up(sepkit, trained, songs, tmp_path):
    for rate, channels in ((8000, 1), (44100, 2), (48000, 6), (11025, 2)):
        song = tmp_path / f"s{rate}.wav"
        mixture = np.random.default_rng(0).uniform(-0.3, 0.3, (rate + 7, channels))
        soundfile.write(song, mixture, rate, subtype="PCM_16")
        mixture = soundfile.read(song)[0].reshape(rate + 7, channels)
        for depth, tolerance in (("16", 1e-4), ("24", 1e-6), ("float", 1e-6)):
            out = tmp_path / f"{rate}-{depth}"
            done = sepkit("separate", song, "-m", trained, "-o", out, "--bit-depth", depth)
            assert done.code == 0, done.err
            stems = {p.stem: soundfile.read(p, always_2d=True) for p in (out / song.stem).iterdir()}
            assert stems.keys() == {"vocals", "accompaniment"}
            assert all(r == rate and data.shape == mixture.shape for data, r in stems.values())
            np.testing.assert_allclose(sum(data for data, _ in stems.values()), mixture, atol=tolerance, rtol=0)


def test_separate_to_one_file_and_named_stems(sepkit, trained, songs, tmp_path):
    song = songs / "one" / "mixture.wav"
    assert sepkit("separate", song, "-m", trained, "-o", tmp_path / "voice.wav").code == 0
    done = sepkit(
        "separate", song, "-m", trained, "-o", tmp_path / "o", "--residual", "karaoke", "--stems", "karaoke", "--json"
    )
    assert list(done.json["tracks"][0]["files"]) == ["karaoke"]
    voice, karaoke = soundfile.read(tmp_path / "voice.wav")[0], soundfile.read(tmp_path / "o/mixture/karaoke.wav")[0]
    np.testing.assert_allclose(voice + karaoke, soundfile.read(song)[0], atol=1e-4)
    assert [p.name for p in (tmp_path / "o" / "mixture").iterdir()] == ["karaoke.wav"]
    assert sepkit("separate", song, "-m", trained, "-o", tmp_path / "n", "--no-residual").code == 0
    assert [p.name for p in (tmp_path / "n" / "mixture").iterdir()] == ["vocals.wav"]


def test_separate_refuses_to_replace_and_replaces_when_told(sepkit, trained, songs, tmp_path):
    command = ("separate", songs / "one" / "mixture.wav", "-m", trained, "-o", tmp_path / "o")
    assert sepkit(*command).code == 0
    first = (tmp_path / "o/mixture/vocals.wav").read_bytes()
    refused = sepkit(*command)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert sepkit(*command, "--overwrite").code == 0
    assert (tmp_path / "o/mixture/vocals.wav").read_bytes() == first


def test_a_batch_goes_on_after_a_bad_file_and_keeps_equal_names_apart(sepkit, trained, songs, tmp_path):
    samples = soundfile.read(songs / "one" / "mixture.wav")[0]
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    soundfile.write(tmp_path / "a.flac", samples, 8000)
    (tmp_path / "b.wav").write_text("text")
    soundfile.write(tmp_path / "c.wav", samples, 8000)
    inputs = [tmp_path / name for name in ("a.wav", "b.wav", "a.flac", "c.wav")]
    done = sepkit("separate", *inputs, "-m", trained, "-o", tmp_path / "o")
    assert done.code == 1
    assert "b.wav" in done.err
    assert "3 ok, 1 failed" in done.out
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"a.wav", "a.flac", "c"}


def test_songs_of_one_name_in_many_folders_are_kept_apart(sepkit, trained, songs, tmp_path):
    inputs = sorted(songs.glob("*/mixture.wav"))
    assert sepkit("separate", *inputs, "-m", trained, "-o", tmp_path / "o").code == 0
    assert {p.name for p in (tmp_path / "o").iterdir()} == {f"{p.parent.name}-mixture" for p in inputs}


def test_overwrite_replaces_the_stems_and_nothing_else(sepkit, trained, songs, tmp_path):
    soundfile.write(tmp_path / "one.wav", soundfile.read(songs / "one" / "mixture.wav")[0], 8000)
    before = {p.name: p.read_bytes() for p in (songs / "one").iterdir()}
    done = sepkit("separate", tmp_path / "one.wav", "-m", trained, "-o", songs, "--overwrite")
    assert done.code == 0
    after = {p.name: p.read_bytes() for p in (songs / "one").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"vocals.wav"}
    assert set(after) - set(before) == {"accompaniment.wav"}


def test_no_name_leads_out_of_the_output_folder_and_no_input_is_written_over(sepkit, trained, songs, tmp_path):
    samples = soundfile.read(songs / "one" / "mixture.wav")[0]
    for name in ("...wav", "..wav"):
        with (tmp_path / name).open("wb") as file:
            soundfile.write(file, samples, 8000, format="WAV")
        assert sepkit("separate", tmp_path / name, "-m", trained, "-o", tmp_path / "deep" / "out").code == 0
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"out"}
    assert all(p.is_dir() for p in (tmp_path / "deep" / "out").iterdir())
    soundfile.write(tmp_path / "one.wav", samples, 8000)
    before = (songs / "one" / "vocals.wav").read_bytes()
    both = (tmp_path / "one.wav", songs / "one" / "vocals.wav")
    done = sepkit("separate", *both, "-m", trained, "-o", songs, "--overwrite")
    assert done.code == 1
    assert "one/vocals.wav is one of the songs" in done.err
    assert (songs / "one" / "vocals.wav").read_bytes() == before


def test_samples_that_are_not_finite_are_reported_and_never_written(sepkit, trained, tmp_path):
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (4000, 1))
    samples[100:103] = [[np.nan], [np.inf], [-np.inf]]
    soundfile.write(tmp_path / "bad.wav", samples, 8000, subtype="FLOAT")
    done = sepkit("separate", tmp_path / "bad.wav", "-m", trained, "-o", tmp_path / "o", "--bit-depth", "float")
    assert done.code == 0
    assert "bad.wav" in done.err
    assert "not finite" in done.err
    assert all(np.isfinite(soundfile.read(p)[0]).all() for p in (tmp_path / "o" / "bad").iterdir())


def test_a_batch_survives_any_exception_and_says_each_on_one_line(sepkit, trained, songs, tmp_path):
    song = songs / "one" / "mixture.wav"
    done = sepkit("separate", tmp_path / "no\nfile.wav", song, song, "-m", trained, "-o", tmp_path / "o")
    assert done.code == 1
    assert done.err.count("Error") == 1
    assert "1 ok, 1 failed" in done.out


def test_help_shows_the_first_steps_on_lines_of_their_own(sepkit):
    assert "\n    sepkit demo " in sepkit("--help").out
    assert "\b" not in sepkit("--help").out


def test_a_symbolic_link_at_the_output_is_left_alone(sepkit, trained, songs, tmp_path):
    treasure = tmp_path / "treasure.wav"
    treasure.write_text("gold")
    (tmp_path / "o" / "mixture").mkdir(parents=True)
    (tmp_path / "o" / "mixture" / "vocals.wav").symlink_to(treasure)
    song = songs / "one" / "mixture.wav"
    assert sepkit("separate", song, "-m", trained, "-o", tmp_path / "o", "--overwrite").code == 2
    assert treasure.read_text() == "gold"


def test_clipping_stems_get_one_gain_that_is_reported(sepkit, trained, tmp_path):
    song = tmp_path / "loud.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-3, 3, (8000, 1)), 8000, subtype="FLOAT")
    done = sepkit("separate", song, "-m", trained, "-o", tmp_path / "pcm", "--json")
    gain = done.json["tracks"][0]["gain"]
    assert gain < 1
    assert "turned down" in done.err
    total = sum(soundfile.read(p)[0] for p in (tmp_path / "pcm" / "loud").iterdir())
    np.testing.assert_allclose(total, gain * soundfile.read(song)[0], atol=1e-4)
    done = sepkit("separate", song, "-m", trained, "-o", tmp_path / "float", "--bit-depth", "float", "--json")
    assert done.json["tracks"][0]["gain"] == 1


def test_models_list_and_info(sepkit, trained):
    assert "crnn" in [row["name"] for row in sepkit("models", "list", "--json").json["models"]]
    info = sepkit("models", "info", trained / "best_model.safetensors", "--json").json
    assert info["audio"]["sources"] == ["vocals"]
    assert info["parameters"] > 0
    assert info["gflop_per_minute"] > 0
    crnn = sepkit("models", "info", "crnn")
    assert "parameters" in crnn.out


def test_doctor_knows_what_is_missing(sepkit, monkeypatch):
    checks = {c["name"]: c for c in sepkit("doctor", "--json").json["checks"]}
    assert checks["torch"]["state"] == "ok"
    assert checks["plugin sepkit:builtin"]["state"] == "ok"
    monkeypatch.setenv("PATH", "")
    done = sepkit("doctor", "--json")
    missing = {c["name"]: c for c in done.json["checks"]}["ffmpeg"]
    assert missing["state"] == "missing"
    assert "install" in missing["detail"]
    assert done.code == 0


def test_doctor_survives_a_broken_package(sepkit, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    done = sepkit("doctor", "--json")
    assert done.code == 1
    found = {c["name"]: c for c in done.json["checks"]}["torchaudio"]
    assert found["state"] == "broken"
    assert "of one release and one build" in found["detail"]


def test_config_show_fills_in_every_default(sepkit):
    shown = sepkit("config", "show", CONFIGS / "tiny-cpu.toml", "--set", "seed=5")
    assert "seed = 5" in shown.out
    assert "patience = 15" in shown.out
    assert sepkit("config", "show", "--json").json["model"]["name"] == "crnn"
    assert sepkit("config", "schema", "--json").json["additionalProperties"] is False


@pytest.fixture
def tiny_demo(monkeypatch):
    """A demo of a few short songs, and of three small steps an epoch."""
    monkeypatch.setattr("sepkit.demo._SONGS", {"train": 2, "validation": 1, "test": 1, "seconds": 6.0})
    shown = demos.demo_config

    def few_steps(folder, epochs=None):
        config = shown(folder, epochs)
        small = {"steps_per_epoch": 3, "batch_size": 2, "chunk_seconds": 1.0}
        return config.model_copy(update={"train": config.train.model_copy(update=small)})

    monkeypatch.setattr(demos, "demo_config", few_steps)


def test_demo_leaves_a_model_stems_and_scores_and_goes_on_where_it_was_stopped(
    sepkit, tmp_path, tiny_demo, monkeypatch
):
    command = ("demo", "--epochs", 2, "--output-dir")
    done = sepkit(*command, tmp_path / "demo", "--json")
    assert done.code == 0, done.err
    assert {row["stem"] for row in done.json["evaluation"]["medians"]} == {"vocals", "accompaniment"}
    mixture = soundfile.info(done.json["mixture"])
    for file in done.json["stems"].values():
        assert soundfile.info(file).frames == mixture.frames

    step_done, steps = Display.step_done, []

    def interrupt(watch, *figures):
        step_done(watch, *figures)
        steps.append(figures)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Display, "step_done", interrupt)
    stopped = sepkit(*command, tmp_path / "stopped")
    assert stopped.code == 130
    last = stopped.out.strip().splitlines()[-1].strip()
    assert last == f"sepkit demo --output-dir {tmp_path / 'stopped'} --epochs 2"
    reasons = [demos.train_demo(tmp_path / "stopped", torch.device("cpu"), 2, print).reason for _ in range(2)]
    assert reasons == ["all epochs done", "all epochs done before"]
    assert len(steps) == 6
    assert same_weights(tmp_path / "demo" / "checkpoints", tmp_path / "stopped" / "checkpoints")


def test_demo_never_replaces_a_run_that_is_not_its_own(sepkit, trained, tmp_path):
    trained.rename(tmp_path / "checkpoints")
    done = sepkit("demo", "--output-dir", tmp_path)
    assert done.code == 2
    assert (tmp_path / "checkpoints" / "best_model.safetensors").exists()


@pytest.mark.parametrize("verb", ["train", "separate", "evaluate", "demo", "doctor"])
def test_every_verb_has_help_with_json_and_debug(sepkit, verb):
    done = sepkit(verb, "--help")
    assert done.code == 0
    assert "--json" in done.out
    assert "--debug" in done.out
