"""A song becomes a section: what is in it, how much of it, and what it costs to make."""

import json
import tracemalloc
from base64 import b64decode
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context

import numpy as np
import pytest
import soundfile
from PIL import Image

from sepkit.errors import AudioError
from sepkit.report import ArraySignal, FileSignal, Limits, SeparatedSong, Stem, page_section
from tests.report.songs import RATE, song, sounds


def content(made, limits=None):
    return json.loads(page_section(made, limits or Limits()).json)


def decoded(excerpt, name):
    samples, rate = soundfile.read(BytesIO(b64decode(excerpt["sounds"][name]["mp3"])), dtype="float32", always_2d=True)
    return samples.T, rate


def test_a_short_song_is_there_as_a_whole():
    found = content(song(seconds=20.0))
    sources = ["mixture", *(f"{kind} {stem}" for stem in (0, 1) for kind in ("estimate", "reference", "residual"))]
    (excerpt,) = found["excerpts"]
    assert list(excerpt["sounds"]) == sources
    assert (excerpt["start"], excerpt["seconds"]) == (0, 20)
    assert set(found["whole"]["pictures"]) == {*sources, "difference 0", "difference 1"}
    assert [stem["name"] for stem in found["stems"]] == ["vocals", "drums"]
    assert found["stems"][0]["silences"][0] == [3, 4]
    assert found["stems"][0]["curves"][0]["values"][:4] == [6.0, 6.1, -3.0, None]
    picture = Image.open(BytesIO(b64decode(found["whole"]["pictures"]["mixture"])))
    assert picture.format == "WEBP"
    assert picture.width <= 900
    assert found["views"][0]["why"].startswith("SDR of vocals: ")


def test_what_is_heard_is_in_step_and_the_rest_is_mixture_minus_estimate():
    made = song()
    (excerpt,) = content(made)["excerpts"]
    vocals, drums = sounds(6.0)
    truth = {
        "mixture": vocals + drums,
        "estimate 0": 0.9 * vocals + 0.1 * drums,
        "residual 0": 0.1 * vocals + 0.9 * drums,
    }
    for name, samples in truth.items():
        heard, rate = decoded(excerpt, name)
        assert (rate, heard.shape) == (RATE, samples.shape)
        spectra = np.conj(np.fft.rfft(samples)) * np.fft.rfft(heard)
        likeness = np.fft.irfft(spectra).sum(0) / np.sqrt(np.square(samples).sum() * np.square(heard).sum())
        assert likeness.argmax() == 0, name
        assert likeness[0] > 0.85, name


def test_sources_are_played_at_one_loudness_or_at_their_true_level():
    from torch import from_numpy
    from torchaudio.functional import loudness

    vocals, drums = sounds(6.0)
    loud = ArraySignal(4 * (vocals + drums), RATE)  # beyond full scale
    (excerpt,) = content(SeparatedSong("loud", loud, (Stem("vocals", ArraySignal(0.05 * vocals, RATE)),)))["excerpts"]
    levels = {}
    for name, sound in excerpt["sounds"].items():
        heard, rate = decoded(excerpt, name)
        levels[name] = float(loudness(from_numpy(heard * np.float32(sound["equal"])), rate))
    assert levels["mixture"] == pytest.approx(levels["residual 0"], abs=0.7)
    assert levels["estimate 0"] == pytest.approx(-18, abs=0.7)
    heard = decoded(excerpt, "mixture")[0] * excerpt["sounds"]["mixture"]["level"]
    assert np.abs(heard).max() == pytest.approx(np.abs(loud.samples).max(), rel=0.2)


def test_without_references_there_is_nothing_to_compare_with():
    found = content(song(seconds=40.0, references=False))
    assert {name.split()[0] for name in found["whole"]["pictures"]} == {"mixture", "estimate", "residual"}
    assert all(not stem["reference"] and not stem["curves"] for stem in found["stems"])
    assert {excerpt["why"] for excerpt in found["views"]} == {"loud in vocals"}


