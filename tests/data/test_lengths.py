"""A song ends with its mixture, whatever its stems do: for training, validation, evaluation and preparing."""

import numpy as np
import pytest
import soundfile

from sepkit.config import Shortcuts, load
from sepkit.data.corpus import songs_in, training_songs
from sepkit.data.loader import Data
from sepkit.data.song import RESIDUAL
from sepkit.evaluation.reference import load as reference

RATE = 8000


@pytest.fixture
def corpus(tmp_path):
    """Four songs of a voice of 3 s and a mixture of 1 s."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        voice, band = rng.uniform(-0.2, 0.2, (2, 3 * RATE))
        (tmp_path / "songs" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "songs" / name / "vocals.wav", voice, RATE, "FLOAT")
        soundfile.write(tmp_path / "songs" / name / "mixture.wav", (voice + band)[:RATE], RATE, "FLOAT")
    return tmp_path / "songs"


@pytest.fixture
def config(small_config, corpus):
    return load(small_config, ["train.chunk_seconds=1.5"], Shortcuts(data_dir=corpus, target="vocals"))


def upside_down(mixture, voice):
    """Whether what is not the voice is the voice, negated."""
    return voice.any() and np.dot(mixture - voice, voice) < -0.9 * np.dot(voice, voice)


def test_row_33_no_chunk_has_a_voice_behind_the_end_of_its_mixture(config):
    data = Data(config)
    batches = data.train_batches(0)
    chunks = [pair for _ in range(8) for b in [next(batches)] for pair in zip(b["mixture"], b["targets"], strict=True)]
    chunks += [pair for b in data.validation_batches() for pair in zip(b["mixture"], b["targets"], strict=True)]
    assert len(chunks) > 16
    for mixture, target in chunks:
        mixed, voice = mixture[0].numpy(), target[0, 0].numpy()
        assert voice[:RATE].any() or not voice.any()
        assert not voice[RATE:].any(), "chunks are longer than the songs: what is left is silence"
        assert not mixed[RATE:].any()
        assert not upside_down(mixed, voice)


def test_what_sounds_and_what_is_prepared_end_with_the_mixture(sepkit, config, small_config, corpus):
    for song in training_songs(config):
        assert song.frames == RATE
        assert max(stop for _, stop in song.sounding["vocals"]) == RATE
    done = sepkit("data", "prepare", small_config, "--data-dir", corpus, "--workers", 0, "--json")
    assert done.json["bytes"] == 4 * 2 * RATE * 2  # songs, parts, frames, bytes
    for song in training_songs(config):
        assert song.prepared
        rest, voice = (song.part(name).read(config.audio, 0, 3 * RATE)[0] for name in (RESIDUAL, "vocals"))
        assert not upside_down(rest + voice, voice)
        assert not voice[RATE:].any()


def test_evaluation_ends_with_the_mixture_and_says_so(config, caplog):
    track = songs_in(config, "train") and config.datasets[0].tracks("all")[0]
    song = reference(track)
    assert song.mixture.shape == song.stems["vocals"].shape == (1, RATE)
    assert "a: vocals lasts 3.0 s, the mixture 1.0 s; the stem is cut" in caplog.text


def test_lengths_that_differ_are_one_line_for_training_and_a_finding_each(sepkit, small_config, corpus):
    samples, _ = soundfile.read(corpus / "a" / "vocals.wav")
    soundfile.write(corpus / "a" / "vocals.wav", samples[: RATE // 2], RATE, "FLOAT")
    soundfile.write(corpus / "b" / "vocals.wav", samples[: RATE + 100], RATE, "FLOAT")  # 12 ms: without a word
    done = sepkit("data", "check", small_config, "--data-dir", corpus, "--workers", 0, "--json")
    found = {f["track"]: f["text"] for f in done.json["findings"] if " s longer" in f["text"] or "shorter" in f["text"]}
    assert found == {
        "a": "0.5 s shorter than the song; padded with silence",
        "c": "2.0 s longer than the mixture, with which the song ends",
        "d": "2.0 s longer than the mixture, with which the song ends",
    }
    done = sepkit("data", "prepare", small_config, "--data-dir", corpus, "--workers", 0)
    lines = [line for line in done.err.splitlines() if line.startswith("Warning")]
    ends = "A song ends with its mixture; `sepkit data check` lists them"
    assert sorted(lines) == [
        f"Warning: stems longer than their mixture: 1 (c: vocals 3.0 s, mixture 1.0 s). {ends}",
        f"Warning: stems longer than their mixture: 1 (d: vocals 3.0 s, mixture 1.0 s). {ends}",
        "Warning: stems shorter than their mixture: 1 (a: vocals 0.5 s, mixture 1.0 s). "
        "Silence is added to the stem; `sepkit data check` lists them",
    ]


@pytest.mark.parametrize("rate", [11025, 44100])
def test_the_end_is_that_of_the_mixture_at_any_rate(config, corpus, rate):
    samples = np.random.default_rng(1).uniform(-0.2, 0.2, 3 * rate)
    for path in corpus.glob("*/vocals.wav"):
        soundfile.write(path, samples, rate, "FLOAT")
    for song in songs_in(config, "train"):
        assert song.frames == RATE
        assert not song.part("vocals").read(config.audio, RATE + 100, RATE).any()


def test_without_a_mixture_the_longest_stem_says_how_long_a_song_is(config, corpus):
    for path in corpus.glob("*/mixture.wav"):
        path.rename(path.with_name("drums.wav"))
    for song in songs_in(config, "train"):
        assert song.frames == 3 * RATE
        assert song.part("vocals").read(config.audio, 2 * RATE, RATE).any()
