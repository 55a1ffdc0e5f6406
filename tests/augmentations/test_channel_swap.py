"""Random order of channels."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.channel_swap import ChannelSwap


def orders(channels):
    """Return how many of 400 chunks each order of the channels of the two stems got."""
    stems = np.random.default_rng(0).standard_normal((2, channels, 50)).astype(np.float32)
    swap = ChannelSwap().build(AudioSpec(channels=channels))
    found = []
    for seed in range(400):
        swapped, _ = swap(stems, stems.sum(0), np.random.default_rng(seed))
        order = [
            [int(np.flatnonzero((old == row).all(1))[0]) for row in new]
            for new, old in zip(swapped, stems, strict=True)
        ]
        found.append(str(order))
    return {order: found.count(order) for order in found}


def test_left_and_right_of_half_of_the_stems_are_swapped_each_by_itself():
    counts = orders(2)
    assert set(counts) == {f"[{a}, {b}]" for a in ([0, 1], [1, 0]) for b in ([0, 1], [1, 0])}
    assert min(counts.values()) > 70


@pytest.mark.parametrize(("channels", "possible"), [(1, 1), (3, 36)])
def test_mono_stays_and_more_channels_get_any_order(channels, possible):
    assert len(orders(channels)) == possible
