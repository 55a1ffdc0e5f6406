"""Random gain."""

import numpy as np

from sepkit import AudioSpec
from sepkit.augmentations.gain import Gain

STEMS = np.random.default_rng(0).standard_normal((3, 2, 50)).astype(np.float32)


def test_each_stem_gets_a_gain_of_its_own_within_the_limits_and_the_mixture_is_their_sum():
    before = STEMS.copy()
    gain = Gain(low_db=-6, high_db=3).build(AudioSpec())
    ratios = []
    for seed in range(200):
        louder, mixture = gain(STEMS, STEMS.sum(0), np.random.default_rng(seed))
        np.testing.assert_allclose(mixture, louder.sum(0), atol=1e-6)
        ratio = louder / STEMS
        np.testing.assert_allclose(ratio, ratio[:, :1, :1].repeat(2, 1).repeat(50, 2), rtol=1e-4)
        ratios.append(ratio[:, 0, 0])
    decibels = 20 * np.log10(ratios)
    assert decibels.min() >= -6.01
    assert decibels.max() <= 3.01
    assert decibels.std(0).min() > 1
    np.testing.assert_array_equal(STEMS, before)
