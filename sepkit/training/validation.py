"""The scores of a network on the validation songs: its loss on consecutive chunks, and the SDR of whole songs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import Manifest, ModelFile
from sepkit.component import MetricConfig
from sepkit.config import RunConfig
from sepkit.data.chunks import on_device
from sepkit.data.loader import Data
from sepkit.errors import CorpusError
from sepkit.evaluation.estimates import ModelEstimates
from sepkit.evaluation.song_scorer import SongScorer
from sepkit.registry import METRICS
from sepkit.songs.separator import Separator
from sepkit.training.learner import Learner
from sepkit.training.randomness import preserved_randomness

SDR = "sdr"


@dataclass(frozen=True, slots=True)
class Validation:
    """The loss, and the SDR of each source in dB where it was measured (None: undefined)."""

    loss: float
    sdr: dict[str, float | None] | None = None

    def score(self, monitor: str) -> float | None:
        """Return the score that is monitored, less being better; None if it was not measured."""
        if monitor == "loss" or not isfinite(self.loss):
            return self.loss
        known = [value for value in (self.sdr or {}).values() if value is not None]
        return -sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class Validator:
    """Validates the evaluated network of a learner. All ranks must call it: they share the work, each gets the result.

    `check` is called between two pieces of work, and may raise to end the validation.
    """

    config: RunConfig
    data: Data
    learner: Learner
    check: Callable[[], None]

    def __call__(self, epoch: int) -> Validation:
        """Return the loss after an epoch, 0 being before the first, and the SDR in the last and in each
        `train.validation.sdr_every`-th.

        Raises:
            CorpusError: a song cannot be scored.
        """
        network = self.learner.evaluated_network
        network.eval()
        self.learner.ranks.share(network.buffers())  # statistics differ by rank; those of the first rank are saved
        loss, every = self._loss(), self.config.train.validation.sdr_every
        measured = every > 0 and (epoch % every == 0 or epoch == self.config.train.epochs)
        return Validation(loss, self._sdr() if measured else None)

    def separator(self) -> Separator:
        """Return the separator that a user of the network's model file would get."""
        manifest = Manifest.model_validate(model_file.manifest_of(self.config))
        weights = self.learner.evaluated_network.state_dict()
        return Separator(ModelFile(Path(), manifest, weights), self.learner.ranks.device, residual="")

    def _loss(self) -> float:
        """Return the mean over all chunks of all ranks, each weighted by its present sources."""
        learner, totals = self.learner, torch.zeros(2, dtype=torch.float64)
        with torch.no_grad():
            for batch in self.data.validation_batches(self.check):
                self.check()
                mixture, targets = on_device(batch, learner.ranks.device)
                present = batch["present"]
                with learner.precision.autocast():
                    estimate = learner.evaluated_network(mixture)
                weight = learner.objective.weight(present)
                loss = learner.objective(estimate, targets, present).item()
                totals += torch.tensor([weight * loss, weight], dtype=torch.float64)
        total, weight = learner.ranks.total(totals).tolist()
        return total / weight if weight else float("nan")

    def _sdr(self) -> dict[str, float | None]:
        """Return the median over songs of the median over windows, of each source, as `sepkit evaluate` has it."""
        ranks, sources, tracks = self.learner.ranks, self.config.audio.sources, self.data.validation_tracks
        scores = torch.zeros(len(tracks), len(sources), dtype=torch.float64)
        with preserved_randomness(ranks.device):  # building the separator's network draws weights
            separator = self.separator()
            for number in range(ranks.number, len(tracks), ranks.count):
                self.check()
                scores[number] = self._score(separator, number)
        known = [column[~column.isnan()] for column in ranks.total(scores).T]
        medians = [float(torch.quantile(values, 0.5)) if len(values) else None for values in known]
        return dict(zip(sources, medians, strict=True))

    def _score(self, separator: Separator, number: int) -> Tensor:
        """Return the SDR of each source of a song, NaN where it is undefined."""
        estimates = ModelEstimates("validated", separator)
        scorer = SongScorer((estimates,), (_metric(self.config),), bounded=False)
        result = scorer(self.data.validation_tracks[number])
        if result.error:
            raise CorpusError(f"validation: {result.error}")
        found = {row.stem: row.value for row in result.scores}
        values = [found.get(source) for source in separator.sources]
        return torch.tensor([float("nan") if value is None else value for value in values], dtype=torch.float64)


def measure_of(config: RunConfig, songs: Iterable[str]) -> str:
    """Return all that the score of a validation depends on beside the network."""
    train, losses = config.train, [loss.model_dump(mode="json") for loss in config.losses]
    measure = [train.validation.monitor, losses, train.source_weights, train.chunk_seconds, list(songs)]
    if train.validation.monitor == SDR:
        measure += [_metric(config).model_dump(mode="json"), config.separate.model_dump(exclude={"residual"})]
    return json.dumps(measure)


def _metric(config: RunConfig) -> MetricConfig:
    """Return the SDR as the config sets it, or with its own settings."""
    return next((metric for metric in config.metrics if metric.name == SDR), None) or METRICS.get(SDR).component(
        name=SDR
    )
