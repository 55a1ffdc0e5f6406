"""The guide to scores."""

import pytest

from sepkit.evaluation.guide import guide_text, leak, verdict


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
        "7+ excellent; fair at most where over 10 % of the silence is audible or a source bleeds in above -10 dB"
    )


@pytest.mark.parametrize(
    ("metric", "median", "text"),
    [
        ("silence_audible", 60.4, "60 % of the silence is audible"), ("silence_audible", 10.0, ""),
        ("bleed.bass", -2.28, "bass bleeds in at -2.3 dB"), ("bleed.bass", -10.0, ""), ("bleed.bass", None, ""),
        ("sdr", 60.0, ""),
    ],
)  # fmt: skip
def test_a_leak_is_what_one_hears(metric, median, text):
    assert leak(metric, median) == text


def test_no_score_is_good_beside_a_leak():
    leaks = ["60 % of the silence is audible"]
    assert verdict(9.0, leaks) == "fair, although excellent by SDR alone; 60 % of the silence is audible"
    assert verdict(5.0, leaks).startswith("fair, although good")
    assert verdict(4.0, leaks) == "fair; 60 % of the silence is audible"
    assert verdict(1.0, leaks) == "poor; 60 % of the silence is audible"
