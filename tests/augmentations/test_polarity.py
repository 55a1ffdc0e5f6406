"""Random polarity."""

import numpy as np

from sepkit import AudioSpec
from sepkit.augmentations.polarity import Polarity


def test_half_of_the_stems_are_flipped_each_by_itself():
    stems = np.random.default_rng(0).standard_normal((2, 2, 50)).astype(np.float32)
    polarity = Polarity().build(AudioSpec())
    signs = []
    for seed in range(400):
        flipped, _ = polarity(stems, stems.sum(0), np.random.default_rng(seed))
        sign = flipped[:, 0, 0] / stems[:, 0, 0]
        np.testing.assert_array_equal(flipped, stems * sign[:, None, None])
        signs.append(sign)
    combinations, counts = np.unique(signs, axis=0, return_counts=True)
    assert combinations.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert counts.min() > 70
