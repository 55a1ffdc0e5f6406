"""How good a network is on the validation songs: its loss on consecutive chunks, and the SDR of whole songs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn

from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import Manifest, ModelFile
from sepkit.config import RunConfig
from sepkit.data.chunks import on_device
from sepkit.data.loader import Data
from sepkit.errors import CorpusError
from sepkit.evaluation.estimates import ModelEstimates
from sepkit.evaluation.evaluate import Job
from sepkit.precision import Precision
from sepkit.registry import METRICS
from sepkit.songs.separator import Separator
from sepkit.training.learning.objective import Objective
from sepkit.training.learning.randomness import preserved_randomness
from sepkit.training.ranks import Ranks

SDR = "sdr"


class Interrupted(Exception):  # noqa: N818  no error: it leaves a validation that nobody waits for any more
    """A validation was broken off."""


@dataclass(frozen=True, slots=True)
class Validation:
    """The loss, and the SDR of each source in dB where it was measured (None: undefined)."""

    loss: float
    sdr: dict[str, float | None] | None = None

    def score(self, monitor: str) -> float | None:
        """Return what is monitored, less being better; None if it was not measured."""
        if monitor == "loss" or not isfinite(self.loss):
            return self.loss
        known = [value for value in (self.sdr or {}).values() if value is not None]
        return -sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class Validator:
    """Validates networks of one run. Where several ranks share the work, all must call it, and all get the result.

    `interrupted` is asked between two pieces of work.
    """

    config: RunConfig
    data: Data
    objective: Objective
    precision: Precision
    ranks: Ranks
    interrupted: Callable[[], bool]

    def __call__(self, network: nn.Module, *, whole_songs: bool) -> Validation:
        """Return the loss of a network, and with `whole_songs` its SDR.

        Raises:
            Interrupted: somebody wants it to stop.
            CorpusError: a song cannot be scored.
        """
        network.eval()
        self.ranks.share(network.buffers())  # each rank has seen other batches, and the first one's are saved
        loss = self._loss(network)
        return Validation(loss, self._sdr(network) if whole_songs else None)

    def separator(self, network: nn.Module) -> Separator:
        """Return the separator that a user of the network's model file would get."""
        manifest = Manifest.model_validate(model_file.manifest_of(self.config))
        return Separator(ModelFile(Path(), manifest, network.state_dict()), self.ranks.device, residual="")

    def _loss(self, network: nn.Module) -> float:
        """The mean over all chunks of all ranks, each weighted by its present sources."""
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad():
            for batch in self.data.validation_batches(self._check):
                self._check()
                mixture, targets = on_device(batch, self.ranks.device)
                present = batch["present"]
                with self.precision.autocast():
                    estimate = network(mixture)
                weight = self.objective.weight(present)
                loss = self.objective(estimate, targets, present).item()
                totals += torch.tensor([weight * loss, weight], dtype=torch.float64)
        total, weight = self.ranks.total(totals).tolist()
        return total / weight if weight else float("nan")

    def _sdr(self, network: nn.Module) -> dict[str, float | None]:
        """The median over songs of the median over frames, of each source, as `sepkit evaluate` has it."""
        sources = self.config.audio.sources
        songs = self.data.validation_tracks
        scores = torch.zeros(len(songs), len(sources), dtype=torch.float64)
        mine = range(self.ranks.number, len(songs), self.ranks.count)
        with preserved_randomness(self.ranks.device):  # building the separator's network draws weights
            separator = self.separator(network)
            for number in mine:
                self._check()
                scores[number] = self._score(separator, number)
        medians = [_median(column) for column in self.ranks.total(scores).T]
        return dict(zip(sources, medians, strict=True))

    def _score(self, separator: Separator, number: int) -> Tensor:
        """The SDR of each source of a song, NaN where it is undefined."""
        metric = next((m for m in self.config.metrics if m.name == SDR), None) or METRICS.get(SDR).component(name=SDR)
        job = Job((ModelEstimates("validated", separator),), (metric,), bounded=False)
        result = job(self.data.validation_tracks[number])
        if result.error:
            raise CorpusError(f"validation: {result.error}")
        found = {row.stem: row.value for row in result.scores}
        values = [found.get(source) for source in separator.sources]
        return torch.tensor([float("nan") if value is None else value for value in values], dtype=torch.float64)

    def _check(self) -> None:
        if self.ranks.count == 1 and self.interrupted():  # several would have to agree, and finish instead
            raise Interrupted


def _median(values: Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(torch.quantile(known, 0.5)) if len(known) else None
