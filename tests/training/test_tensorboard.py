"""What TensorBoard reads of a run, and that no failure to write it ends the run."""

import io
import logging
import shutil
import subprocess
import sys
import threading
import wave

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib import colormaps

from sepkit.errors import AudioError
from sepkit.training import display, tensorboard
from sepkit.training.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="an optional extra")


def row(step, **values):
    usual = {
        "epoch": step // 10, "step": step, "train_loss": 1 / step, "validation_loss": 2 / step,
        "sdr": {"vocals": 0.1 * step, "drums": None}, "lr": 1e-3, "skipped": 2, "chunks_per_second": 80.5,
        "seconds": 12.3, "best": True,
    }  # fmt: skip
    return {**usual, **values}


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "audio": 0, "images": 0}).Reload()


def scalars(folder, tag):
    return [(event.step, pytest.approx(event.value)) for event in read(folder).Scalars(tag)]


def written(folder):
    return [file for file in folder.iterdir() if "tfevents" in file.name]


def told(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("sepkit") and r.levelno >= logging.WARNING]


@pytest.fixture(autouse=True)
def _starts_no_thread():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_numbers_of_each_epoch_are_read_back_at_their_steps(tmp_path):
    shown = TensorBoard(tmp_path, 1)
    for step in (10, 20, 30):
        shown.row(row(step))
    assert sorted(read(tmp_path).Tags()["scalars"]) == [
        "chunks_per_second", "loss/train", "loss/validation", "lr", "sdr/vocals", "skipped",
    ]  # fmt: skip
    assert scalars(tmp_path, "loss/train") == [(10, 0.1), (20, 0.05), (30, 1 / 30)]
    assert scalars(tmp_path, "loss/validation") == [(10, 0.2), (20, 0.1), (30, 2 / 30)]
    assert scalars(tmp_path, "sdr/vocals") == [(10, 1.0), (20, 2.0), (30, 3.0)]
    assert scalars(tmp_path, "lr") == [(step, 1e-3) for step in (10, 20, 30)]
    assert scalars(tmp_path, "skipped") == [(step, 2) for step in (10, 20, 30)]
    assert scalars(tmp_path, "chunks_per_second") == [(step, 80.5) for step in (10, 20, 30)]


def test_what_a_row_lacks_is_left_out(tmp_path):
    shown = TensorBoard(tmp_path, 1)
    shown.row(row(10, train_loss=None, sdr=None))
    shown.row({"epoch": 2, "step": 20, "train_loss": 0.5, "validation_loss": float("inf"), "lr": 0.1})
    shown.row(row(30, sdr={"보컬 $1_2": -3.0}))
    assert scalars(tmp_path, "loss/train") == [(20, 0.5), (30, 1 / 30)]
    assert scalars(tmp_path, "loss/validation") == [(10, 0.2), (30, 2 / 30)]
    assert scalars(tmp_path, "sdr/보컬 $1_2") == [(30, -3.0)]


