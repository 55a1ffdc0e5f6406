"""`sepkit separate`: formats in and out, tags, excerpts, names, folders, what is there already."""

import json
import os
import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
import torch

from sepkit.atomic import Commit
from sepkit.audio.formats import EXTENSIONS
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.checkpoints import tensor_file
from sepkit.export.kept import prepare_export
from sepkit.songs.pipeline import COMPLETE
from tests.cli.test_bad_input import one_line
from tests.encoded import decoded, encode

RNG = np.random.default_rng(0)


@pytest.fixture
def song(tmp_path):
    """Two seconds of stereo with tags; the left side is another sound than the right one."""
    path = tmp_path / "song.wav"
    with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
        file.title, file.artist = "노래", "가수"
        time = np.arange(88200) / 44100
        file.write(np.stack([0.3 * np.sin(2 * np.pi * 440 * time), 0.2 * np.sin(2 * np.pi * 5000 * time)], 1))
    return path


def stems_of(folder):
    return {path.name.split(".")[0]: soundfile.read(path, always_2d=True) for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("ending", "depth", "tolerance"),
    [("wav", "16", 1e-4), ("wav", "24", 1e-6), ("wav", "float", 1e-6), ("flac", "16", 1e-4), ("flac", "24", 1e-6),
     ("aiff", "16", 1e-4), ("aiff", "float", 1e-6), ("mp3", None, 0.05), ("ogg", None, 0.05)],
)  # fmt: skip
def test_each_format_adds_up_to_the_song_with_its_tags(sepkit, small_model, song, tmp_path, ending, depth, tolerance):
    options = ("--bit-depth", depth) if depth else ()
    done = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "o", "--format", ending, *options)
    assert done.code == 0, done.err
    stems = stems_of(tmp_path / "o" / "song")
    mixture = soundfile.read(song)[0]
    assert all((rate, data.shape) == (44100, mixture.shape) for data, rate in stems.values())
    np.testing.assert_allclose(sum(data for data, _ in stems.values()), mixture, atol=tolerance, rtol=0)
    with Decoder() as decoder:
        for path in (tmp_path / "o" / "song").iterdir():
            tags = decoder.header(path).tags
            assert (tags.title, tags.artist) == ("노래", "가수")


def test_a_48_khz_song_stays_so_and_a_hard_panned_one_stays_panned(sepkit, small_model, tmp_path):
    panned = np.zeros((48000, 2))
    panned[:, 1] = RNG.uniform(-0.3, 0.3, 48000)
    soundfile.write(tmp_path / "p.wav", panned, 48000)
    for band in ("full", "model"):
        out = tmp_path / band
        assert sepkit("separate", tmp_path / "p.wav", "-m", small_model, "-o", out, "--band", band).code == 0
        for data, rate in stems_of(out / "p").values():
            assert (rate, data.shape) == (48000, (48000, 2))
            assert not data[:, 0].any()
            assert data[:, 1].any()


@pytest.mark.parametrize("ending", EXTENSIONS)
def test_songs_of_any_format(sepkit, small_model, song, tmp_path, ending):
    """All that a search takes for audio is found, named or searched for, and read, through `pip install` alone."""
    folder, rate = tmp_path / "in", 48000 if ending in (".opus", ".webm") else 44100
    folder.mkdir()
    samples, _ = soundfile.read(song)
    encode(folder / f"in{ending}", np.resize(samples, (2 * rate, 2)), rate=rate)
    done = sepkit("separate", folder, "-m", small_model, "-o", tmp_path / "o")
    assert done.code == 0, done.err
    for data, found in stems_of(tmp_path / "o" / "in").values():
        assert found == rate
        assert abs(len(data) / rate - 2) < 0.1
        assert data.shape[1] == 2


def test_stem_mp4_holds_the_song_and_its_stems(sepkit, small_model, song, tmp_path):
    done = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "o", "--format", "stem.mp4", "--json")
    assert done.code == 0, done.err
    path = tmp_path / "o" / "song.stem.mp4"
    assert set(done.json["tracks"][0]["files"].values()) == {str(path)}
    with av.open(path) as file:
        assert [stream.metadata["handler_name"] for stream in file.streams] == ["mixture", "vocals", "accompaniment"]
        assert {stream.rate for stream in file.streams} == {44100}
    mixture, *stems = decoded(path)
    assert np.corrcoef(mixture.ravel(), soundfile.read(song)[0].ravel())[0, 1] > 0.99
    np.testing.assert_allclose(sum(stems)[2048:80000], mixture[2048:80000], atol=0.05)
    again = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "o", "--format", "stem.mp4", "--skip-existing")
    assert "1 ok (1 there already), 0 failed" in again.out
    assert sepkit("separate", path, "-m", small_model, "-o", tmp_path / "p").code == 0  # its mixture is a song, too
    assert stems_of(tmp_path / "p" / "song").keys() == {"vocals", "accompaniment"}


