"""The recipe of the built-in model: MIDI that others can play, songs at one level, a small file that says all."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sepkit import config as configs
from sepkit.checkpoints import model_file

RECIPE = Path(__file__).parents[2] / "recipes" / "vocals"


@pytest.fixture(autouse=True)
def _recipe(monkeypatch):
    monkeypatch.syspath_prepend(RECIPE)
    yield
    for name in ("accompany", "midi", "pack", "render", "sing", "speak"):
        sys.modules.pop(name, None)


def track(events):
    return b"MTrk" + len(events).to_bytes(4, "big") + events


def midi_file(*tracks):
    return b"MThd\0\0\0\6\0\1" + len(tracks).to_bytes(2, "big") + (480).to_bytes(2, "big") + b"".join(tracks)


DRUMS = midi_file(track(b"\0\xff\x51\x03\x07\xa1\x20\0\x99\x24\x60\x83\x60\x24\0\0\xff\x2f\0"))
"""A tempo, and a kick whose end is a note-on of velocity 0 in running status."""


@pytest.fixture
def performance(tmp_path):
    from accompany import Performance

    path = tmp_path / "drummer1" / "session1" / "1_rock_120_beat_4-4.mid"
    path.parent.mkdir(parents=True)
    path.write_bytes(DRUMS)
    return Performance(path, 120, 40)


def tracks_of(midi):
    found, at = [], 14
    while at < len(midi):
        assert midi[at : at + 4] == b"MTrk"
        end = at + 8 + int.from_bytes(midi[at + 4 : at + 8], "big")
        found.append(midi[at:end])
        at = end
    assert at == len(midi)
    return found


def notes_of(one):
    """The times of all events, and how often each key is struck and released."""
    from midi import _quantity

    at, now, balance, last = 8, 0, {}, 0
    while True:
        wait, at = _quantity(one, at)
        now += wait
        status = one[at]
        if status == 0xFF:
            assert one[at:] == b"\xff\x2f\0"
            return last, balance
        if status >> 4 == 0xC:
            at += 2
            continue
        balance[one[at + 1]] = balance.get(one[at + 1], 0) + (1 if status >> 4 == 9 else -1)
        assert 0 <= one[at + 1] < 128
        assert 0 <= one[at + 2] < 128
        at, last = at + 3, now


def test_drums_get_four_tracks_in_time_and_stay_as_they_were(performance):
    from accompany import accompanied

    midi = accompanied(performance, 0)
    drums, *own = tracks_of(midi)
    assert drums == tracks_of(DRUMS)[0]
    assert int.from_bytes(midi[10:12], "big") == 5
    assert len(own) == 4
    for one in own:
        last, balance = notes_of(one)
        assert last <= performance.bars * 4 * 480
        assert not any(balance.values())  # each note ends
    assert notes_of(own[0])[0] > 0.9 * performance.bars * 4 * 480 - 4 * 480


def test_an_accompaniment_follows_from_the_seed_alone(performance):
    from accompany import accompanied

    assert accompanied(performance, 0) == accompanied(performance, 0)
    assert accompanied(performance, 0) != accompanied(performance, 1)


def test_no_accompaniment_has_a_choir(performance):
    from accompany import accompanied
    from midi import has_choir

    assert not any(has_choir(accompanied(performance, seed)) for seed in range(50))


@pytest.mark.parametrize(
    ("events", "choir"),
    [
        (b"\0\xc0\x34", True),
        (b"\0\xc0\x20\0\x90\x3c\x40\0\x3c\0\0\xc1\x5b", True),
        (b"\0\xff\x03\x02\xc0\x34\0\xc0\x00", False),  # in a text
        (b"\0\xc9\x34", False),  # drums
        (b"\0\xf0\x03\xc0\x34\xf7\0\xd0\x34\0\xe0\x34\x34", False),
    ],
)
def test_a_choir_is_found_by_its_program(events, choir):
    from midi import has_choir

    assert has_choir(midi_file(track(b"\0\xff\x2f\0"), track(events + b"\0\xff\x2f\0"))) is choir


def test_sounding_seconds_get_one_level_and_nothing_clips():
    from render import levelled

    noise = np.random.default_rng(0).standard_normal((4000, 2)).astype(np.float32)
    noise[:2000] = 0
    quiet = levelled(0.01 * noise, 1000, -20)
    assert 20 * np.log10(quiet[2000:].mean(1).std()) == pytest.approx(-20, abs=0.1)
    assert np.abs(levelled(noise, 1000, 0)).max() == pytest.approx(0.99)


def test_the_model_is_packed_in_half_precision_with_what_is_to_be_known(small_model, tmp_path):
    from pack import pack

    pack(small_model, tmp_path / "vocals.safetensors", "SDR of vocals: 5.0 dB")
    packed, whole = model_file.load(tmp_path / "vocals.safetensors"), model_file.load(small_model)
    assert packed.manifest.score == "SDR of vocals: 5.0 dB"
    assert "CC BY-SA 4.0" in packed.manifest.licence
    assert len(packed.manifest.learned_from) >= 7
    for name, tensor in packed.weights.items():
        halved = tensor.ndim > 1
        assert tensor.dtype == (torch.float16 if halved else whole.weights[name].dtype)
        torch.testing.assert_close(tensor.to(whole.weights[name].dtype), whole.weights[name], rtol=1e-3, atol=1e-6)


def test_the_config_is_one(tmp_path):
    config = configs.load(RECIPE / "vocals.toml")
    assert config.audio.sources == ("vocals",)
    assert config.model.name == "crnn"
