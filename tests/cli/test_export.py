"""`sepkit export` as users type it, and the program on its page, run where there is no PyTorch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sepkit import config
from sepkit.checkpoints import model_file, tensor_file
from sepkit.export import sealed
from sepkit.separation import Separator
from tests.checkpoints.torch_zip import model
from tests.cli.test_bad_input import one_line
from tests.separation.engine.test_folding import lively

PAGE = Path(__file__).parent.parent.parent / "docs" / "onnx.md"

PLUGIN = """
from typing import Literal
import torch
from sepkit import ModelConfig, hookimpl

class Waves(ModelConfig):
    name: Literal["waves"] = "waves"

    def build(self, audio):
        return torch.nn.Linear(1, 1)

@hookimpl
def sepkit_models():
    return [Waves]
"""


@pytest.fixture
def path(small_config, tmp_path):
    return model(small_config, tmp_path / "m.safetensors")


def test_a_model_is_exported_beside_itself(sepkit, path):
    done = sepkit("export", path, "--format", "onnx", "--json")
    assert done.code == 0, done.err
    file = path.with_suffix(".onnx")
    assert done.json == {
        "file": str(file),
        "bytes": file.stat().st_size,
        "model": str(path),
        "sha256": model_file.load(path).checksum,
    }
    assert done.err == ""
    assert sealed.read(file)


def test_what_was_written_and_what_to_do_with_it_is_said(sepkit, path, tmp_path):
    file = tmp_path / "new" / "voice.onnx"
    done = sepkit("export", path, "-o", file)
    assert (done.code, done.err) == (0, "")
    for text in (str(file), " MB", "docs/onnx.md"):
        assert text in done.out
    assert sorted(p.name for p in file.parent.iterdir()) == ["voice.onnx"]


def test_nothing_is_replaced_unless_asked_for(sepkit, path, tmp_path):
    file, before = path.with_suffix(".onnx"), path.read_bytes()
    file.write_text("mine")
    one_line(sepkit("export", path), 2, f"{file} exists", "--overwrite", "-o")
    assert file.read_text() == "mine"
    one_line(sepkit("export", path, "-o", tmp_path / "m.safetensors", "--overwrite"), 2, "m.safetensors", ".onnx")
    same = tmp_path / "link.onnx"
    os.link(path, same)
    one_line(sepkit("export", path, "-o", same, "--overwrite"), 2, "link.onnx is the model file")
    (tmp_path / "folder.onnx").mkdir()
    one_line(sepkit("export", path, "-o", tmp_path / "folder.onnx", "--overwrite"), 2, "folder.onnx is a folder")
    unwritable = file / "x.onnx"
    one_line(sepkit("export", path, "-o", unwritable), 1, f"{unwritable}: cannot be written (", "; give another -o")
    assert path.read_bytes() == before
    assert sepkit("export", path, "--overwrite").code == 0
    assert sealed.read(file)


def test_bad_models_and_formats_are_one_line(sepkit, path, tmp_path):
    one_line(sepkit("export", tmp_path / "no.safetensors"), 1, "no.safetensors")
    one_line(sepkit("export", path, "--format", "tflite"), 2, "tflite", "onnx")
    path.write_bytes(path.read_bytes()[:-5])
    one_line(sepkit("export", path), 1, "m.safetensors", "corrupt")
    assert not path.with_suffix(".onnx").exists()


def test_a_model_without_a_mask_network_says_so(sepkit, install_plugin, tmp_path):
    install_plugin("sepkit-waves", "waves", "sepkit_waves", PLUGIN)
    settings = config.validate({"model": {"name": "waves"}}, "test")
    path = tmp_path / "w.safetensors"
    tensor_file.write(path, settings.model.build(settings.audio).state_dict(), model_file.manifest_of(settings))
    one_line(
        sepkit("export", path),
        1,
        "w.safetensors",
        'the model "waves" of sepkit-waves has no mask network',
        f"runs in PyTorch only: sepkit separate SONG -m {path}",
    )
    assert not path.with_suffix(".onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(sepkit, path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    one_line(sepkit("export", path), 2, f"needs {package}: pip install {package}")
    checks = {check["name"]: check for check in sepkit("doctor", "--json").json["checks"]}
    assert checks[package]["state"] == "broken"
    assert f"pip install --force-reinstall {package}" in checks[package]["detail"]


@pytest.fixture
def broken_runtime(monkeypatch, tmp_path):
    """An ONNX Runtime that is installed, and lacks a library."""
    package = tmp_path / "site" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libgone.so: cannot open shared object file')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(package.parent)


@pytest.mark.usefixtures("broken_runtime")
def test_a_broken_package_is_named(sepkit, path):
    why = ("libgone.so: cannot open shared object file", "pip install --force-reinstall")
    one_line(sepkit("export", path), 2, "onnxruntime is installed, but does not import", *why)
    done = sepkit("doctor", "--json")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert (done.code, checks["onnxruntime"]["state"]) == (1, "broken")
    assert all(words in checks["onnxruntime"]["detail"] for words in (*why, "reinstall onnxruntime"))


@pytest.mark.parametrize("exported_before", [False, True])
def test_with_a_broken_package_songs_of_all_kinds_are_separated_with_one_warning(
    sepkit, path, tmp_path, request, exported_before
):
    for rate in (8000, 16000):
        soundfile.write(tmp_path / f"{rate}.wav", np.zeros((rate, 2)), rate)
    command = (
        "separate",
        tmp_path / "8000.wav",
        tmp_path / "16000.wav",
        "-m",
        path,
        "--overwrite",
        "-o",
        tmp_path / "o",
    )
    if exported_before:
        assert sepkit(*command).err.count("Warning") == 0
    request.getfixturevalue("broken_runtime")
    done = sepkit(*command)
    (warning,) = [line for line in done.err.splitlines() if line.startswith("Warning")]
    assert "onnxruntime is installed, but does not import (ImportError: libgone.so" in warning
    assert "so PyTorch does, which is slower" in warning
    assert (done.code, len(list((tmp_path / "o").rglob("*.wav")))) == (0, 4)


def test_the_doctor_knows_the_version(sepkit):
    checks = {check["name"]: check for check in sepkit("doctor", "--json").json["checks"]}
    assert (checks["onnxruntime"]["state"], checks["onnxruntime"]["detail"][:2]) == ("ok", "1.")


# The page


def program(folder):
    """Write the program on the page to a file."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = folder / "separate.py"
    path.write_text(code)
    return path


