"""Row 31: an mp3 that does not state its length is as long for training, checking and evaluation as for `separate`."""

import re

import numpy as np
import pytest
import soundfile

from sepkit.config import Shortcuts, load
from sepkit.data.corpus import training_songs
from sepkit.evaluation.reference import load as reference
from tests.encoded import encode

RATE, SECONDS = 16000, 20


@pytest.fixture
def corpus(tmp_path):
    """Four songs, loud at first, of which libsndfile hears a quarter; one of them is two mp3s in one file."""
    rng, time = np.random.default_rng(0), np.arange(SECONDS * RATE) / RATE
    for name in "abcd":
        voice = 0.2 * np.sin(2 * np.pi * 220 * time)[:, None].repeat(2, 1) * (np.sin(2 * np.pi * time / 6) > 0)[:, None]
        noise = 0.15 * rng.standard_normal((len(time), 2)) * (time < 2)[:, None]
        folder = tmp_path / "songs" / name
        folder.mkdir(parents=True)
        for stem, samples in (("mixture", voice + noise), ("vocals", voice)):
            quality = {"flags": "+qscale", "global_quality": f"{2 * 118}"}
            no_tag = {"write_xing": "0", "id3v2_version": "0"}
            encode(folder / f"{stem}.mp3", samples, rate=RATE, container=no_tag, **quality)
    for stem in ("mixture", "vocals"):
        path = tmp_path / "songs" / "d" / f"{stem}.mp3"
        path.write_bytes(path.read_bytes() * 2)
    return tmp_path / "songs"


def test_row_31_every_verb_hears_all_of_an_mp3_without_a_length(sepkit, small_config, small_model, corpus, tmp_path):
    assert soundfile.info(corpus / "a" / "mixture.mp3").duration < SECONDS / 2
    config = load(small_config, [], Shortcuts(data_dir=corpus, target="vocals"))
    lasts = {name: SECONDS * (2 if name == "d" else 1) for name in "abcd"}
    for song in training_songs(config):
        assert song.frames / config.audio.sample_rate == pytest.approx(lasts[song.name], abs=0.2)
        late = song.part("vocals").read(config.audio, song.frames - 7 * config.audio.sample_rate, 8000)
        assert np.abs(late).max() > 0.1
        heard = reference(track_of(config, song.name)).mixture.shape[1] / RATE
        assert heard == pytest.approx(lasts[song.name], abs=0.2)
    found = sepkit("data", "check", small_config, "--data-dir", corpus, "--workers", 0, "--json")
    seconds = [float(number) for number in re.findall(r'"seconds": ([0-9.]+)', found.out)]
    assert seconds
    assert set(map(round, seconds)) == set(lasts.values())
    done = sepkit("separate", corpus / "d" / "mixture.mp3", "-m", small_model, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert soundfile.info(tmp_path / "out" / "mixture" / "vocals.wav").duration == pytest.approx(2 * SECONDS, abs=0.2)


def track_of(config, name):
    (dataset,) = config.datasets
    return next(track for track in dataset.tracks("all") if track.name == name)