@pytest.mark.parametrize("kilobytes", [20, 150, 300, 1000])
def test_the_limit_is_kept_whatever_it_is(kilobytes):
    limits = Limits(page_bytes=kilobytes * 1000)
    section = page_section(song(seconds=60.0), limits)
    found = json.loads(section.json)
    pictures = len(json.dumps(found["whole"]))
    assert len(section.json) <= max(limits.section_bytes, pictures + 3000)
    assert pictures < max(0.6 * limits.section_bytes, 30_000)
    if kilobytes >= 300:
        assert found["excerpts"], "there is room for sound"
        assert all(excerpt["seconds"] >= 1 for excerpt in found["excerpts"])
    if kilobytes == 1000:
        assert len(found["excerpts"]) == len(found["views"]) > 1
        assert found["excerpts"][0]["start"] == found["views"][0]["start"] == 0
        assert {excerpt["seconds"] for excerpt in found["excerpts"]} == {8}


@pytest.mark.parametrize("expected", [1, 10_000, 1_000_000])
def test_the_limit_is_kept_where_sound_takes_more_or_less_than_expected(monkeypatch, expected):
    """Bytes of a second of all sources are about 30 000."""
    monkeypatch.setattr("sepkit.report.section.bytes_per_second", lambda sources, around: expected)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 20 * 48_000)).astype(np.float32)
    made = SeparatedSong("noise", ArraySignal(noise, 48_000), (Stem("a", ArraySignal(noise / 2, 48_000)),))
    limits = Limits(page_bytes=150_000)
    section = page_section(made, limits)
    assert len(section.json) <= limits.section_bytes
    assert bool(json.loads(section.json)["excerpts"]) == (expected < 1_000_000)


@pytest.mark.parametrize(("rate", "channels", "frames"), [(8000, 1, 1), (5000, 1, 900), (96000, 3, 50_000)])
def test_odd_signals(rate, channels, frames):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)
    signal = ArraySignal(samples, rate)
    (excerpt,) = content(
        SeparatedSong("odd", signal, (Stem("a", signal, ArraySignal(samples[:, : frames // 2 + 1], rate)),))
    )["excerpts"]
    assert excerpt["seconds"] == frames / rate


def test_silence_is_no_error():
    silence = ArraySignal(np.zeros((2, RATE), np.float32), RATE)
    (excerpt,) = content(SeparatedSong("silence", silence, (Stem("a", silence, silence),)))["excerpts"]
    assert excerpt["sounds"]["estimate 0"]["equal"] == 1


def test_another_rate_is_refused():
    made = SeparatedSong("two rates", ArraySignal(np.zeros((1, 10), np.float32), 8000), song().stems[:1])
    slow = SeparatedSong("two rates", ArraySignal(np.zeros((1, 10), np.float32), 4000), made.stems)
    with pytest.raises(AudioError, match="two rates: its mixture has 4000 Hz, its estimate 0 8000 Hz; "):
        page_section(slow, Limits())


def write_noise(path, seconds, rate, seed):
    rng = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for _ in range(seconds):
            file.write(rng.uniform(-0.5, 0.5, rate).astype(np.float32))
    return FileSignal(path, rate, 1, seconds * rate)


def test_memory_does_not_grow_with_the_length_of_files(tmp_path):
    rate, seconds = 96_000, 90
    mixture, estimate = (write_noise(tmp_path / f"{i}.wav", seconds, rate, i) for i in (0, 1))
    made = SeparatedSong("long", mixture, (Stem("vocals", estimate),))
    limits = Limits(page_bytes=500_000, excerpts=1)
    page_section(song(seconds=2.0), limits)  # imports what is imported once
    tracemalloc.start()
    section = page_section(made, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = 4 * rate * seconds
    assert peak < 0.8 * one, f"{peak / 1e6:.0f} MB, where one of three sources is {one / 1e6:.0f} MB"
    assert json.loads(section.json)["excerpts"]


def test_it_works_in_another_process():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        section = pool.submit(page_section, song(seconds=1.0), Limits()).result()
    assert section == page_section(song(seconds=1.0), Limits())
