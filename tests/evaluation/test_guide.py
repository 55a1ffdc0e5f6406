"""The guide to scores."""

import pytest

from sepkit.evaluation.guide import guide_text, verdict


@pytest.mark.parametrize(
    ("sdr", "text"),
    [
        (-0.1, "failed"),
        (0, "poor"),
        (2.99, "poor"),
        (3, "fair"),
        (5, "good"),
        (6.9, "near commercial"),
        (7, "excellent"),
        (99, "excellent"),
    ],
)
def test_each_range_has_its_verdict(sdr, text):
    assert text in verdict(sdr)


def test_the_guide_in_one_line():
    assert guide_text() == (
        "Guide to SDR in dB, the median over songs of the median over frames of 1 s: "
        "below 0 failed: check the training; 0-3 poor; 3-5 fair; 5-7 good, the first goal, near commercial; "
        "7+ excellent"
    )
