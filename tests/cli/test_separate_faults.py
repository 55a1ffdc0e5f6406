"""Rows 15 to 27 of the faults that separation must survive, through the real command line."""

import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import unicodedata
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import soundfile

from sepkit.audio.untrusted.decoder import Decoder
from tests.conftest import ROOT
from tests.encoded import encode
from tests.prefork import Command

STEMS = {"vocals", "accompaniment"}


@pytest.fixture
def model(small_model):
    return small_model


def write(path, seconds=1.0, rate=8000, channels=2, seed=0, **options):
    samples = np.random.default_rng(seed).uniform(-0.2, 0.2, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate, **options)
    return path


def refused(done, *parts, code=1):
    """One line that says why, and no traceback."""
    assert done.code == code, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]
    assert done.out == ""


def complete(folder):
    """Each set of stems is whole, and nothing else is there."""
    for track in folder.iterdir():
        assert {file.stem for file in track.iterdir()} == STEMS
        assert len({len(soundfile.read(file)[0]) for file in track.iterdir()}) == 1


def content(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.mark.parametrize("name", ["missing.wav", "empty.wav", "header.wav", "text.mp3", "folder.wav", "fifo.wav"])
def test_row_15_what_is_no_song(sepkit, model, tmp_path, name):
    path = tmp_path / name
    match path.stem:
        case "empty":
            path.write_bytes(b"")
        case "header":
            soundfile.write(path, [], 8000)
        case "text":
            path.write_text("this is no audio\n" * 50)
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    refused(sepkit("separate", path, "-m", model, "-o", tmp_path / "out"), name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "aiff"])
def test_row_16_a_truncated_file_is_never_silent(sepkit, model, tmp_path, ending):
    path = write(tmp_path / f"cut.{ending}", 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = sepkit("separate", path, "-m", model, "-o", tmp_path / "out")
    refused(done, f"cut.{ending}")
    assert "s of 20.0 s" in done.err or "decoding failed" in done.err
    assert not (tmp_path / "out").exists()


def hanging(path):
    """84 bytes at which libsndfile never ends."""
    pcm = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    text = struct.pack("<4sI4s4sI", b"LIST", 200, b"INFO", b"ZZZZ", 0xFFFFFFF8) + bytes(16)
    data = struct.pack("<4sI", b"data", 4) + bytes(4)
    body = b"WAVE" + pcm + text + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def test_row_17_a_file_at_which_the_decoder_hangs(sepkit, model, tmp_path, monkeypatch):
    monkeypatch.setattr(Decoder.__init__, "__defaults__", (4.0,))  # the patience of 10 s
    good = write(tmp_path / "good.wav")
    done = sepkit("separate", hanging(tmp_path / "hangs.wav"), good, "-m", model, "-o", tmp_path / "out")
    assert done.code == 1
    assert "hangs.wav" in done.err
    assert "did not answer within 4 s" in done.err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"good"}


def claiming(path, rate, channels, data):
    """A header of so many bytes of data, and 4096 of them."""
    block = channels * 2 % 65536
    pcm = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block % 2**32, block, 16)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, data + 72, data, data // max(1, block), 0)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + sizes + pcm + b"data\xff\xff\xff\xff" + bytes(4096))
    return path


