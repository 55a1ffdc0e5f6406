"""A second performance of each source."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.doubling import Doubling

RATE = 22050


def double(stems, seed=0, **settings):
    augment = Doubling(**settings).build(AudioSpec(RATE, stems.shape[1], ("vocals",)))
    return augment(stems, stems.sum(0), np.random.default_rng(seed))[0]


@pytest.mark.parametrize("level", [-12, 0])
def test_the_copy_has_its_level_and_is_late_by_10_to_40_ms(level):
    click = np.zeros((2, 1, RATE), np.float32)
    click[:, :, 5000] = 1
    for seed in range(20):
        voice, residual = double(click, seed, low_db=level, high_db=level)[:, 0]
        copy = voice - click[0, 0]
        late = (np.flatnonzero(copy) - 5000) / RATE
        assert late.min() >= 0.006
        assert late.max() <= 0.044
        assert copy.sum() == pytest.approx(10 ** (level / 20), rel=0.03)
        np.testing.assert_array_equal(residual, click[1, 0])


def test_its_pitch_wanders():
    """The phase of the copy against the original is not the same in all parts of a long note."""
    note = np.exp(2j * np.pi * 1000 * np.arange(3 * RATE) / RATE)
    stems = np.stack([note.real[None], 0 * note.real[None]]).astype(np.float32)
    copy = double(stems, low_db=0, high_db=0)[0, 0] - stems[0, 0]
    phases = [np.angle((copy * note.conj())[start : start + 441].sum()) for start in range(RATE, 3 * RATE, 441)]
    assert np.ptp(np.unwrap(phases)) > np.pi


def test_two_singers_are_doubled_differently():
    noise = np.random.default_rng(0).standard_normal((1, 1, RATE)).astype(np.float32)
    augment = Doubling().build(AudioSpec(RATE, 1, ("a", "b")))
    stems = np.repeat(noise, 3, 0)
    first, second, _ = augment(stems, stems.sum(0), np.random.default_rng(0))[0]
    assert not np.allclose(first, second)
