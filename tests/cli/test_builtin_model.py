"""The model that comes with sepkit: used where no other is named, in half precision, and never written beside."""

import json

import numpy as np
import pytest
import soundfile
import torch

from sepkit.atomic import Commit
from sepkit.checkpoints import model_file, packaged, tensor_file

SCORE = "vocals 5.1 dB on 14 singers"


@pytest.fixture(scope="session")
def half_model(small_model, tmp_path_factory):
    """The small model with its matrices in half precision."""
    manifest, weights = tensor_file.read(small_model)
    halved = {name: weight.half() if weight.ndim > 1 else weight for name, weight in weights.items()}
    path = tmp_path_factory.mktemp("package") / "vocals.safetensors"
    with Commit() as commit:
        tensor_file.stage(commit, path, halved, manifest | {"score": SCORE, "licence": "CC0"})
    return path


@pytest.fixture
def song(tmp_path, monkeypatch):
    """A song in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEPKIT_MODEL", raising=False)
    noise = np.random.default_rng(0).standard_normal((4000, 1))
    soundfile.write("song.wav", 0.1 * noise, 8000, "FLOAT")
    return tmp_path / "song.wav"


@pytest.fixture
def built_in(half_model, monkeypatch):
    monkeypatch.setattr(packaged, "PATH", half_model)
    return half_model


def stem(folder):
    return soundfile.read(folder / "song" / "vocals.wav")[0]


def test_it_separates_where_no_model_is_named_and_says_so_once(sepkit, song, built_in):
    done = sepkit("separate", song, "-o", "out", "--json")
    assert done.code == 0
    assert done.json["ok"] == 1
    (notice,) = (line for line in done.err.splitlines() if "built-in" in line)
    assert SCORE in notice
    assert "-m spleeter" in notice
    assert stem(song.parent / "out").any()


def test_by_its_name_it_separates_without_a_word(sepkit, song, built_in):
    done = sepkit("separate", song, "-m", "vocals", "-o", "out")
    assert done.code == 0
    assert "built-in" not in done.err


@pytest.mark.parametrize("way", ["-m", "$SEPKIT_MODEL", "checkpoints"])
def test_a_named_model_and_the_run_of_the_working_folder_come_first(
    sepkit, song, built_in, small_model, monkeypatch, way
):
    if way == "$SEPKIT_MODEL":
        monkeypatch.setenv("SEPKIT_MODEL", str(small_model))
    elif way == "checkpoints":
        (song.parent / "checkpoints").symlink_to(small_model.parent)
    done = sepkit("separate", song, "-o", "out", *(["-m", small_model] if way == "-m" else []))
    assert (done.code, "built-in" in done.err) == (0, False)


def test_a_file_of_that_name_comes_first(sepkit, song, built_in):
    (song.parent / "vocals").write_text("no model")
    done = sepkit("separate", song, "-m", "vocals", "-o", "out")
    assert done.code == 1
    assert "vocals: corrupt, or no safetensors file" in done.err


def test_its_export_is_kept_in_the_cache_and_its_folder_stays_as_it_was(sepkit, song, built_in, tmp_path):
    sepkit("separate", song, "-o", "out")
    assert [path.name for path in built_in.parent.iterdir()] == ["vocals.safetensors"]
    assert len(list((tmp_path / "cache" / "onnx").glob("vocals.*.onnx"))) == 1


def test_models_shows_it(sepkit, built_in):
    (row,) = (row for row in sepkit("models", "list", "--json").json["pretrained"] if row["name"] == "vocals")
    assert (row["score"], row["licence"], row["sources"]) == (SCORE, "CC0", ["vocals"])
    assert row["on_disk"] == str(built_in)
    assert SCORE in sepkit("models", "list").out.replace("\n", " ")
    about = sepkit("models", "info", "vocals", "--json").json
    assert about["dtypes"].keys() == {"float16", "float32", "int64"}
    assert about["score"] == SCORE


def test_a_damaged_one_is_named(sepkit, song, built_in, tmp_path, monkeypatch):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(built_in.read_bytes()[:-1])
    monkeypatch.setattr(packaged, "PATH", damaged)
    done = sepkit("separate", song)
    assert done.code == 1
    assert "damaged.safetensors: corrupt" in done.err


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_half_precision_separates_like_the_whole(sepkit, song, half_model, small_model, backend):
    for name, model in (("half", half_model), ("whole", small_model)):
        assert sepkit("separate", song, "-m", model, "-o", name, "--backend", backend, "--bit-depth", "float").code == 0
    half, whole = stem(song.parent / "half"), stem(song.parent / "whole")
    assert 0 < np.abs(half - whole).max() < 0.01 * np.abs(whole).max()


def test_half_precision_is_read_as_float32_at_any_rate(half_model):
    loaded = model_file.load(half_model)
    wide = loaded.full_band(loaded.manifest.audio.__class__(16000, 2, ("vocals",)))
    for network in (loaded.network(), wide):
        assert {weight.dtype for weight in network.state_dict().values()} == {torch.float32, torch.int64}


def test_half_precision_can_be_tuned(sepkit, small_config, songs, half_model, tmp_path):
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "tuned", "--resume-from", half_model,
        "--epochs", 1,
    )  # fmt: skip
    assert done.code == 0
    assert "Left behind" not in done.err
    assert {w.dtype for w in model_file.load(tmp_path / "tuned" / "best_model.safetensors").weights.values()} == {
        torch.float32, torch.int64,
    }  # fmt: skip


@pytest.mark.skipif(not packaged.PATH.is_file(), reason="no model is packaged")
def test_the_one_that_is_shipped_is_small_and_says_what_it_is():
    assert packaged.PATH.stat().st_size <= 7_000_000
    manifest = model_file.load(packaged.PATH).manifest
    assert manifest.audio.sources == ("vocals",)
    assert "dB" in manifest.score
    assert all(manifest.learned_from)
    assert "CC BY-SA 4.0" in json.dumps([manifest.licence, *manifest.learned_from])
