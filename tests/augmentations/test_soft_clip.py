"""Random saturation."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.soft_clip import SoftClip

STEMS = np.random.default_rng(0).standard_normal((3, 2, 500)).astype(np.float32)


def clip(stems, low, high, seed=0):
    return SoftClip(low_db=low, high_db=high).build(AudioSpec())(stems, stems.sum(0), np.random.default_rng(seed))[0]


@pytest.mark.parametrize("drive", [-10, 0, 12, 40])
def test_no_sample_exceeds_the_ceiling_and_loud_ones_reach_it(drive):
    ceiling = 10 ** (-drive / 20)
    peak = np.abs(clip(100 * STEMS, drive, drive)).max()
    assert 0.999 * ceiling < peak <= 1.000001 * ceiling


@pytest.mark.parametrize("drive", [0, 12])
def test_quiet_stems_stay_as_they_are(drive):
    quiet = 0.003 * STEMS
    np.testing.assert_allclose(clip(quiet, drive, drive), quiet, rtol=1e-3)


def test_samples_keep_their_order_and_sign():
    ramp = np.linspace(-1, 1, 401, dtype=np.float32).reshape(1, 1, -1)
    clipped = clip(ramp, 12, 12)
    assert (np.diff(clipped) > 0).all()
    np.testing.assert_allclose(clipped, -clipped[..., ::-1], atol=1e-6)


def test_each_stem_gets_a_drive_of_its_own_within_the_limits():
    peaks = [np.abs(clip(100 * STEMS, 0, 12, seed)).max((1, 2)) for seed in range(100)]
    drives = -20 * np.log10(peaks)
    assert drives.min() >= -0.01
    assert drives.max() <= 12.01
    assert drives.std(0).min() > 2
    assert np.ptp(drives, axis=1).max() > 5
