"""Bad input through the real command line: one line that says what to do, the right exit code, no traceback."""

import pytest
import soundfile

from sepkit.checkpoints import packaged
from sepkit.cli import main
from sepkit.errors import ConfigError
from tests.conftest import CONFIGS

VOCALS = CONFIGS / "vocals.toml"


def one_line(outcome, code, *parts):
    assert outcome.code == code
    lines = [line for line in outcome.err.splitlines() if "exporting its network, once" not in line]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("Error: ")
    assert outcome.out == ""
    for part in parts:
        assert part in lines[0]


def test_missing_config(sepkit):
    one_line(sepkit("train", CONFIGS / "vocal.toml"), 2, "vocal.toml", f'Did you mean "{VOCALS}"?')


def test_a_misspelt_folder_suggests_the_path_that_exists(sepkit, small_model, songs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "vocals.toml").write_bytes(VOCALS.read_bytes())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best_model.safetensors").write_bytes(small_model.read_bytes())
    config, song = "configs/vocals.toml", "songs/one/mixture.wav"
    for command, code, meant in (
        (("train", "configs/vocal.toml"), 2, config),
        (("train", "config/vocals.toml"), 2, config),
        (("train", tmp_path / "cofigs" / "vocls.toml"), 2, tmp_path / config),
        (("train", config, "--data-dir", "song"), 1, "songs"),
        (("data", "check", config, "--data-dir", "songz/one"), 1, "songs/one"),
        (("evaluate", "-m", "run", "--song-dir", "songs/ones"), 1, "songs/one"),
        (("evaluate", "--data-dir", "songs", "--estimates", "sngs"), 2, "songs"),
        (("separate", song, "-m", "rum/best_model.safetensors"), 1, "run/best_model.safetensors"),
    ):
        one_line(sepkit(*command), code, f'Did you mean "{meant}"?')
    assert "Did you mean" not in sepkit("train", "elsewhere/entirely.toml").err


def test_config_that_is_no_toml(sepkit, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[train\n")
    one_line(sepkit("train", path), 2, "bad.toml", "not valid TOML")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epoch=3", ("epoch", "epochs")),
        ("model.name=crn", ("crn", "crnn")),
        ("train.batch_size=many", ("train.batch_size", "many")),
    ],
)
def test_unknown_key_unknown_model_wrong_type(sepkit, override, parts):
    one_line(sepkit("train", VOCALS, "--set", override), 2, *parts)


def test_missing_and_empty_corpus(sepkit, tmp_path):
    one_line(sepkit("train", VOCALS, "--data-dir", tmp_path / "no"), 1, str(tmp_path / "no"), "<song>/mixture.wav")
    (tmp_path / "empty").mkdir()
    run = tmp_path / "run"
    done = sepkit("train", VOCALS, "--data-dir", tmp_path / "empty", "--output-dir", run)
    one_line(done, 1, str(tmp_path / "empty"), "<song>/mixture.wav")
    assert not run.exists()


def test_a_target_that_no_song_has(sepkit, songs):
    done = sepkit("train", VOCALS, "--data-dir", songs, "--target", "flute")
    one_line(done, 1, "flute", "stems found: drums, vocals", "--target")


def test_one_song_is_not_enough(sepkit, songs, tmp_path):
    only = tmp_path / "only"
    only.mkdir()
    (songs / "one").rename(only / "one")
    one_line(sepkit("train", VOCALS, "--data-dir", only, "--output-dir", tmp_path / "r"), 1, "validate", "two songs")


def test_a_voice_alone_is_nothing_to_learn_from(sepkit, songs):
    for song in songs.iterdir():
        for name in ("mixture.wav", "drums.wav"):
            (song / name).unlink()
    one_line(sepkit("train", VOCALS, "--data-dir", songs), 1, "hold vocals alone")