def test_one_file_of_the_format_that_its_name_says(sepkit, small_model, song, tmp_path):
    for name in ("v.flac", "v.mp3", "v.ogg", "v.aiff", "v.wav", "v.stem.mp4"):
        assert sepkit("separate", song, "-m", small_model, "-o", tmp_path / name).code == 0
        assert (tmp_path / name).stat().st_size > 1000
    assert soundfile.info(tmp_path / "v.flac").format == "FLAC"
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_an_excerpt_is_that_part_of_the_song(sepkit, small_model, song, tmp_path):
    out = tmp_path / "o"
    options = ("--start", 0.5, "--duration", 0.25)
    assert sepkit("separate", song, "-m", small_model, "-o", out, *options).code == 0
    stems = stems_of(out / "song")
    mixture = soundfile.read(song)[0][22050:33075]
    np.testing.assert_allclose(sum(data for data, _ in stems.values()), mixture, atol=1e-4)
    assert sepkit("separate", song, "-m", small_model, "-o", tmp_path / "p", "--start", 1.5, "--duration", 9).code == 0
    assert {len(data) for data, _ in stems_of(tmp_path / "p" / "song").values()} == {22050}
    beyond = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "q", "--start", 2)
    assert (beyond.code, "lasts 2.0 s" in beyond.err) == (2, True)


def test_templates_take_tags(sepkit, small_model, song, tmp_path):
    template = "{artist} - {title}/{track}, {stem}"
    assert sepkit("separate", song, "-m", small_model, "-o", tmp_path / "o", "--template", template).code == 0
    files = {str(path.relative_to(tmp_path / "o")) for path in (tmp_path / "o").rglob("*.wav")}
    assert files == {f"가수 - 노래/song, {stem}.wav" for stem in ("vocals", "accompaniment")}


def test_two_songs_that_a_template_gives_one_name(sepkit, small_model, song, tmp_path):
    (tmp_path / "other.wav").write_bytes(song.read_bytes())
    done = sepkit(
        "separate", song, tmp_path / "other.wav", "-m", small_model, "-o", tmp_path / "o", "--template", "{stem}"
    )
    assert done.code == 1
    assert "put {track} into --template" in done.err
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"vocals.wav", "accompaniment.wav"}


def test_folders_are_searched_to_the_bottom_and_keep_their_places(sepkit, small_model, song, tmp_path):
    songs = tmp_path / "songs"
    for place in ("a.wav", "deep/er/b.WAV", "deep/a.wav", "deep/.hidden.wav", ".git/c.wav", "out/d.wav"):
        (songs / place).parent.mkdir(parents=True, exist_ok=True)
        (songs / place).write_bytes(song.read_bytes())
    (songs / "notes.txt").write_text("no song")
    command = ("separate", songs, "-m", small_model, "-o", songs / "out", "--json")
    done = sepkit(*command)
    names = ["a.wav", "deep/a.wav", "deep/er/b.WAV", "out/d.wav"]
    assert [track["input"] for track in done.json["tracks"]] == [str(songs / name) for name in names]
    tracks = {str(path.parent.relative_to(songs / "out")) for path in (songs / "out").rglob("vocals.wav")}
    assert tracks == {"a", "deep/a", "deep/er/b", "out/d"}
    again = sepkit(*command, "--skip-existing")
    assert (again.code, again.json["skipped"], len(again.json["left_out"])) == (0, 4, 8)


def test_a_folder_without_songs_fails_alone(sepkit, small_model, song, tmp_path):
    (tmp_path / "empty").mkdir()
    done = sepkit("separate", tmp_path / "empty", song, "-m", small_model, "-o", tmp_path / "o")
    assert (done.code, "empty: no song in this folder" in done.err) == (1, True)
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"song"}


