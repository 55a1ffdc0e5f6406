"""Augmentations that break one promise each."""

from typing import ClassVar

from sepkit import AudioSpec, AugmentationConfig, hookimpl


class Good(AugmentationConfig):
    """A random gain of each stem."""

    name: str = "good_augmentation"
    fails: ClassVar[dict[str, str]] = {}
    options: ClassVar = {}

    def build(self, audio):
        def augment(stems, mixture, rng):
            changed = self.change(stems, rng)
            return changed, self.mix(changed, mixture)

        return augment

    def change(self, stems, rng):
        return stems * rng.uniform(0.5, 1, (len(stems), 1, 1)).astype(stems.dtype)

    def mix(self, stems, mixture):
        return stems.sum(0)


class Shorter(Good):
    """Loses a sample."""

    name: str = "shorter"
    fails: ClassVar = {
        "test_shapes_are_those_of_the_contract": r"stems of \[3, 2, 4000\] became \[3, 2, 3999\]",
        "test_one_source_is_taken": "became",
        "test_mono_is_taken": "became",
        "test_stereo_is_taken": "became",
        "test_stretch_is_the_most_that_it_shortens": "4000 frames became 3999",
    }

    def change(self, stems, rng):
        return stems[..., 1:]


class OldMixture(Good):
    """Shortens the stems, as its stretch says, and forgets the mixture."""

    name: str = "old_mixture"
    fails: ClassVar = {
        "test_shapes_are_those_of_the_contract": r"the mixture is \[2, 4000\]; with stems of \[3, 2, 2000\]",
        "test_one_source_is_taken": "the mixture is",
        "test_mono_is_taken": "the mixture is",
        "test_stereo_is_taken": "the mixture is",
    }
    options: ClassVar = {"mixture_is_sum": False}

    @property
    def stretch(self):
        return 2.0

    def change(self, stems, rng):
        return stems[..., ::2].copy()

    def mix(self, stems, mixture):
        return mixture


class ThreeStems(Good):
    """A gain for each of three stems."""

    name: str = "three_stems"
    fails: ClassVar = {"test_one_source_is_taken": "could not be broadcast"}

    def change(self, stems, rng):
        return stems * rng.uniform(0.5, 1, (3, 1, 1)).astype(stems.dtype)


class StereoOnly(Good):
    """Swaps left and right."""

    name: str = "stereo_only_augmentation"
    fails: ClassVar = {"test_mono_is_taken": "index 1 is out of bounds"}

    def change(self, stems, rng):
        return stems[:, [1, 0]]


class MonoOnly(Good):
    """Keeps one channel."""

    name: str = "mono_only"
    fails: ClassVar = {"test_stereo_is_taken": r"\[3, 2, 4000\] became \[3, 1, 4000\]"}
    options: ClassVar = {"audio": AudioSpec(8000, 1, ("a", "b"))}

    def change(self, stems, rng):
        return stems[:, :1]


class Backwards(Good):
    """A stretch below 1."""

    name: str = "backwards"
    fails: ClassVar = {"test_stretch_is_the_most_that_it_shortens": "stretch is 0.5"}

    @property
    def stretch(self):
        return 0.5


class Wide(Good):
    """Double precision."""

    name: str = "wide"
    fails: ClassVar = {"test_samples_stay_float32": "the stems became float64"}

    def change(self, stems, rng):
        return stems.astype("float64")


class Writer(Good):
    """Sets the first sample of the stems."""

    name: str = "augmentation_writer"
    fails: ClassVar = {"test_inputs_stay_as_they_are": "writes into the stems"}

    def change(self, stems, rng):
        stems[..., 0] = 0
        return stems.copy()


class OtherChance(Good):
    """Chance of its own."""

    name: str = "other_chance"
    fails: ClassVar = {"test_all_randomness_comes_from_rng": "take all random numbers from rng"}

    def change(self, stems, rng):
        import numpy as np

        return stems * np.float32(np.random.rand())  # noqa: NPY002


class StemsAlone(Good):
    """Leaves the mixture as it was."""

    name: str = "stems_alone"
    fails: ClassVar = {"test_mixture_is_the_sum_of_its_stems": r"off by .* return stems.sum\(0\)"}

    def mix(self, stems, mixture):
        return mixture


class Normalised(Good):
    """Divides by the peak."""

    name: str = "normalised"
    fails: ClassVar = {"test_silence_is_finite": "silence gives samples that are NaN"}

    def change(self, stems, rng):
        import numpy as np

        with np.errstate(invalid="ignore"):
            return stems / abs(stems).max()


class Expanded(Good):
    """Defined up to full scale."""

    name: str = "expanded"
    fails: ClassVar = {"test_loud_chunks_are_finite": "beyond full scale gives samples that are NaN"}

    def change(self, stems, rng):
        import numpy as np

        with np.errstate(invalid="ignore"):
            return np.arctanh(stems)


def _local():
    class Local(Good):
        """A class that no other process finds."""

        name: str = "local"
        fails: ClassVar = {"test_settings_can_be_sent_to_a_worker": "cannot be sent to a worker"}

    return Local


ALL = [
    Good, Shorter, OldMixture, ThreeStems, StereoOnly, MonoOnly, Backwards, Wide, Writer, OtherChance, StemsAlone,
    Normalised, Expanded, _local(),
]  # fmt: skip


@hookimpl
def sepkit_augmentations():
    return ALL
