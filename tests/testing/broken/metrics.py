"""Metrics that break one promise each."""

from typing import ClassVar

from sepkit import MetricConfig, hookimpl


class Good(MetricConfig):
    """Energy of the reference over that of the error, in dB; NaN for silence."""

    name: str = "good_metric"
    fails: ClassVar[dict[str, str]] = {}

    def build(self, audio):
        return self.measure

    def measure(self, estimates, references, mixture):
        return self.ratio(estimates, references[: len(estimates)], (1, 2))

    def ratio(self, estimates, references, axes):
        import numpy as np

        level, error = (np.square(s.astype(np.float64)).sum(axes) for s in (references, estimates - references))
        known = (level > 0) & (error > 0)
        return np.where(known, 10 * np.log10(np.where(known, level, 1) / np.where(known, error, 1)), np.nan)


class PerChannel(Good):
    """[source, channel]"""

    name: str = "per_channel"
    fails: ClassVar = {"test_scores_have_a_shape_of_the_contract": r"\[2, 1\] with frame = 0"}

    def measure(self, estimates, references, mixture):
        return self.ratio(estimates, references[: len(estimates)], 2)


class NoUnit(Good):
    """A number as its unit."""

    name: str = "no_unit"
    unit: ClassVar = 1
    fails: ClassVar = {"test_says_its_unit_and_which_scores_are_better": "unit must be a text"}


class UpsideDown(Good):
    """Says that lower is better."""

    name: str = "upside_down"
    better: ClassVar = "lower"
    fails: ClassVar = {"test_better_estimates_score_better": "a better estimate scores .* better = 'lower'"}


class Constant(Good):
    """The same for all, in a mapping."""

    name: str = "constant"
    fails: ClassVar = {"test_better_estimates_score_better": r'both score "c" 1'}

    def measure(self, estimates, references, mixture):
        import numpy as np

        return {"c": np.ones(len(estimates))}


class NeedsReference(Good):
    """Refuses silent references."""

    name: str = "needs_reference"
    fails: ClassVar = {
        "test_a_silent_reference_is_survived": "a silent reference fails: ValueError: silent; give NaN",
        "test_silence_everywhere_is_survived": "a silent song fails",
    }

    def measure(self, estimates, references, mixture):
        if not all(reference.any() for reference in references):
            raise ValueError("silent")
        return super().measure(estimates, references, mixture)


class InfiniteForSilence(Good):
    """Minus infinity for an estimate that is silent where the song is not."""

    name: str = "infinite_for_silence"
    fails: ClassVar = {"test_a_silent_estimate_is_survived": "a silent estimate scores infinity"}

    def measure(self, estimates, references, mixture):
        scores = super().measure(estimates, references, mixture)
        scores[[mixture.any() and not estimate.any() for estimate in estimates]] = -float("inf")
        return scores


class NeedsSong(Good):
    """Refuses silent songs."""

    name: str = "needs_song"
    fails: ClassVar = {"test_silence_everywhere_is_survived": "a silent song fails: ZeroDivisionError"}

    def measure(self, estimates, references, mixture):
        if not mixture.any():
            raise ZeroDivisionError
        return super().measure(estimates, references, mixture)


class AllReferences(Good):
    """Scores what was not estimated, too."""

    name: str = "all_references"
    fails: ClassVar = {"test_more_references_than_estimates_are_taken": "1 estimate beside 2 references has 2 scores"}

    def measure(self, estimates, references, mixture):
        return self.ratio(estimates, references, (1, 2))


class WholeFrames(Good):
    """Only full frames of a second."""

    name: str = "whole_frames"
    fails: ClassVar = {"test_a_song_shorter_than_a_frame_is_scored": "0.1 s has no scores"}

    @property
    def frame(self):
        return 1.0

    def build(self, audio):
        def measure(estimates, references, mixture):
            frames = mixture.shape[-1] // audio.sample_rate
            shape = len(estimates), -1, frames, audio.sample_rate
            kept = (signal[: len(estimates), :, : frames * audio.sample_rate] for signal in (estimates, references))
            used = [signal.reshape(shape) if frames else signal[:, :, None] for signal in kept]
            return self.ratio(*used, (1, 3))[:, :frames]

        return measure


class EachChannel(Good):
    """Scores of the channels one after the other."""

    name: str = "each_channel"
    fails: ClassVar = {"test_stereo_is_taken": "stereo has 4 scores"}

    def measure(self, estimates, references, mixture):
        return self.ratio(estimates, references[: len(estimates)], 2).reshape(-1)


class Writer(Good):
    """Sets the first sample of the references."""

    name: str = "metric_writer"
    fails: ClassVar = {"test_inputs_stay_as_they_are": "writes into the references"}

    def measure(self, estimates, references, mixture):
        references[..., 0] = 0
        return super().measure(estimates, references, mixture)


class Random(Good):
    """A little chance."""

    name: str = "random_metric"
    fails: ClassVar = {"test_the_same_twice": "differ the second time"}

    def measure(self, estimates, references, mixture):
        import numpy as np

        return super().measure(estimates, references, mixture) + 1e-3 * np.random.default_rng().random()


ALL = [
    Good, PerChannel, NoUnit, UpsideDown, Constant, NeedsReference, InfiniteForSilence, NeedsSong, AllReferences,
    WholeFrames, EachChannel, Writer, Random,
]  # fmt: skip


@hookimpl
def sepkit_metrics():
    return ALL
