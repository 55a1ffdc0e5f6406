"""The songs of our own making."""

import numpy as np
import pytest
import soundfile

from sepkit.datasets.synthesis import render
from sepkit.datasets.synthetic import Synthetic
from sepkit.errors import CorpusError

FEW = {"train": 2, "validation": 1, "test": 1, "seconds": 3.0}


def test_songs_are_written_once_and_their_mixture_is_the_sum(tmp_path):
    dataset = Synthetic(root=tmp_path / "s", **FEW)
    tracks = dataset.tracks("all")
    assert [len(dataset.tracks(s)) for s in ("train", "validation", "test")] == [2, 1, 1]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.wav")}
    for track in tracks:
        stems = [soundfile.read(path)[0] for (path,) in track.stems.values()]
        assert set(track.stems) == {"vocals", "drums", "bass", "other"}
        np.testing.assert_allclose(sum(stems), soundfile.read(track.mixture)[0], atol=1e-7)
        assert all(np.abs(stem).max() > 0.01 for stem in stems)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.wav")} == before


def test_the_same_seed_gives_the_same_song_and_another_one_another():
    one, again, other = render((0, 1), 2.0), render((0, 1), 2.0), render((0, 2), 2.0)
    assert all(np.array_equal(one[stem], again[stem]) for stem in one)
    assert not np.array_equal(one["vocals"], other["vocals"])


def test_other_settings_never_overwrite_a_folder(tmp_path):
    Synthetic(root=tmp_path / "s", **FEW).tracks("train")
    with pytest.raises(CorpusError, match="other settings"):
        Synthetic(root=tmp_path / "s", **FEW, seed=1).tracks("train")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.wav").touch()
    with pytest.raises(CorpusError, match="no folder of synthetic songs"):
        Synthetic(root=tmp_path / "mine", **FEW).tracks("train")


def test_rendering_that_was_stopped_goes_on(tmp_path):
    dataset = Synthetic(root=tmp_path, **FEW)
    whole = {p: p.read_bytes() for t in dataset.tracks("all") for p in (t.mixture, *t.stems["vocals"])}
    missing = next(iter(whole))
    missing.unlink()
    dataset.tracks("all")
    assert {p: p.read_bytes() for p in whole} == whole


def test_the_voice_is_harmonic_and_below_8_khz_mostly():
    voice = render((0, 3), 4.0)["vocals"][0]
    power = np.abs(np.fft.rfft(voice)) ** 2
    hertz = np.fft.rfftfreq(len(voice), 1 / 44100)
    assert power[(hertz > 80) & (hertz < 8000)].sum() > 0.98 * power.sum()