def test_an_example_is_heard_and_seen(tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    voice = torch.rand(2, 12000, generator=generator) - 0.5
    mixture = 3 * voice  # beyond full scale
    shown = TensorBoard(tmp_path, 1)
    shown.example(10, "a song", 8000, mixture, {"vocals": voice, "보컬": voice[:1]})
    run = read(tmp_path)
    assert run.Tags()["audio"] == [f"audio/a song/{part}" for part in ("mixture", "vocals", "보컬")]
    assert run.Tags()["images"] == [f"spectrogram/a song/{part}" for part in ("mixture", "vocals", "보컬")]
    for part, sound in {"mixture": mixture, "vocals": voice}.items():
        (heard,) = run.Audio(f"audio/a song/{part}")
        assert (heard.step, heard.sample_rate, heard.length_frames) == (10, 8000, 12000)
        with wave.open(io.BytesIO(heard.encoded_audio_string)) as file:
            assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (8000, 12000, 1)
            samples = np.frombuffer(file.readframes(12000), "<i2") / 32767
        np.testing.assert_allclose(samples, sound.mean(0).clamp(-1, 1), atol=1e-4)
        (seen,) = run.Images(f"spectrogram/a song/{part}")
        assert seen.step == 10
        height, width, _ = matplotlib.image.imread(io.BytesIO(seen.encoded_image_string)).shape
        assert (height, width) == (seen.height, seen.width)
        assert height <= 384
        assert width <= 512
    assert capsys.readouterr() == ("", "")


def test_pictures_share_the_scale_of_the_mixture(tmp_path):
    mixture = torch.rand(1, 12000) - 0.5
    shown = TensorBoard(tmp_path, 1)
    shown.example(10, "a song", 8000, mixture, {"quiet": 0.01 * mixture})
    loud, quiet = (
        matplotlib.image.imread(io.BytesIO(read(tmp_path).Images(f"spectrogram/a song/{part}")[0].encoded_image_string))
        for part in ("mixture", "quiet")
    )
    brightest = pytest.approx(colormaps["magma"](1.0)[:3], abs=0.01)
    assert loud.reshape(-1, 3)[loud.sum(-1).argmax()].tolist() == brightest
    assert quiet.reshape(-1, 3)[quiet.sum(-1).argmax()].tolist() == pytest.approx(colormaps["magma"](0.5)[:3], abs=0.02)


def test_a_diverged_estimate_of_any_type_is_shown(tmp_path, caplog):
    broken = torch.full((2, 4000), float("nan"), dtype=torch.bfloat16, requires_grad=True)
    with torch.inference_mode():
        silent = torch.zeros(2, 4000)
    shown = TensorBoard(tmp_path, 1)
    shown.example(10, "a song", 8000, silent, {"vocals": broken})
    assert len(read(tmp_path).Audio("audio/a song/vocals")) == 1
    assert not told(caplog)


def test_a_resumed_run_repeats_no_step(tmp_path):
    sound = torch.zeros(1, 4000)
    shown = TensorBoard(tmp_path, 1)
    for step in (10, 20, 30):
        shown.row(row(step, train_loss=1.0))
        shown.example(step, "a song", 8000, sound, {})
    (earlier,) = written(tmp_path)
    earlier.rename(earlier.with_name(f"events.out.tfevents.1000000000.{earlier.name.split('.', 4)[-1]}"))
    shown = TensorBoard(tmp_path, 30)  # the state was last kept after step 20
    for step in (30, 40):
        shown.row(row(step, train_loss=0.5))
        shown.example(step, "a song", 8000, sound, {})
    assert len(written(tmp_path)) == 2
    assert scalars(tmp_path, "loss/train") == [(10, 1.0), (20, 1.0), (30, 0.5), (40, 0.5)]
    assert [heard.step for heard in read(tmp_path).Audio("audio/a song/mixture")] == [10, 20, 30, 40]
    assert [seen.step for seen in read(tmp_path).Images("spectrogram/a song/mixture")] == [10, 20, 30, 40]


def test_without_tensorboard_nothing_happens(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    shown = TensorBoard(tmp_path, 1)
    assert not shown.active
    shown.row(row(10))
    shown.example(10, "a song", 8000, torch.zeros(1, 4000), {})
    assert not list(tmp_path.iterdir())
    assert not told(caplog)


def test_a_run_without_an_epoch_leaves_no_file(tmp_path):
    shown = TensorBoard(tmp_path, 1)
    assert shown.active
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_warning(tmp_path, caplog):
    folder = tmp_path / "run"
    folder.write_text("a file")
    shown = TensorBoard(folder, 1)
    for step in (10, 20, 30):
        shown.row(row(step))
    assert not shown.active
    (message,) = told(caplog)
    assert str(folder) in message


def test_a_folder_that_is_lost_is_one_warning(tmp_path, caplog, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    shown = TensorBoard(folder, 1)
    shown.row(row(10))
    shutil.rmtree(folder)
    for step in (20, 30):
        shown.row(row(step))
    (message,) = told(caplog)
    assert "No such file" in message
    assert capsys.readouterr() == ("", "")


def test_a_full_disk_is_one_line(tmp_path):
    code = f"""
import resource, threading, torch
from pathlib import Path
from sepkit.training.tensorboard import TensorBoard
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
shown = TensorBoard(Path({str(tmp_path)!r}), 1)
for step in range(1, 10):
    shown.row({{"step": step, "train_loss": 1.0}})
    shown.example(step, "a song", 8000, torch.rand(1, 8000), {{}})
assert threading.active_count() == 1, threading.enumerate()
"""
    pytest.importorskip("resource", reason="Unix alone limits the size of files")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "nothing more is written for TensorBoard" in line
    assert "File too large" in line
    assert scalars(tmp_path, "loss/train")[0] == (1, 1.0)


@pytest.fixture
def train(sepkit, small_config, songs, tmp_path):
    command = ("train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "run", "--epochs", 2)
    return lambda *more: sepkit(*command, "--set", "train.steps_per_epoch=1", *more)


def test_a_source_whose_true_stem_is_left_out_of_sums_is_shown_too(train, songs, tmp_path):
    for song in songs.iterdir():
        shutil.copy(song / "drums.wav", song / "instrumental.wav")
    done = train("--target", "instrumental")
    assert done.code == 0, done.err
    assert "TensorBoard" not in done.err
    tags = read(tmp_path / "run").Tags()["audio"]
    assert {tag.rsplit("/")[-1] for tag in tags} == {"mixture", "instrumental"}


def test_an_example_that_cannot_be_read_is_one_warning_and_the_numbers_go_on(train, tmp_path, monkeypatch):
    def broken(track):
        raise AudioError(f"{track.name}: cut off")

    monkeypatch.setattr(display, "load", broken)
    done = train("--set", "train.validation.sdr_every=1")
    assert done.code == 0, done.err
    assert done.err.count("cut off") == 1
    assert [step for step, _ in scalars(tmp_path / "run", "loss/train")] == [1, 2]
