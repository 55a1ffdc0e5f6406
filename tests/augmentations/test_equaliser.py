"""Random colour of each source."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.equaliser import Equaliser

RATE = 22050
IMPULSE = np.zeros((2, 1, RATE), np.float32)
IMPULSE[:, :, RATE // 2] = 1


def change(stems, seed=0, **settings):
    augment = Equaliser(**settings).build(AudioSpec(RATE, stems.shape[1], ("vocals",)))
    return augment(stems, stems.sum(0), np.random.default_rng(seed))[0]


def decibels(impulse):
    return 20 * np.log10(np.abs(np.fft.rfft(impulse)).clip(1e-9))


def test_one_gain_for_all_octaves_is_a_gain():
    np.testing.assert_allclose(change(IMPULSE, low_db=6, high_db=6)[0], IMPULSE[0] * 10 ** (6 / 20), atol=1e-5)


def test_gains_are_drawn_for_each_octave_within_the_limits():
    curves = np.array([decibels(change(IMPULSE, seed, low_db=-9, high_db=3)[0, 0]) for seed in range(40)])
    assert curves.min() >= -9.3
    assert curves.max() <= 3.3
    at = np.array([60, 480, 3840])  # an hertz is a bin
    assert curves[:, at].std(0).min() > 2
    assert np.abs(np.corrcoef(curves[:, at].T) - np.eye(3)).max() < 0.5


def test_nothing_moves_in_time():
    changed = change(IMPULSE, 3, low_db=-12, high_db=12)[0, 0]
    assert np.abs(changed).argmax() == RATE // 2
    before, after = changed[: RATE // 2][::-1][:5000], changed[RATE // 2 + 1 :][:5000]
    np.testing.assert_allclose(before, after, atol=1e-4)


@pytest.mark.parametrize("residual", [True, False])
def test_what_is_no_source_changes_only_if_asked_for(residual):
    changed = change(IMPULSE, residual=residual)
    assert np.array_equal(changed[1], IMPULSE[1]) is not residual
    assert not np.allclose(changed[0], changed[1])
