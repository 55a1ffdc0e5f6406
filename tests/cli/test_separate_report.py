"""`sepkit separate --report`: a page with the songs that were separated, and no scores."""

import json
import re

import numpy as np
import pytest
import soundfile

from sepkit.report import FileSignal


@pytest.fixture
def song(tmp_path):
    """Three seconds of a hum in noise that become louder than full scale."""
    path = tmp_path / "in" / "song.wav"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-1, 1, (24000, 2)) * np.linspace(0.1, 2, 24000)[:, None], 8000, subtype="FLOAT")
    return path


def sections(page):
    return [json.loads(text) for text in re.findall(r'id="song-\d+">(.*?)</script>', page.read_text(), re.DOTALL)]


def test_the_page_holds_every_song_and_stem(sepkit, small_model, song, tmp_path):
    (song.parent / "bad.wav").write_text("text")
    soundfile.write(song.parent / "other.wav", np.zeros((8000, 1)), 8000)
    out = tmp_path / "o"
    done = sepkit("separate", song.parent, "-m", small_model, "-o", out, "--report", "--json")
    assert done.code == 1
    assert done.json["report"] == str(out / "report.html")
    found = {section["name"]: section for section in sections(out / "report.html")}
    assert set(found) == {"song", "other"}
    assert [stem["name"] for stem in found["song"]["stems"]] == ["vocals", "accompaniment"]
    assert not any(stem["reference"] for stem in found["song"]["stems"])
    assert found["song"]["excerpts"]
    assert "bad.wav" in (out / "report.html").read_text()


def test_a_part_of_a_song(sepkit, small_model, song, tmp_path):
    part = ("--start", 1, "--duration", 1.5)
    done = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "o", "--report", *part)
    assert done.code == 0, done.err
    assert str(tmp_path / "o" / "report.html") in done.out
    assert [section["seconds"] for section in sections(tmp_path / "o" / "report.html")] == [1.5]


def test_the_part_of_a_file_times_a_gain(song):
    samples = soundfile.read(song, dtype="float32")[0].T
    part = FileSignal(song, 8000, 2, 9000, start=5000, gain=0.5)
    with part.reader() as read:
        np.testing.assert_array_equal(read(0, 4000), 0.5 * samples[:, 5000:9000])
        np.testing.assert_array_equal(read(4000, 6000), np.pad(0.5 * samples[:, 9000:14000], ((0, 0), (0, 1000))))
        np.testing.assert_array_equal(read(100, 50), 0.5 * samples[:, 5100:5150])


def test_what_cannot_be_reported_is_refused_before_anything_is_separated(sepkit, small_model, song, tmp_path):
    out = tmp_path / "o"
    done = sepkit("separate", song, "-m", small_model, "-o", out, "--report", "--format", "stem.mp4")
    assert (done.code, out.exists()) == (2, False)
    assert "stem.mp4" in done.err
    out.mkdir()
    (out / "report.html").write_text("mine")
    done = sepkit("separate", song, "-m", small_model, "-o", out, "--report")
    assert done.code == 2
    assert (out / "report.html").read_text() == "mine"
    assert [path.name for path in out.iterdir()] == ["report.html"]


def test_songs_of_one_file_name_are_called_as_their_folders(sepkit, small_model, song, tmp_path):
    songs = []
    for name in ("one", "R.E.M. two"):
        songs.append(song.parent / name / "mixture.wav")
        songs[-1].parent.mkdir()
        soundfile.write(songs[-1], np.zeros((8000, 1)), 8000)

    def names(*args):
        options = ("--stems", "vocals", "--report", "--overwrite")
        assert sepkit("separate", *args, "-m", small_model, *options).code == 0
        return [section["name"] for section in sections(tmp_path / "o" / "report.html")]

    assert names(*songs, "-o", tmp_path / "o") == ["one-mixture", "R.E.M. two-mixture"]
    assert names(song.parent, "-o", tmp_path / "o") == ["R.E.M. two/mixture", "one/mixture", "song"]
    assert names(song, "-o", tmp_path / "o", "--template", "{stem}/{track}") == ["vocals/song"]
    assert names(song, "-o", tmp_path / "o", "--template", "{track} - {stem}") == ["song"]
    assert names(song, "-o", tmp_path / "o" / "vocals.wav") == ["song"]
    assert names(song, "-o", tmp_path / "o" / "my song.wav") == ["my song"]
