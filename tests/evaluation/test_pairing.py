"""What estimates are scored against besides their own references."""

import numpy as np
import pytest

from sepkit.evaluation.pairing import RESIDUAL, AvailableStems, pair
from sepkit.evaluation.reference import Reference


@pytest.fixture
def song():
    """Vocals, drums and a mixture that is more than both: something else sounds, or it is how it was encoded."""

    def make(*, complete):
        vocals, drums, more = np.random.default_rng(0).uniform(-1, 1, (3, 2, 800)).astype(np.float32)
        return Reference("a", 8000, vocals + drums + more, {"vocals": vocals, "drums": drums}, complete)

    return make


def test_what_no_stem_holds_is_interference(song):
    (pairing,) = pair(song(complete=False), AvailableStems(("vocals",)))
    assert pairing.sources == ("vocals", "drums", RESIDUAL)
    np.testing.assert_allclose(pairing.references.sum(0), song(complete=False).mixture, atol=1e-5)


def test_where_the_stems_are_all_that_sounds_there_is_no_more(song):
    (pairing,) = pair(song(complete=True), AvailableStems(("vocals",)))
    assert pairing.sources == ("vocals", "drums")