def run_without_torch(*args):
    code = "import runpy, sys; sys.modules['torch'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def learned(small_config, path):
    """Write the model file of a network with masks from 0 to 1, for chunks of a second."""
    settings = config.load(small_config, ("separate.chunk_seconds=1.0",))
    torch.manual_seed(0)
    network = lively(settings.model.build(settings.audio))
    with torch.no_grad():
        network.mask_network.decoder[-1].weight.mul_(20)
    tensor_file.write(path, network.state_dict(), model_file.manifest_of(settings))
    return path


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2)])
def test_the_program_on_the_page_separates_as_sepkit_does(small_config, sepkit, tmp_path, rate, channels):
    path = learned(small_config, tmp_path / "m.safetensors")
    assert sepkit("export", path).code == 0
    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, rate)).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", mixture.T, rate, subtype="FLOAT")
    run_without_torch(program(tmp_path), path.with_suffix(".onnx"), tmp_path / "song.wav", tmp_path / "voice.wav")
    found = soundfile.read(tmp_path / "voice.wav", always_2d=True)[0].T
    expected = Separator.load(path, device="cpu")(torch.from_numpy(mixture), rate)["vocals"].numpy()
    assert found.shape == expected.shape
    assert np.abs(expected - mixture / 2).max() > 0.1  # it does something
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_the_program_on_the_page_separates_long_songs_in_chunks(small_config, sepkit, tmp_path):
    path = learned(small_config, tmp_path / "m.safetensors")
    assert sepkit("export", path).code == 0
    song, voice = tmp_path / "song.wav", tmp_path / "voice.wav"
    mixture = np.random.default_rng(0).uniform(-0.5, 0.5, 28000).astype(np.float32)
    soundfile.write(song, mixture, 8000, subtype="FLOAT")
    run_without_torch(program(tmp_path), path.with_suffix(".onnx"), song, voice)
    found = soundfile.read(voice)[0]
    expected = Separator.load(path, device="cpu")(torch.from_numpy(mixture[None]), 8000)["vocals"][0].numpy()
    assert found.shape == expected.shape
    error = np.square(found - expected).mean() / np.square(expected).mean()
    assert error < 1e-3
