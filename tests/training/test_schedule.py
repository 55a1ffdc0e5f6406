"""Rates over a run, and over one that is resumed with other settings."""

from itertools import pairwise

import pytest
import torch

from sepkit.settings import OptimizerSettings, ScheduleSettings
from sepkit.training.schedule import Schedule

TOTAL = 40


def schedule(lr=1.0, total=TOTAL, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    return optimizer, Schedule(ScheduleSettings(**settings), OptimizerSettings(lr=lr), optimizer, total)


def run(pair, steps, scores=()):
    """The rates of some steps; after each fifth comes a score."""
    optimizer, rates = pair
    found, scores = [], iter(scores)
    for _ in range(steps):
        found.append(rates.rate)
        optimizer.step()
        rates.step()
        if rates.steps % 5 == 0 and (score := next(scores, None)) is not None:
            rates.validated(score)
    return found


def resumed(pair, lr=1.0, known=True, **settings):
    other = schedule(lr, **settings)
    other[1].load_state_dict(pair[1].state_dict(), scores_are_known=known)
    return other


def test_constant_and_warm_up():
    assert run(schedule(name="constant"), 3) == [1.0, 1.0, 1.0]
    assert run(schedule(name="constant", warmup_steps=3), 5) == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_falls_to_a_hundredth():
    rates = run(schedule(name="cosine", warmup_steps=4), TOTAL + 3)
    assert rates[4] == 1.0
    assert all(a > b for a, b in pairwise(rates[4:TOTAL]))
    assert rates[TOTAL:] == pytest.approx([0.01] * 3)


def test_a_cooldown_falls_to_a_hundredth_over_the_last_steps():
    rates = run(schedule(name="constant", warmup_steps=2, cooldown_steps=10), TOTAL + 3)
    assert rates[2:31] == [1.0] * 29
    assert rates[30:TOTAL] == pytest.approx([1 - 0.099 * step for step in range(10)])
    assert rates[TOTAL:] == pytest.approx([0.01] * 3)


def test_a_longer_run_cools_down_later():
    short = schedule(name="constant", cooldown_steps=10)
    run(short, 35)
    longer = schedule(name="constant", cooldown_steps=10, total=2 * TOTAL)
    longer[1].load_state_dict(short[1].state_dict(), scores_are_known=True)
    assert run(longer, 36) == [1.0] * 36
    assert longer[1].rate == pytest.approx(1 - 0.099)


def test_cosine_takes_no_cooldown():
    with pytest.raises(ValueError, match="leave out cooldown_steps"):
        ScheduleSettings(name="cosine", cooldown_steps=1)


def test_plateau_drops_where_nothing_gets_better():
    settings = {"name": "plateau", "factor": 0.5, "patience": 1, "warmup_steps": 2}
    rates = run(schedule(**settings), 35, [3.0, 2.0, 2.0, 2.5, 2.5, float("nan")])
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[3:20] == [1.0] * 17
    assert rates[20:30] == [0.5] * 10
    assert rates[30:] == [0.25] * 5


@pytest.mark.parametrize("name", ["constant", "cosine", "plateau"])
@pytest.mark.parametrize("patience", [0, 1])
@pytest.mark.parametrize("cut", [1, 3, 7, 10, 23])
def test_a_resumed_run_has_the_same_rates_to_the_bit(name, cut, patience):
    settings = {"name": name, "warmup_steps": 6, "patience": patience, "factor": 0.3}
    scores = [5.0, 6.0, 4.0, 7.0, 8.0, 9.0, 1.0]
    whole = run(schedule(0.003, **settings), TOTAL, scores)
    first = schedule(0.003, **settings)
    parts = run(first, cut, scores)
    parts += run(resumed(first, 0.003, **settings), TOTAL - cut, scores[cut // 5 :])
    assert parts == whole


def test_changed_settings_take_effect_from_where_the_run_is():
    settings = {"name": "plateau", "factor": 0.5, "patience": 0, "warmup_steps": 4}
    first = schedule(**settings)
    run(first, 20, [1.0, 2.0, 0.5, 0.4])
    assert first[1].rate == 0.5
    assert resumed(first, lr=0.1, **settings)[1].rate == pytest.approx(0.05)
    assert resumed(first, **{**settings, "warmup_steps": 39})[1].rate == pytest.approx(0.5 * 21 / 40)
    assert resumed(first, name="constant")[1].rate == 1.0
    constant = schedule(name="constant")
    run(constant, 20)
    assert run(resumed(constant, **{**settings, "warmup_steps": 30}), 11)[-1] == 1.0


def test_scores_of_another_measure_are_forgotten_and_the_drops_are_not():
    settings = {"name": "plateau", "factor": 0.5, "patience": 0}
    first = schedule(**settings)
    run(first, 10, [-5.0, -4.0])
    other = resumed(first, known=False, **settings)
    assert run(other, 15, [0.3, 0.2, 0.1])[-1] == 0.5
