"""The way of a training batch, which the architecture page lists by file names."""

import re
import sys

import torch

from sepkit import config as configs
from sepkit.config import Shortcuts
from sepkit.data.loader import Data
from sepkit.training.learner import Learner
from sepkit.training.ranks import Ranks
from tests.conftest import ROOT

ROOMS = ("audio", "models", "losses", "augmentations")


def passed_by(work):
    """Return the modules of sepkit whose functions are called by some work; these rooms count as one module each."""
    called = set()
    sys.setprofile(lambda frame, event, argument: called.add(frame.f_globals.get("__name__", "")))
    try:
        work()
    finally:
        sys.setprofile(None)
    names = [name.removeprefix("sepkit.") for name in called if name.startswith("sepkit.")]
    return {room if (room := name.partition(".")[0]) in ROOMS else name for name in names}


def test_a_training_batch_passes_the_fifteen_modules_that_the_page_lists(small_config, songs):
    config = configs.load(small_config, ['augmentations=[{name="gain"}]'], Shortcuts(data_dir=songs))
    data = Data(config)
    learner = Learner(config, config.model.build(config.audio), data.steps_per_epoch, Ranks(torch.device("cpu")))
    batches = data.train_batches(0)
    next(batches)  # builds the augmentations
    passed = passed_by(lambda: learner.take_step(next(batches)))
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("Each batch passes these 15 modules")[2].partition("\nAfter each epoch")[0]
    listed = {name.removesuffix(".py").replace("/", ".") for name in re.findall(r"`([a-z_0-9/]+(?:\.py)?)`", section)}
    passed = (passed | {"training.loop", "losses"}) - {"component"}  # whose defaults augmentations inherit
    assert passed == listed
    assert len(listed) == 15