def test_row_18_headers_that_claim_too_much(model, tmp_path):
    claims = [(1, 1, 8), (8000, 65535, 8), (8000, 2, 39 * 10**12), (10**9, 1, 8)]
    paths = [claiming(tmp_path / f"{number}.wav", *claim) for number, claim in enumerate(claims)]
    commands = [["separate", str(path), "-m", str(model), "-o", str(tmp_path / "out")] for path in paths]
    measured = [sys.executable, "-m", "tests.checkpoints.peak", json.dumps(commands)]
    results = json.loads(subprocess.run(measured, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    for path, result in zip(paths, results, strict=True):
        assert result["code"] == 1
        assert result["err"].startswith(f"Error: {path}")
        assert result["peak"] < 900e6
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rate", "channels", "frames"),
    [
        (8000, 1, 4000),
        (8000, 6, 4000),
        (8000, 2, 9000),
        (192000, 2, 9000),
        (44100, 2, 1),
        (44100, 1, 2),
        (1000, 1, 900),
    ],
)
def test_row_19_rate_channels_and_length_stay(sepkit, model, tmp_path, rate, channels, frames):
    for name, level in (("noise", 0.2), ("silence", 0.0)):
        samples = np.random.default_rng(0).uniform(-level, level, (frames, channels))
        soundfile.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
    files = [tmp_path / "noise.wav", tmp_path / "silence.wav"]
    done = sepkit("separate", *files, "-m", model, "-o", tmp_path / "out", "--bit-depth", "float")
    assert done.code == 0, done.err
    for name in ("noise", "silence"):
        for file in (tmp_path / "out" / name).iterdir():
            stem, found = soundfile.read(file, always_2d=True)
            assert (found, stem.shape) == (rate, (frames, channels))
            assert np.isfinite(stem).all()
    assert not any(soundfile.read(file)[0].any() for file in (tmp_path / "out" / "silence").iterdir())


def test_row_20_samples_that_are_not_finite_or_beyond_all_bounds(sepkit, model, tmp_path):
    for name, value in (("nan", np.nan), ("inf", np.inf), ("huge", 3e38)):
        samples = np.random.default_rng(0).uniform(-0.1, 0.1, (4000, 2))
        samples[100:103] = value
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000, subtype="FLOAT")
    for depth in ("float", "16"):
        out = tmp_path / depth
        files = [tmp_path / f"{name}.wav" for name in ("nan", "inf", "huge")]
        done = sepkit("separate", *files, "-m", model, "-o", out, "--bit-depth", depth)
        assert done.code == 0, done.err
        assert all(np.isfinite(soundfile.read(file)[0]).all() for file in out.rglob("*.wav"))
        if depth == "float":  # a warning is said once a process
            assert all(f"{name}.wav: samples that are not finite" in done.err for name in ("nan", "inf"))


