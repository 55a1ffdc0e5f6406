"""The promises of a metric: scores in a shape of the contract, better ones for better estimates, NaN for silence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sepkit.arrays import Samples, Scores
from sepkit.component import AudioSpec, Metric, MetricConfig
from sepkit.testing.promises import Promises
from sepkit.testing.signals import noise

_SECONDS = 3
# Errors of estimates, relative to their references; the middle second of the first source is silent.
_FAR, _NEAR = 0.5, 0.001


class MetricPromises(Promises):
    """The suite of a metric."""

    component: ClassVar[MetricConfig]
    audio: ClassVar[AudioSpec] = AudioSpec(8000, 1, ("vocals", "drums"))

    def test_scores_have_a_shape_of_the_contract(self) -> None:
        """[source], or [source, frame] where `frame` says how long one is, or a mapping of names to such arrays."""
        found = self._measured(*self._songs(_FAR))
        assert found, "an empty mapping holds no scores"
        for name, scores in found.items():
            assert isinstance(scores, np.ndarray), f"scores{name} are no array, but {type(scores).__name__}"
            assert scores.ndim in (1, 2) and len(scores) == len(self.audio.sources), (  # noqa: PT018
                f"scores{name} of {len(self.audio.sources)} sources have shape {list(scores.shape)}; they must be "
                "[source] or [source, frame]"
            )
            framed = self.component.frame > 0
            assert (scores.ndim == 2) == framed, (
                f"scores{name} are {list(scores.shape)} with frame = {self.component.frame:g}; [source, frame] goes "
                "with the seconds of a frame, [source] with 0"
            )

    def test_says_its_unit_and_which_scores_are_better(self) -> None:
        """For tables, and for comparisons."""
        assert isinstance(self.component.unit, str), "unit must be a text, which may be empty"
        assert self.component.better in ("higher", "lower"), f'better is {self.component.better!r}; "higher" or "lower"'

    def test_better_estimates_score_better(self) -> None:
        """As `better` says: a smaller error, of noise and of other sources, never scores worse."""
        sign = 1 if self.component.better == "higher" else -1
        far, near = (self._measured(*self._songs(error)) for error in (_FAR, _NEAR))
        for name, scores in far.items():
            low, high = _typical(scores), _typical(near[name])
            assert sign * high >= sign * low, (
                f"a better estimate scores{name} {high:.4g}, a worse one {low:.4g}; better = {self.component.better!r}"
            )
            assert high != low, f"a better and a worse estimate both score{name} {high:.4g}"

    def test_a_silent_reference_is_survived(self) -> None:
        """A stem may be silent throughout: NaN where the score is undefined, never an error or infinity."""
        estimates, references, mixture = self._songs(_FAR)
        references[0] = 0
        self._check_first(estimates, references, mixture, "a silent reference")

    def test_a_silent_estimate_is_survived(self) -> None:
        """So may an estimate."""
        estimates, references, mixture = self._songs(_FAR)
        estimates[0] = 0
        self._check_first(estimates, references, mixture, "a silent estimate")

    def test_silence_everywhere_is_survived(self) -> None:
        """A song may be silent."""
        estimates, references, mixture = (np.zeros_like(samples) for samples in self._songs(_FAR))
        self._check_first(estimates, references, mixture, "a silent song")

    def test_more_references_than_estimates_are_taken(self) -> None:
        """References hold every known source, the estimated ones first; scores are for those."""
        estimates, references, mixture = self._songs(_FAR)
        for name, scores in self._measured(estimates[:1], references, mixture).items():
            assert len(scores) == 1, f"1 estimate beside {len(references)} references has {len(scores)} scores{name}"

    def test_a_song_shorter_than_a_frame_is_scored(self) -> None:
        """A tenth of a second."""
        short = [samples[..., : self.audio.sample_rate // 10] for samples in self._songs(_FAR)]
        for name, scores in self._measured(*short).items():
            assert scores.size, f"a song of 0.1 s has no scores{name}; take it as one frame"

    def test_stereo_is_taken(self) -> None:
        """Two channels."""
        stereo = replace(self.audio, channels=2)
        for name, scores in _named(self.component.build(stereo)(*self._songs(_FAR, channels=2))).items():
            assert len(scores) == len(stereo.sources), f"stereo has {len(scores)} scores{name}"

    def test_inputs_stay_as_they_are(self) -> None:
        """Other metrics get the same arrays."""
        songs = self._songs(_FAR)
        before = [samples.copy() for samples in songs]
        self._measured(*songs)
        for what, samples, copy in zip(("estimates", "references", "mixture"), songs, before, strict=True):
            assert np.array_equal(samples, copy), f"the metric writes into the {what}; copy them first"

    def test_the_same_twice(self) -> None:
        """No chance, and nothing kept from one song to the next."""
        measure, songs = self.component.build(self.audio), self._songs(_FAR)
        once, twice = (_named(measure(*songs)) for _ in range(2))
        for name, scores in once.items():
            assert np.array_equal(scores, twice[name], equal_nan=True), f"scores{name} differ the second time"

    def _measured(self, estimates: "Samples", references: "Samples", mixture: "Samples") -> "dict[str, Scores]":
        measure: Metric = self.component.build(self.audio)
        return _named(measure(estimates, references, mixture))

    def _songs(self, error: float, channels: int = 0) -> "tuple[Samples, Samples, Samples]":
        """Return estimates and references [source, channel, time], and the mixture [channel, time].

        Each estimate has noise in it, and a share of all other sources.
        """
        rate = self.audio.sample_rate
        shape = len(self.audio.sources), channels or self.audio.channels, _SECONDS * rate
        references = noise(*shape, seed=1)
        references[0, :, rate : 2 * rate] = 0
        mixture = references.sum(0)
        estimates = references + np.float32(error) * (noise(*shape, seed=2) + mixture - references)
        return estimates, references, mixture

    def _check_first(self, estimates: "Samples", references: "Samples", mixture: "Samples", what: str) -> None:
        try:
            found = self._measured(estimates, references, mixture)
        except Exception as error:  # metrics may raise anything
            raise AssertionError(f"{what} fails: {type(error).__name__}: {error}; give NaN instead") from error
        for name, scores in found.items():  # what is silent is the first source, or all
            assert not np.isinf(scores[0]).any(), f"{what} scores{name} infinity; give NaN where a score is undefined"


def _named(found: "Scores | Mapping[str, Scores]") -> "dict[str, Scores]":
    """Return scores by what messages call them: nothing, or their name in a mapping."""
    return {f' "{name}"': scores for name, scores in found.items()} if isinstance(found, Mapping) else {"": found}


def _typical(scores: "Scores") -> float:
    """Return the median over all sources and frames that have a score."""
    known = scores[~np.isnan(scores)]
    return float(np.median(known)) if known.size else float("nan")
