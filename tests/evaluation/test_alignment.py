"""The lag of an estimate behind its reference, exact to the sample, and none where there is none."""

import numpy as np
import pytest

from sepkit.evaluation.alignment import lag

RATE = 8000
NOISE = np.random.default_rng(0).standard_normal((2, 2 * RATE)).astype(np.float32)
OTHER = np.random.default_rng(1).standard_normal((2, 2 * RATE)).astype(np.float32)


def delayed(signal, samples):
    moved = np.zeros_like(signal)
    if samples >= 0:
        moved[:, samples:] = signal[:, : signal.shape[1] - samples]
    else:
        moved[:, :samples] = signal[:, -samples:]
    return moved


@pytest.mark.parametrize("samples", [1, -1, 3, 1105, -1105, 7999])
@pytest.mark.parametrize("leak", [0.0, 0.5])
def test_it_is_exact(samples, leak):
    found, cost = lag(delayed(NOISE, samples) + leak * OTHER, NOISE, RATE)
    assert found == samples
    assert cost > 5


@pytest.mark.parametrize("estimate", [NOISE, 0.1 * NOISE, -NOISE, NOISE + OTHER, OTHER, 0 * NOISE])
def test_what_is_in_time_or_something_else_has_none(estimate):
    assert lag(estimate, NOISE, RATE) == (0, 0.0)


def test_a_silent_reference_and_a_short_one_have_none():
    assert lag(NOISE, 0 * NOISE, RATE) == (0, 0.0)
    assert lag(NOISE[:, :1], NOISE[:, :1], RATE) == (0, 0.0)


def test_a_period_is_no_delay():
    hum = np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)[None].astype(np.float32)
    assert lag(hum + 0.1 * OTHER[:1], hum, RATE) == (0, 0.0)


def test_it_is_found_in_the_loudest_part_and_in_channels_of_opposite_polarity():
    """The excerpt of a song: before it there is noise of another kind."""
    reference = np.concatenate([0.01 * OTHER] * 6 + [np.stack([NOISE[0], -NOISE[0]])], 1)
    estimate = np.concatenate([0.01 * NOISE] * 6 + [delayed(np.stack([NOISE[0], -NOISE[0]]), 50)], 1)
    assert lag(estimate, reference, RATE)[0] == 50