def test_stems_written_beside_their_songs_are_no_songs_the_next_time(sepkit, small_model, song, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    (songs / "a.wav").write_bytes(song.read_bytes())
    command = ("separate", songs, "-m", small_model, "-o", songs, "--overwrite")
    first, second = sepkit(*command), sepkit(*command)
    assert (first.code, second.code) == (0, 0)
    assert "2 files left out" in second.out
    assert {str(path.relative_to(songs)) for path in songs.rglob("*.wav")} == {
        "a.wav", "a/vocals.wav", "a/accompaniment.wav",
    }  # fmt: skip


def changed(model, path, **separate):
    """A copy of a model file that asks for other chunks."""
    values, tensors = tensor_file.read(model)
    values["separate"] = values["separate"] | separate
    with Commit() as commit:
        tensor_file.stage(commit, path, tensors, values)
    return path


def test_skip_existing_knows_song_model_and_settings(sepkit, small_model, song, tmp_path):
    command = ("separate", song, "-o", tmp_path / "o", "--skip-existing", "--json", "-m")
    other, before = changed(small_model, tmp_path / "other.safetensors", chunk_seconds=5.0), None
    prepare_export(other)
    for model, *change in (
        (small_model,), (other,), (small_model, "--band", "model"), (small_model, "--bit-depth", "24"),
        (small_model, "--start", "0.5"), (small_model, "--duration", "0.5"), (small_model, "--stems", "vocals"),
        (small_model,),
    ):  # fmt: skip
        why = f"vocals.wav was made {'' if model == before else 'by another model and '}with other settings"
        done = sepkit(*command, model, *change)
        track = done.json["tracks"][0]
        assert (track["skipped"], track["reason"]) == (False, before and why), change
        assert done.err.strip() == (f"{song}: separated again; {why}" if before else "")
        before = model
        done = sepkit(*command, model, *change)
        track = done.json["tracks"][0]
        assert (track["skipped"], track["gain"], track["reason"]) == (True, None, COMPLETE), change
        assert done.err.strip() == f"{song}: skipped, its stems are {COMPLETE}"
    stems = ("--stems", "accompaniment,vocals")
    assert sepkit(*command, small_model, *stems).json["tracks"][0]["skipped"]
    (tmp_path / "o" / "song" / "vocals.wav").unlink()
    assert sepkit(*command, small_model).json["tracks"][0]["reason"] == "vocals.wav is missing"


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "aiff"])
def test_skip_existing_makes_stems_anew_that_were_cut_short(sepkit, small_model, song, tmp_path, ending):
    command = (
        "separate",
        song,
        "-m",
        small_model,
        "-o",
        tmp_path / "o",
        "--format",
        ending,
        "--skip-existing",
        "--json",
    )
    assert not sepkit(*command).json["tracks"][0]["skipped"]
    vocals = tmp_path / "o" / "song" / f"vocals.{ending}"
    whole = vocals.read_bytes()
    for part in (0.6, 0.97):
        vocals.write_bytes(whole[: int(len(whole) * part)])
        done = sepkit(*command)
        assert done.code == 0, done.err
        assert done.json["tracks"][0]["reason"] == f"vocals.{ending} is incomplete"
        assert vocals.read_bytes() == whole
    assert sepkit(*command).json["tracks"][0]["skipped"]