def test_row_21_twenty_files_of_which_two_are_bad(sepkit, model, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(20):
        write(songs / f"{number:02}.wav", 0.3, seed=number)
    good = (songs / "07.wav").read_bytes()
    (songs / "07.wav").write_text("text")
    (songs / "13.wav").write_bytes(b"")
    command = ("separate", songs, "-m", model, "-o", tmp_path / "out")
    done = sepkit(*command)
    assert done.code == 1
    assert "18 ok, 2 failed" in done.out
    assert len([line for line in done.err.splitlines() if line.startswith("Error: ")]) == 2
    complete(tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 18
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.wav")}
    for name in ("07.wav", "13.wav"):
        (songs / name).write_bytes(good)
    again = sepkit(*command, "--skip-existing", "--json")
    assert again.code == 0
    assert [t["input"] for t in again.json["tracks"] if not t["skipped"]] == [
        str(songs / n) for n in ("07.wav", "13.wav")
    ]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    complete(tmp_path / "out")


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    songs = tmp_path_factory.mktemp("batch") / "songs"
    songs.mkdir()
    for number in range(6):
        write(songs / f"{number}.wav", 40, seed=number)
    return songs


@pytest.fixture(scope="module")
def clean(batch, small_model):
    """The content of the stems of a batch that nothing stops."""
    out = batch.parent / "out"
    running = Command(("separate", batch, "-m", small_model, "-o", out))
    _, err = running.communicate()
    assert running.returncode == 0, err
    return content(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_row_22_a_batch_that_is_stopped(sepkit, model, batch, clean, tmp_path, number):
    out = tmp_path / "out"
    running = Command(("separate", batch, "-m", model, "-o", out))
    while not (out / "1").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.005)
    time.sleep(0.05)
    running.send_signal(number)
    _, err = running.communicate()
    assert running.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    assert "Traceback" not in err
    hidden = [path for path in out.iterdir() if path.name.startswith(".")]
    assert bool(hidden) == (number == signal.SIGKILL)
    for track in set(out.iterdir()) - set(hidden):
        assert {file.stem for file in track.iterdir()} == STEMS
        assert {soundfile.info(file).frames for file in track.iterdir()} == {320_000}
    assert sepkit("separate", batch, "-m", model, "-o", out, "--skip-existing").code == 0
    assert content(out) == clean


SLOWLY = """
import time
from pathlib import Path
from sepkit.audio.writing import stem_mp4
from sepkit.cli import main

def slowly(*args, packets=stem_mp4._packets):
    for packet in packets(*args):
        yield packet
        Path("begun").touch()
        time.sleep(0.05)
    Path("ended").touch()

stem_mp4._packets = slowly
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_row_22_stopped_while_a_stem_mp4_is_written(model, tmp_path, number):
    """The bar says that it writes; and it does not write to the end, which would take half a minute."""
    pty = pytest.importorskip("pty", reason="needs a Unix terminal")
    terminal, stderr = pty.openpty()
    song = write(tmp_path / "song.wav", 30)
    command = ("separate", song, "-m", model, "-o", tmp_path / "out", "--format", "stem.mp4")
    running = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *map(str, command)], stderr=stderr, cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(stderr)
    said = b""
    with suppress(OSError), open(terminal, "rb", buffering=0) as screen:  # noqa: PTH123  EIO: the process has ended
        while some := screen.read(4096):
            said += some
            if (tmp_path / "begun").exists() and b"song, writing" in said and running.poll() is None:
                running.send_signal(number)
                break
        for some in iter(lambda: screen.read(4096), b""):
            said += some
    assert running.wait() == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert b"Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav", "begun"}


@contextmanager
def small_disk(folder, megabytes):
    folder.mkdir()
    if not shutil.which("mount"):
        pytest.skip("no mount on PATH: a small disk is mounted")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_row_22_a_full_disk(sepkit, model, batch, clean, tmp_path):
    with small_disk(tmp_path / "disk", 14) as disk:  # a song takes 5 MB as float stems and 2.6 MB as wav
        done = sepkit("separate", batch, "-m", model, "-o", disk / "out")
        assert done.code == 1
        assert "No space left" in done.err
        assert str(disk) in done.err
        assert "Traceback" not in done.err
        complete(disk / "out")
        first = content(disk / "out")
        assert first
        shutil.copytree(disk / "out", tmp_path / "out")
    assert sepkit("separate", batch, "-m", model, "-o", tmp_path / "out", "--skip-existing").code == 0
    assert content(tmp_path / "out") == clean


def test_row_23_names(sepkit, model, tmp_path, monkeypatch):
    songs = tmp_path / "songs"
    songs.mkdir()
    accents = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    names = ["🎵.wav", *(f"{name}.wav" for name in accents), "two\nlines.wav", "-dash.wav", "a.wav", "a.flac",
             "노래.mp3", f"{'x' * 251}.wav", f"{'가' * 83}.wav", "{stem}.wav", "a b [c].wav"]  # fmt: skip
    for number, name in enumerate(names):
        write(songs / name, 0.2, seed=number)
    for number in range(2):  # which differ only where a name that is too long is cut
        write(songs / f"{'y' * 240}{number}.wav", 0.2, seed=number)
        names.append(str(number))
    for template in ("{track}/{stem}", "{track} - {stem}", "{stem}/{track}{track}"):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        done = sepkit("separate", songs, "-m", model, "-o", out, "--template", template)
        assert done.code == 0, done.err
        assert len(content(out)) == 2 * len(names)
    monkeypatch.chdir(songs)
    assert sepkit("separate", "-m", model, "-o", tmp_path / "dash", "--", "-dash.wav").code == 0


@pytest.mark.parametrize(
    "template",
    ["../{stem}", "{track}/../../{stem}", "/tmp/{stem}", "{track.__class__}", "{nothing}", "{0}", "{track!r}/{stem}",
     "{stem:>100}", "{track}//{stem}", "{track}\\{stem}", "{track", "{track}/{stem}/."],
)  # fmt: skip
def test_row_24_a_template_that_leads_out(sepkit, model, tmp_path, template):
    song = write(tmp_path / "song.wav")
    done = sepkit("separate", song, "-m", model, "-o", tmp_path / "in" / "out", f"--template={template}")
    refused(done, "--template", code=2)
    assert {path.name for path in tmp_path.iterdir()} == {"song.wav"}


def test_row_24_tags_that_lead_out(sepkit, model, tmp_path):
    song = tmp_path / "song.wav"
    with soundfile.SoundFile(song, "w", 8000, 1) as file:
        file.title, file.artist = "../../../evil", ".."
        file.write(np.zeros(800))
    done = sepkit("separate", song, "-m", model, "-o", tmp_path / "a" / "out", "--template", "{artist}/{title}/{stem}")
    assert done.code == 0, done.err
    assert len(list((tmp_path / "a" / "out").rglob("*.wav"))) == 2
    assert len(list(tmp_path.rglob("*.wav"))) == 3


def test_row_24_links(sepkit, model, tmp_path):
    song, treasure = write(tmp_path / "song.wav"), tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "vocals.wav").write_text("gold")
    links = {"file": "out/song/vocals.wav", "folder": "out/song", "output": "out"}
    for name, link in links.items():
        place = tmp_path / name / link
        place.parent.mkdir(parents=True)
        place.symlink_to(treasure / "vocals.wav" if name == "file" else treasure)
        done = sepkit("separate", song, "-m", model, "-o", tmp_path / name / "out", "--overwrite")
        refused(done, "symbolic link", code=2)
        assert place.is_symlink()
    assert {path.name for path in treasure.iterdir()} == {"vocals.wav"}
    assert (treasure / "vocals.wav").read_text() == "gold"


def test_row_25_output_that_exists_and_the_folder_of_the_songs(sepkit, model, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    song = write(songs / "song.wav")
    before = song.read_bytes()
    assert sepkit("separate", song, "-m", model, "-o", tmp_path / "out").code == 0
    first = content(tmp_path / "out")
    refused(sepkit("separate", song, "-m", model, "-o", tmp_path / "out"), "exists", "--overwrite", code=2)
    for given in (song, songs):
        refused(sepkit("separate", given, "-m", model, "-o", songs), "--overwrite", code=2)
    assert {path.name for path in songs.iterdir()} == {"song.wav"}
    assert content(tmp_path / "out") == first
    assert sepkit("separate", song, "-m", model, "-o", tmp_path / "out", "--overwrite").code == 0
    assert sepkit("separate", songs, "-m", model, "-o", songs, "--overwrite").code == 0
    assert song.read_bytes() == before


def test_row_26_m4a_needs_no_ffmpeg(sepkit, model, tmp_path, monkeypatch):
    song, bad = encode(tmp_path / "song.m4a", np.full((9000, 2), 0.1)), tmp_path / "bad.m4a"
    bad.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = sepkit("separate", song, bad, write(tmp_path / "then.wav"), "-m", model, "-o", tmp_path / "out")
    assert done.code == 1
    assert "bad.m4a: truncated or damaged MP4: it cannot be read; fetch or export the file again" in done.err
    complete(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["song", "then"]


FORGETFUL = """
import torch
from typing import Literal
from sepkit import ModelConfig, hookimpl

class Forgetful(ModelConfig):
    name: Literal["forgetful"] = "forgetful"
    most: int = 4000

    def build(self, audio):
        class Net(torch.nn.Module):
            def __init__(self, most):
                super().__init__()
                self.most = most
                self.scale = torch.nn.Parameter(torch.ones(()))
            def forward(self, x):
                if x.shape[-1] > self.most:
                    raise torch.OutOfMemoryError("out of memory")
                ramp = torch.linspace(0.9, 1.1, x.shape[-1])  # so that a seam without a fade would show
                return 0.5 * self.scale * ramp * x[:, None]
        return Net(self.most)

@hookimpl
def sepkit_models():
    return [Forgetful]
"""


@pytest.mark.parametrize("most", [50_000, 7000, 100])
def test_row_27_memory_that_does_not_suffice(sepkit, install_plugin, small_config, songs, tmp_path, most):
    install_plugin("sepkit-forgetful", "forgetful", "sepkit_forgetful", FORGETFUL)
    small_config.write_text('[audio]\nsample_rate = 8000\n[model]\nname = "forgetful"\n')
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "run", "--epochs", 1,
        "--set", "train.steps_per_epoch=1", "--set", "train.batch_size=1", "--set", "train.chunk_seconds=0.3",
        "--set", "train.workers=0", "--set", "model.most=1000000", "--set", "train.validation.sdr_every=0",
    )  # fmt: skip
    assert done.code == 0, done.err
    _set_most(tmp_path / "run" / "best_model.safetensors", most)
    song = write(tmp_path / "song.wav", 30, subtype="FLOAT")
    done = sepkit("separate", song, "-m", tmp_path / "run", "-o", tmp_path / "out", "--bit-depth", "float")
    if most == 100:
        assert done.code == 1
        assert "memory exhausted, even with the shortest chunks" in done.err
        assert not (tmp_path / "out").exists()
        return
    assert done.code == 0, done.err
    assert "memory exhausted: going on with chunks of" in done.err
    mixture = soundfile.read(song, dtype="float32")[0]
    vocals = soundfile.read(tmp_path / "out" / "song" / "vocals.wav", dtype="float32")[0]
    shares = np.median((vocals / np.where(mixture == 0, 1, mixture)).reshape(-1, 20), axis=1)
    assert shares.min() > 0.4
    assert shares.max() < 0.6
    assert np.abs(np.diff(shares)).max() < 0.02


def _set_most(path, most):
    from sepkit.atomic import Commit
    from sepkit.checkpoints import tensor_file

    values, tensors = tensor_file.read(path)
    values["model"]["most"] = most
    with Commit() as commit:
        tensor_file.stage(commit, path, tensors, values)