def test_an_interrupt_as_json(sepkit, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("sepkit.diagnosis.diagnose", interrupt)
    done = sepkit("doctor", "--json")
    assert (done.code, done.json["exit_code"]) == (130, 130)


def test_text_in_the_corpus_is_named_before_anything_starts(sepkit, small_config, songs, tmp_path):
    (songs / "one" / "vocals.wav").write_text("not audio")
    (songs / "two" / "drums.wav").write_bytes(b"")
    done = sepkit(
        "train",
        small_config,
        "--data-dir",
        songs,
        "--output-dir",
        tmp_path / "r",
        "--set",
        'audio.sources=["vocals","drums"]',
    )
    one_line(done, 1, "one/vocals.wav", "not readable as audio", "two/drums.wav", "empty")


def test_no_model(sepkit, songs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEPKIT_MODEL", raising=False)
    monkeypatch.setattr(packaged, "PATH", tmp_path / "none.safetensors")
    song = songs / "one" / "mixture.wav"
    one_line(sepkit("separate", song), 1, "checkpoints/best_model.safetensors", "sepkit train")
    monkeypatch.setenv("SEPKIT_MODEL", "elsewhere.safetensors")
    one_line(sepkit("separate", song), 1, "elsewhere.safetensors", "$SEPKIT_MODEL")
    one_line(sepkit("separate", song, "-m", "named.safetensors"), 1, "named.safetensors")


@pytest.mark.parametrize("content", [b"text", b"", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"])
def test_a_model_file_that_is_none(sepkit, songs, tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    one_line(sepkit("separate", songs / "one" / "mixture.wav", "-m", path), 1, "m.safetensors", "safetensors")


@pytest.mark.parametrize("name", ["missing.wav", "empty.wav", "text.wav", "text.mp3", "folder.wav", "header.wav"])
def test_a_song_that_is_none(sepkit, trained, tmp_path, name):
    path = tmp_path / name
    if name.startswith("empty"):
        path.write_bytes(b"")
    elif name.startswith("text"):
        path.write_text("this is no audio\n" * 50)
    elif name.startswith("folder"):
        path.mkdir()
    elif name.startswith("header"):
        soundfile.write(path, [], 8000)
    out = tmp_path / "out"
    one_line(sepkit("separate", path, "-m", trained / "best_model.safetensors", "-o", out), 1, name)
    assert not out.exists()


def test_a_truncated_song_is_never_silent(sepkit, trained, songs, tmp_path):
    whole = (songs / "one" / "mixture.wav").read_bytes()
    flac = tmp_path / "cut.flac"
    soundfile.write(flac, soundfile.read(songs / "one" / "mixture.wav")[0], 8000)
    flac.write_bytes(flac.read_bytes()[: len(whole) // 8])
    one_line(sepkit("separate", flac, "-m", trained / "best_model.safetensors", "-o", tmp_path / "out"), 1, "cut.flac")


def test_usage_errors(sepkit, trained, songs, tmp_path):
    model, song = trained / "best_model.safetensors", songs / "one" / "mixture.wav"
    one_line(sepkit("separate", song, "-m", model, "--stems", "vocal", "-o", tmp_path / "o"), 2, "vocal", "vocals")
    one_line(sepkit("separate", song, "-m", model, "--residual", "vocals", "-o", tmp_path / "o"), 2, "vocals")
    one_line(sepkit("separate", song, model, "-m", model, "-o", "x.wav"), 2, "x.wav", "2 songs")
    one_line(sepkit("separate", song, "-m", model, "--device", "cuda9"), 2, "--device")
    one_line(sepkit("separate", song, "-m", model, "-o", "x.m4a"), 2, "x.m4a", "flac")
    one_line(sepkit("separate", song, "-m", model, "-o", "x.wav", "--stems", "vocals,accompaniment"), 2, "2 stems")
    one_line(sepkit("separate", song, "-m", model, "-o", song, "--overwrite"), 2, "one of the songs")
    one_line(sepkit("separate", song, "-m", model, "--residual", "../../x"), 2, "../../x")
    one_line(sepkit("separate"), 2, "INPUT")
    one_line(sepkit("evaluate", "-m", model), 2, "--song-dir")
    one_line(sepkit("evaluate", "-m", model, "--song-dir", songs / "one", "--metrics", "sdrr"), 2, "sdrr", "sdr")
    one_line(sepkit("evaluate", "-m", model, "--song-dir", songs / "one", "--target", "vocal"), 2, "vocal", "vocals")
    one_line(sepkit("evaluate", "-m", model, "--song-dir", tmp_path / "no"), 1, str(tmp_path / "no"))
    one_line(sepkit("models", "info", "no-such"), 2, "no-such")
    one_line(sepkit("nonsense"), 2, "nonsense")


def test_an_error_as_json_is_one_object_on_stdout(sepkit):
    for args in (("train", "no.toml"), ("train", "no.toml", "--epochs", "x"), ("separate",)):
        done = sepkit(*args, "--json")
        assert done.code == 2
        assert done.json["exit_code"] == 2
        assert done.json["error"]
        assert len(done.err.strip().splitlines()) == 1


def test_debug_shows_the_traceback(capsys):
    with pytest.raises(ConfigError):
        main(["train", "no.toml", "--debug"])


def test_an_error_that_nobody_foresaw_is_one_line_too(sepkit, monkeypatch):
    monkeypatch.setattr("sepkit.diagnosis.diagnose", lambda: 1 / 0)
    one_line(sepkit("doctor"), 1, "ZeroDivisionError", "--debug")


@pytest.mark.parametrize("group", [(), ("config",), ("models",), ("plugins",)])
def test_a_group_without_a_verb_shows_its_help(sepkit, group):
    done = sepkit(*group)
    assert done.code == 2
    assert done.err.startswith(f"Usage: {' '.join(('sepkit', *group))}")
    assert "Commands:" in done.err


def test_a_file_that_breaks_off_during_training_is_named_by_workers_too(sepkit, small_config, songs, tmp_path):
    for song in songs.iterdir():
        soundfile.write(song / "vocals.flac", soundfile.read(song / "vocals.wav")[0], 8000)
        (song / "vocals.wav").unlink()
        content = (song / "vocals.flac").read_bytes()
        (song / "vocals.flac").write_bytes(content[: len(content) // 3])
    for workers in (0, 1):
        done = sepkit(
            "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / f"r{workers}",
            "--set", f"train.workers={workers}",
        )  # fmt: skip
        assert done.code == 1
        (error,) = [line for line in done.err.splitlines() if "Error" in line]
        assert error.startswith("Error: ")
        assert "vocals.flac" in error
        assert "Traceback" not in done.err
