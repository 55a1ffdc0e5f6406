"""The interval of a mean difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.evaluation.comparison import interval


def test_it_is_close_to_what_the_normal_distribution_says_where_that_holds():
    differences = np.random.default_rng(0).normal(0.5, 1, 150).tolist()
    half = 1.96 * np.std(differences, ddof=1) / np.sqrt(150)
    assert interval(differences) == pytest.approx((np.mean(differences) - half, np.mean(differences) + half), abs=0.03)


def test_it_leans_to_the_longer_tail():
    differences = np.random.default_rng(1).exponential(1, 40).tolist()
    low, high = interval(differences)
    assert high - np.mean(differences) > 1.15 * (np.mean(differences) - low)


def test_models_that_are_equally_good_seem_to_differ_as_seldom_as_it_says():
    """In 400 comparisons of ten songs, 5 %, give or take what chance leaves; plain percentiles do so in 10 %."""
    found = [interval(differences) for differences in np.random.default_rng(2).normal(0, 1, (400, 10)).tolist()]
    assert 0.02 < np.mean([low > 0 or high < 0 for low, high in found]) < 0.08


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=10, max_size=15))
def test_it_holds_the_mean_and_is_the_same_each_time(differences):
    low, high = interval(differences)
    assert min(differences) - 1e-9 <= low <= np.mean(differences) + 1e-9
    assert np.mean(differences) - 1e-9 <= high <= max(differences) + 1e-9
    assert interval(differences) == (low, high)


def test_equal_differences_leave_no_doubt_and_few_songs_leave_no_interval():
    assert interval([0.25] * 10) == (0.25, 0.25)
    assert interval([0.25] * 9) is None
    assert interval([]) is None
