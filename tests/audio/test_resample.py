"""Resampling at any two rates: length, seams, level and images, and memory at odd rates."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torchaudio.transforms import Resample

from sepkit.audio import resample as room
from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read_sum
from sepkit.audio.resample import resample, resampled

# Rates whose grid meets that of 22 050 Hz seldom: at 48 001 Hz once a second.
ODD = (7001, 44056, 48001, 383_999)
USUAL = (1001, 11025, 44100, 48000)
TO_AND_FRO = [pair for rate in ODD + USUAL for pair in ((rate, 22050), (22050, rate))]
FEW = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def noise(frames, channels=2):
    return np.random.default_rng(frames).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)


def in_blocks(samples, cuts):
    return np.split(samples, sorted(cuts), axis=1)


@pytest.mark.parametrize(("old", "new"), TO_AND_FRO)
@FEW
@given(data=st.data())
def test_a_stream_equals_the_whole_resampled_at_once_whatever_its_blocks(monkeypatch, old, new, data):
    monkeypatch.setattr(room, "BLOCK_SECONDS", 0.1)
    frames = data.draw(st.integers(0, round(1.3 * old)))
    samples = noise(frames)
    cuts = st.lists(st.integers(0, frames), max_size=5)
    parts = [np.hstack(list(resampled(in_blocks(samples, data.draw(cuts)), old, new)) or [samples]) for _ in range(2)]
    np.testing.assert_array_equal(*parts)
    whole = resample(samples, old, new)
    assert whole.shape == parts[0].shape == (2, -(-frames * new // old))
    assert whole.dtype == parts[0].dtype == np.float32
    np.testing.assert_allclose(parts[0], whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("old", ODD)
@FEW
@given(start=st.integers(0, 30_000), frames=st.integers(1, 3000))
def test_a_part_of_a_file_at_an_odd_rate_equals_that_part_of_the_whole(tmp_path, old, start, frames):
    path, samples = tmp_path / "a.wav", noise(round(1.2 * old))
    if not path.exists():
        soundfile.write(path, samples.T, old, subtype="FLOAT")
    whole = resample(samples, old, 22050)[:, start : start + frames]
    part = read_sum([Piece(path, probe(path))], 22050, 2, start, frames)
    assert part.shape == (2, frames)
    np.testing.assert_allclose(part[:, : whole.shape[1]], whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("frames", "old", "new"), [(198_467, 22050, 48000), (198_467, 11025, 48000), (198_467, 22050, 48001), (0, 2, 3)]
)
def test_the_last_samples_are_there_and_right(frames, old, new):
    samples = noise(frames, 1)
    exact = -(-frames * new // old)
    longer = resample(np.pad(samples, ((0, 0), (0, 1000))), old, new)
    assert resample(samples, old, new).shape == (1, exact)
    np.testing.assert_allclose(resample(samples, old, new), longer[:, :exact], atol=1e-6, rtol=0)


def test_one_sample_and_samples_that_lie_time_first():
    for old, new in TO_AND_FRO:
        assert resample(noise(1), old, new).shape == (2, -(-new // old))
        samples = noise(3000)
        np.testing.assert_array_equal(resample(np.asfortranarray(samples), old, new), resample(samples, old, new))


def tone(rate, frequency, frames):
    phase = 2 * np.pi * frequency / rate * np.arange(frames)
    return np.stack([np.cos(phase), np.sin(phase)])


@pytest.mark.parametrize("share", [0.03, 0.4, 0.8])
@pytest.mark.parametrize(("old", "new"), TO_AND_FRO)
def test_a_sine_keeps_level_and_phase_and_gets_no_image(old, new, share):
    frequency = share * min(old, new) / 2
    heard = resample(tone(old, frequency, old // 2)[1:].astype(np.float32), old, new)[0]
    middle = slice(len(heard) // 5, -len(heard) // 5)
    waves = tone(new, frequency, len(heard))[:, middle].T
    cosine, sine = np.linalg.lstsq(waves, heard[middle])[0]
    assert abs(20 * np.log10(np.hypot(cosine, sine))) < 0.1
    assert abs(np.arctan2(cosine, sine)) < 1e-3
    rest = heard[middle] - waves @ [cosine, sine]
    assert 20 * np.log10(np.sqrt(2 * np.mean(rest**2))) < -60


@pytest.mark.parametrize("old", [44056, 48001, 383_999, 44100, 48000])
def test_what_lies_above_the_new_band_is_gone(old):
    heard = resample(tone(old, 1.1 * 22050 / 2, old // 2).astype(np.float32), old, 22050)
    assert 20 * np.log10(np.abs(heard[:, 1000:-1000]).max()) < -60


@pytest.mark.parametrize(("old", "new"), [(44100, 22050), (22050, 48000), (11025, 64000)])
def test_between_usual_rates_it_is_the_filter_of_torchaudio(old, new):
    samples = noise(5000)
    expected = Resample(old, new, lowpass_filter_width=24, rolloff=0.96)(torch.from_numpy(samples))
    # It counts phases in float32: it is off by as much where there are many.
    np.testing.assert_allclose(resample(samples, old, new), expected, atol=3e-5, rtol=0)


@pytest.mark.parametrize(("old", "new"), [(44100, 22050), (22050, 44100), (48000, 44100), (8000, 22050)])
def test_odd_rates_get_the_filter_of_the_usual_ones(monkeypatch, old, new):
    samples = noise(5000)
    usual = resample(samples, old, new)
    monkeypatch.setattr(room, "LARGEST_MATRICES", 0)
    np.testing.assert_allclose(resample(samples, old, new), usual, atol=1e-6, rtol=0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_odd_rates_need_little_memory():
    code = """
import re, resource, numpy, scipy.signal
from pathlib import Path
from sepkit.audio.resample import resample
held = int(re.search(r"VmData:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (held + 200 * 2**20,) * 2)
for rate in (7001, 44056, 48001, 383_999):
    for old, new in ((rate, 22050), (22050, rate)):
        resample(numpy.zeros((2, old), numpy.float32), old, new)
print("done")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "done\n", ended.stderr
