"""Random reverberation of each source."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.reverb import Reverb

RATE = 22050
IMPULSE = np.zeros((2, 2, 3 * RATE), np.float32)
IMPULSE[:, :, 100] = 1


def wet(seed=0, **settings):
    """Return the reverb of an impulse in a source, and of one in the residual."""
    augment = Reverb(**settings).build(AudioSpec(RATE, 2, ("vocals",)))
    return augment(IMPULSE, IMPULSE.sum(0), np.random.default_rng(seed))[0] - IMPULSE


@pytest.mark.parametrize("level", [-20, -6])
def test_the_room_has_the_energy_that_is_asked_for_and_comes_after_the_sound(level):
    for seed in range(10):
        room, residual = wet(seed, low_db=level, high_db=level)
        np.testing.assert_allclose(10 * np.log10((room**2).sum(1)), level, atol=0.1)
        assert np.abs(room[:, :101]).max() < 1e-6
        assert not residual.any()


def test_it_falls_by_60_db_in_its_time_at_most():
    for seed in range(10):
        room = wet(seed, low_db=0, high_db=0, longest_seconds=1.0)[0]
        energy = np.cumsum((room**2).sum(0)[::-1])[::-1]  # Schroeder: what is yet to come
        last = np.flatnonzero(energy > 1e-6 * energy[0])[-1] - 100
        assert 0.1 * RATE < last < 1.07 * RATE


def test_channels_get_different_rooms():
    left, right = wet()[0]
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.2
