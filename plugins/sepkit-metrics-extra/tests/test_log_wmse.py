"""logWMSE as its users meet it: through the registry, with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sepkit_metrics_extra.log_wmse import LogWMSE

from sepkit import AudioSpec
from sepkit.registry import METRICS
from sepkit.testing import conformance

TestLogWMSE = conformance(LogWMSE())

RATE = 44100
PERFECT = -4 * np.log(1e-8)


def measure(estimates, references, mixture, rate=RATE):
    metric = METRICS.get("log_wmse").component()
    return metric.build(AudioSpec(rate, mixture.shape[0], ("a", "b")))(estimates, references, mixture)


def noises(seed, seconds=0.5, rate=RATE):
    references = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, 2, round(seconds * rate))).astype(np.float32)
    return references, references.sum(0)


def test_is_registered_under_its_distribution():
    registered = METRICS.get("log_wmse")
    assert registered.plugin.distribution == "sepkit-metrics-extra"
    assert (registered.component.unit, registered.component.better) == ("points", "higher")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(-60, 0), st.sampled_from([8000, 22050, 44100]))
def test_an_error_of_a_known_level_has_a_known_score(seed, decibels, rate):
    references, mixture = noises(seed, rate=rate)
    error = 10 ** (decibels / 20)
    scores = measure(references + np.float32(error) * mixture, references, mixture, rate)
    assert scores == pytest.approx([-4 * np.log(error**2 + 1e-8)] * 2, abs=0.01)


def test_a_silent_reference_has_a_score():
    references, mixture = noises(1)
    references[1] = 0
    estimates = references.copy()
    assert measure(estimates, references, mixture) == pytest.approx([PERFECT] * 2, abs=0.01)
    estimates[1] = 0.1 * mixture
    assert measure(estimates, references, mixture) == pytest.approx([PERFECT, 8 * np.log(10)], abs=0.01)


def test_what_the_ear_hears_badly_costs_less():
    references, mixture = noises(2)
    time = np.arange(references.shape[-1]) / RATE
    rumble, whistle = (0.1 * np.sin(2 * np.pi * f * time).astype(np.float32) for f in (40, 3000))
    estimates = references + np.stack([rumble, whistle])[:, None]
    low, high = measure(estimates, references, mixture)
    assert low > high + 10


def test_channels_count_alike_and_further_references_change_nothing():
    references, mixture = noises(3)
    estimates = references.copy()
    estimates[0, 1] += 0.1 * mixture[1]
    scores = measure(estimates[:1], references, mixture)
    assert scores == pytest.approx([(PERFECT + 8 * np.log(10)) / 2], abs=0.02)