def test_skip_existing_makes_a_stem_mp4_anew_that_is_damaged_or_cut_short(sepkit, small_model, tmp_path):
    song, stems = tmp_path / "song.wav", tmp_path / "o" / "song.stem.mp4"
    soundfile.write(song, RNG.uniform(-0.3, 0.3, (88207, 2)), 44100)
    command = ("separate", song, "-m", small_model, "-o", tmp_path / "o", "--format", "stem.mp4", "--skip-existing")
    assert sepkit(*command).code == 0
    with Decoder() as decoder:
        assert decoder.header(stems).frames == 88207
    assert "1 ok (1 there already), 0 failed" in sepkit(*command).out
    whole = stems.read_bytes()
    half = len(whole) // 2
    hole = whole[:half] + bytes(half // 2) + whole[half + half // 2 :]
    for damaged in (hole, whole[:half], whole[:-2000]):
        stems.write_bytes(damaged)
        done = sepkit(*command)
        assert done.code == 0, done.err
        assert stems.read_bytes() == whole


@pytest.mark.parametrize(("frames", "rate"), [(83790, 44100), (97200, 44100), (88200, 22050)])
def test_skip_existing_makes_stems_anew_that_have_another_length_or_rate(
    sepkit, small_model, song, tmp_path, frames, rate
):
    command = ("separate", song, "-m", small_model, "-o", tmp_path / "o", "--skip-existing", "--json")
    assert sepkit(*command).code == 0
    vocals = tmp_path / "o" / "song" / "vocals.wav"
    whole = vocals.read_bytes()
    with soundfile.SoundFile(vocals) as file:
        comment = file.comment
    with soundfile.SoundFile(vocals, "w", rate, 2) as file:
        file.comment = comment
        file.write(np.zeros((frames, 2)))
    assert not sepkit(*command).json["tracks"][0]["skipped"]
    assert vocals.read_bytes() == whole


def test_stems_that_were_cut_short_are_no_songs_either(sepkit, small_model, song, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    (songs / "b.wav").write_bytes(song.read_bytes())
    command = ("separate", songs, "-m", small_model, "-o", songs / "a", "--skip-existing", "--json")
    assert sepkit(*command).code == 0
    vocals = songs / "a" / "b" / "vocals.wav"
    vocals.write_bytes(vocals.read_bytes()[:9000])
    done = sepkit(*command)
    assert (done.code, done.json["ok"], len(done.json["left_out"])) == (0, 1, 2), done.err


def test_skip_existing_knows_weights_that_differ_in_nothing_else(sepkit, small_model, song, tmp_path):
    values, tensors = tensor_file.read(small_model)
    name = next(name for name in tensors if name.endswith("bias"))
    other = tmp_path / "other.safetensors"
    with Commit() as commit:
        tensor_file.stage(commit, other, tensors | {name: tensors[name] + 0.01}, values)
    command = ("separate", song, "-o", tmp_path / "o", "--skip-existing", "--json", "-m")
    for model, *options, why in (
        (small_model, None),
        (other, "vocals.wav was made by another model"),
        (small_model, "--bit-depth", "24", "vocals.wav was made by another model and with other settings"),
    ):
        assert sepkit(*command, model, *options).json["tracks"][0]["reason"] == why
        assert sepkit(*command, model, *options).json["tracks"][0]["skipped"]


def test_the_mixture_in_a_stem_mp4_is_turned_down_with_its_stems(sepkit, small_model, tmp_path):
    """Stems below full scale whose sum is above it."""
    path = tmp_path / "loud.wav"
    soundfile.write(path, RNG.uniform(-1.9, 1.9, (44100, 2)), 44100, subtype="FLOAT")
    command = ("separate", path, "-m", small_model, "--stems", "vocals", "--json", "-o", tmp_path / "o")
    alone = sepkit(*command).json["tracks"][0]["gain"]
    together = sepkit(*command, "--format", "stem.mp4").json["tracks"][0]["gain"]
    assert together == pytest.approx((1 - 2**-15) / 1.9, rel=1e-3)
    assert together < 0.9 * alone


@pytest.mark.parametrize("by", ["sepkit", "somebody"])
def test_skip_existing_replaces_no_stem_of_another_song(sepkit, small_model, song, tmp_path, by):
    command = ("separate", song, "-m", small_model, "-o", tmp_path / "o", "--skip-existing")
    assert sepkit(*command).code == 0
    samples, rate = soundfile.read(song)
    vocals = tmp_path / "o" / "song" / "vocals.wav"
    if by == "somebody":
        soundfile.write(vocals, samples, rate)
    else:
        soundfile.write(song, samples * 0.5, rate)
    before = vocals.read_bytes()
    made = "not made by sepkit" if by == "somebody" else "made from another song, or before this one was changed"
    one_line(sepkit(*command), 2, f"{vocals} exists, and was {made}; give another -o, or --overwrite to replace it")
    assert vocals.read_bytes() == before


def test_no_process_imports_pytorch_once_a_network_is_exported(small_model, song, tmp_path):
    """Each process lists its imports. One process gives all commands, to share what they import."""
    folder = tmp_path / "corpus" / "song"
    folder.mkdir(parents=True)
    for name in ("mixture", "vocals"):
        shutil.copy(song, folder / f"{name}.wav")
    options = ["-m", small_model, "--device", "cpu"]
    scored = ["--song-dir", folder, "--metrics", "sdr", "--no-cost", "--output-dir", tmp_path / "scores"]
    commands = [
        *(["separate", song, "-o", tmp_path / band, "--band", band, *options] for band in ("full", "model")),
        ["evaluate", *scored, *options],
    ]
    code = (
        "import sys; from sepkit.cli import main\n"
        f"for words in {[list(map(str, words)) for words in commands]!r}:\n"
        "    try: main(words)\n"
        "    except SystemExit as end: print('exit code', end.code, file=sys.stderr, flush=True)\n"
    )
    listing = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=listing, capture_output=True, text=True, check=True)
    ends = done.stderr.split("exit code 0\n")
    assert len(ends) == 1 + len(commands), done.stderr[-2000:]
    separating, scoring = (
        {line.rpartition("|")[2].strip().partition(".")[0] for line in text.splitlines() if "import time" in line}
        for text in ("".join(ends[:2]), ends[2])
    )
    assert {"numpy", "onnxruntime", "sepkit"} <= separating
    assert not {"torch", "torchaudio", "scipy", "rich", "onnx", "av"} & separating
    assert "sepkit" in scoring
    assert not {"torch", "torchaudio", "onnx"} & scoring
    assert len(list(tmp_path.glob("*/song/*.wav"))) == 2 * 2 + 2


def test_both_backends_agree(sepkit, small_model, song, tmp_path):
    for backend in ("torch", "onnx"):
        options = ("--backend", backend, "--bit-depth", "float")
        assert sepkit("separate", song, "-m", small_model, "-o", tmp_path / backend, *options).code == 0
    torch_, onnx = (stems_of(tmp_path / backend / "song") for backend in ("torch", "onnx"))
    for stem, (data, _) in torch_.items():
        np.testing.assert_allclose(onnx[stem][0], data, atol=1e-4)


def test_what_contradicts_itself_is_refused_before_anything_is_read(sepkit, small_model, tmp_path):
    for options, words in (
        (("--skip-existing", "--overwrite"), "--overwrite"),
        (("-o", "x.wav", "--format", "flac"), "--format"),
        (("-o", "x.wav", "--template", "{stem}"), "--template"),
        (("--format", "mp3", "--bit-depth", "24"), "mp3"),
        (("--format", "flac", "--bit-depth", "float"), "flac"),
        (("--format", "stem.mp4", "--template", "{stem}"), "{stem}"),
        (("--template", "{track}"), "{stem} is missing"),
        (("--template", "{stem!r}"), "no format and no conversion"),
        (("--start", "-1"), "--start"),
        (("--start", "nan"), "number of seconds"),
        (("--duration", "inf"), "number of seconds"),
        (("-o", "x.m4a"), "x.m4a"),
        (("-o", ""), "empty name"),
    ):
        where = () if "-o" in options else ("-o", tmp_path / "o")
        done = sepkit("separate", tmp_path / "no.wav", "-m", small_model, *where, *options)
        assert done.code == 2, options
        assert words in done.err
        assert len(done.err.strip().splitlines()) == 1


def test_a_song_that_does_not_exist_suggests_one_that_does(sepkit, small_model, song, tmp_path):
    command = ("-m", small_model, "-o", tmp_path / "o")
    one_line(sepkit("separate", tmp_path / "sogn.wav", *command), 1, 'sogn.wav: no such file. Did you mean "song.wav"?')
    (tmp_path / "x.wav").mkdir()
    for unlike in (tmp_path / "xx.wav", tmp_path / "no" / "song.wav"):
        done = sepkit("separate", unlike, *command)
        assert (done.code, done.err.strip()) == (1, f"Error: {unlike}: no such file")


@pytest.mark.parametrize("verb", [("separate", "song.wav", "-m"), ("export",), ("models", "info")])
def test_what_is_no_model_file_says_what_it_is(sepkit, tmp_path, verb):
    network, weights = tmp_path / "best_model.onnx", tmp_path / "best_model.ckpt"
    network.write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(99))
    one_line(sepkit(*verb, network), 1, "best_model.onnx: an exported network (ONNX)", "ends in .safetensors")
    for zipped in (True, False):
        torch.save({"a": torch.zeros(3)}, weights, _use_new_zipfile_serialization=zipped)
        one_line(sepkit(*verb, weights), 1, "one of PyTorch's own", f"sepkit models import {weights} --config CONFIG")


def test_what_a_format_cannot_hold(sepkit, small_model, tmp_path):
    soundfile.write(tmp_path / "six.wav", RNG.uniform(-0.1, 0.1, (4000, 6)), 96000)
    done = sepkit("separate", tmp_path / "six.wav", "-m", small_model, "-o", tmp_path / "o", "--format", "mp3")
    assert done.code == 1
    assert "not 6 at 96000 Hz" in done.err
    assert "flac or wav" in done.err


def test_json_is_strict_and_names_each_file(sepkit, small_model, song, tmp_path):
    done = sepkit("separate", song, tmp_path / "no.wav", "-m", small_model, "-o", tmp_path / "o", "--json")
    assert done.code == 1
    assert (done.json["ok"], done.json["failed"], done.json["skipped"]) == (1, 1, 0)
    assert done.json["tracks"][0]["files"]["vocals"] == str(tmp_path / "o" / "song" / "vocals.wav")
    assert "no such file" in done.json["tracks"][1]["error"]
    assert json.dumps(done.json)
