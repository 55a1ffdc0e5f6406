"""A scored song as a section of the report."""

import json

import numpy as np
import pytest

from sepkit.evaluation.pairing import Estimates, Pairing
from sepkit.evaluation.reference import Reference
from sepkit.evaluation.section import section_of
from sepkit.report import Limits


@pytest.mark.parametrize(
    ("silent", "marked"),
    [
        ([(0.4, 1.2)], [[0.4, 1.2]]),
        ([(0.0, 0.2), (1.0, 2.0)], [[0.0, 0.2], [1.0, 2.0]]),  # one frame; the end of the song
        ([(0.5, 0.9)], [[0.6, 0.8]]),  # frames that are silent as a whole
        ([], []),
    ],
)
def test_silent_regions_have_a_beginning_and_an_end(silent, marked):
    vocals, drums = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 2, 16000)).astype(np.float32)
    for start, end in silent:
        vocals[:, round(start * 8000) : round(end * 8000)] = 0
    references = np.stack([vocals, drums])
    song = Reference("a", 8000, references.sum(0), {"vocals": vocals, "drums": drums})
    estimates = Estimates("model", Pairing(("vocals",), ("vocals", "drums"), references), references[:1])
    section = section_of(song, [estimates], [], [], Limits())
    (stem,) = json.loads(section.json)["stems"]
    np.testing.assert_allclose(np.reshape(stem["silences"], (-1, 2)), np.reshape(marked, (-1, 2)))
