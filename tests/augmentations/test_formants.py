"""Random formants of each source."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.formants import Formants

RATE = 22050
FORMANT = 1500


def voice(pitch=220.0):
    """Harmonics under one broad formant."""
    harmonics = pitch * np.arange(1, int(5000 / pitch))
    levels = np.exp(-0.5 * ((harmonics - FORMANT) / 400) ** 2) + 0.01
    return np.sin(2 * np.pi * harmonics[:, None] * np.arange(RATE) / RATE).T @ levels


def change(factor, residual=False):
    stems = np.stack([0.1 * voice()[None], 0.1 * voice()[None]]).astype(np.float32)
    augment = Formants(low_factor=factor, high_factor=factor, residual=residual).build(AudioSpec(RATE, 1, ("vocals",)))
    return stems[:, 0], augment(stems, stems.sum(0), np.random.default_rng(0))[0][:, 0]


def peaks(samples):
    """The bins, of 1 Hz, above a tenth of the largest, and their magnitudes."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    found = np.flatnonzero(spectrum > 0.1 * spectrum.max())
    return found, spectrum[found]


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_formants_move_by_the_factor_and_harmonics_stay(factor):
    before, after = change(factor)
    bins, magnitudes = peaks(after[0])
    assert np.abs(bins % 220 - 110).min() > 105  # all lie at harmonics
    centre = np.average(bins, weights=magnitudes**2)
    assert centre == pytest.approx(FORMANT * factor, rel=0.06)
    assert (after[0] ** 2).sum() == pytest.approx((before[0] ** 2).sum(), rel=1e-3)


def test_a_factor_of_1_changes_nothing():
    before, after = change(1.0)
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)


@pytest.mark.parametrize("residual", [True, False])
def test_what_is_no_source_changes_only_if_asked_for(residual):
    before, after = change(1.3, residual)
    assert np.array_equal(before[1], after[1]) is not residual
