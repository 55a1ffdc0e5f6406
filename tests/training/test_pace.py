"""How long a run will take, and whether it waits for data: said once, from the steps that it takes anyway."""

import re

import pytest

from sepkit.training import pace
from sepkit.training.pace import Pace, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"), (89, "89 s"), (90, "2 min"), (80 * 60, "80 min"), (3 * 3600, "3 h"), (47.4 * 3600, "47 h"),
        (48 * 3600, "2 days"), (1000 * 80 * 60, "56 days"),
    ],
)  # fmt: skip
def test_a_duration_is_one_number_and_its_unit(seconds, text):
    assert duration(seconds) == text


def test_a_pace_is_known_once_and_not_before_enough_steps_were_measured():
    slow, quick = Pace(), Pace()
    assert [slow.add(10.0, 0.0) for _ in range(8)] == [False] * 4 + [True] + [False] * 3
    assert [quick.add(0.5, 0.1) for _ in range(14)].index(True) == pace.WARM_UP + 9
    assert quick.waiting == pytest.approx(0.2)
    assert slow.estimate(500, 1000, 20.0) == (
        "An epoch takes about 84 min, the 1000 that are left about 58 days at most (measured over 6 steps)"
    )
    assert slow.estimate(6, 1, 0.0) == "An epoch takes about 60 s (measured over 6 steps)"


@pytest.fixture
def prospects(sepkit, small_config, songs, tmp_path, monkeypatch):
    """Return what a run says of its length: any steps are enough, and take at least the given seconds."""
    monkeypatch.setattr(pace, "SECONDS", 0.0)

    def train(*more, seconds=0.0, waited=0.0):
        add = Pace.add
        monkeypatch.setattr(Pace, "add", lambda self, s, w: add(self, max(s, seconds), max(w, waited)))
        done = sepkit(
            "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--overwrite",
            "--set", "train.steps_per_epoch=5", *more,
        )  # fmt: skip
        assert done.code == 0, done.err
        return done.err

    return train


def test_a_run_says_how_long_it_takes(prospects):
    said = prospects(seconds=1440.0)
    assert said.count("An epoch takes about 2 h, the 2 that are left about 4 h at most (measured over 3 steps)") == 1
    assert said.count("configs/vocals-cpu.toml") == 1


def test_preparing_is_advised_only_where_steps_wait_for_data(prospects):
    assert "not prepared" not in prospects("--epochs", 1, seconds=10.0, waited=0.9)
    said = prospects("--epochs", 1, seconds=10.0, waited=5.0)
    assert re.search(r"50% of that is waiting for data. 4 of 4 songs are not prepared: `sepkit data prepare`", said)
    assert pace.WAITING == 0.1
