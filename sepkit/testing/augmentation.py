"""The promises of an augmentation: chunks of the same kind, inputs unchanged, all randomness from its generator."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from typing import ClassVar

import numpy as np
import pytest
import torch

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, AugmentationConfig
from sepkit.errors import ConfigError
from sepkit.testing.promises import Promises
from sepkit.testing.signals import noise

# Chunks are changed at random: several show what one may hide.
_SEEDS = range(3)


class AugmentationPromises(Promises):
    """The suite of an augmentation."""

    component: ClassVar[AugmentationConfig]
    audio: ClassVar[AudioSpec] = AudioSpec(8000, 2, ("vocals", "drums"))
    mixture_is_sum: ClassVar[bool] = True

    def test_shapes_are_those_of_the_contract(self) -> None:
        """Stems [source, channel, time], mixture [channel, time]; the time only changes with `stretch`."""
        self._check_shapes(self._stems())

    def test_one_source_is_taken(self) -> None:
        """Its stem, and last what is no source."""
        self._check_shapes(self._stems(replace(self.audio, sources=("vocals",))))

    def test_mono_is_taken(self) -> None:
        """One channel."""
        self._check_channels(1)

    def test_stereo_is_taken(self) -> None:
        """Two channels."""
        self._check_channels(2)

    def test_stretch_is_the_most_that_it_shortens(self) -> None:
        """At least 1; a chunk that was read longer by it is long enough."""
        stretch = self.component.stretch
        assert stretch >= 1, f"stretch is {stretch:g}; it is how many times longer the input must be, at least 1"
        stems = self._stems()
        for seed in _SEEDS:
            frames = self._changed(stems, seed)[0].shape[-1]
            least = stems.shape[-1] / stretch
            assert frames >= least, (
                f"{stems.shape[-1]} frames became {frames}; a stretch of {stretch:g} allows {least:g}"
            )

    def test_samples_stay_float32(self) -> None:
        """The type of the chunks of a network."""
        for what, samples in zip(("stems", "mixture"), self._changed(self._stems()), strict=True):
            assert samples.dtype == np.float32, f"the {what} became {samples.dtype}; keep float32"

    def test_inputs_stay_as_they_are(self) -> None:
        """They may be views of a cache that other chunks are cut from."""
        stems = self._stems()
        mixture = stems.sum(0)
        before = stems.copy(), mixture.copy()
        for seed in _SEEDS:
            self._augmented(stems, mixture, seed)
        assert np.array_equal(stems, before[0]), "the augmentation writes into the stems; copy them first"
        assert np.array_equal(mixture, before[1]), "the augmentation writes into the mixture; copy it first"

    def test_all_randomness_comes_from_rng(self) -> None:
        """The same generator gives the same chunk, whatever other generators do: a run can be repeated."""
        stems = self._stems()
        for seed in _SEEDS:
            with _others_seeded(1):
                once = self._changed(stems, seed)
            with _others_seeded(2):
                twice = self._changed(stems, seed)
            same = all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True))
            assert same, "the same rng gives another chunk the second time; take all random numbers from rng"

    def test_mixture_is_the_sum_of_its_stems(self) -> None:
        """Stems and mixture are changed together, unless the mixture alone is meant to be damaged."""
        if not self.mixture_is_sum:
            pytest.skip("it says that its mixture is not the sum (mixture_is_sum=False)")
        for seed in _SEEDS:
            stems, mixture = self._changed(self._stems(), seed)
            off = float(np.abs(stems.sum(0) - mixture).max())
            assert off <= 1e-5 * max(1.0, float(np.abs(stems).max())), (
                f"the mixture is off by {off:.2g} from the sum of the stems; return stems.sum(0), or test with "
                "conformance(..., mixture_is_sum=False) if that is meant"
            )

    def test_silence_is_finite(self) -> None:
        """Stems are often silent."""
        self._check_finite(0.0, "silence")

    def test_loud_chunks_are_finite(self) -> None:
        """Mixed stems go beyond full scale."""
        self._check_finite(3.0, "noise beyond full scale")

    def test_settings_can_be_sent_to_a_worker(self) -> None:
        """Processes that load chunks get the settings, and build the augmentation themselves."""
        try:
            again = ForkingPickler.loads(ForkingPickler.dumps(self.component))  # as a spawned worker gets it
        except Exception as error:  # what cannot be pickled fails in many ways
            raise AssertionError(f"the settings cannot be sent to a worker: {error}") from error
        assert again == self.component, f"a worker gets other settings: {again!r}"

    def _stems(self, audio: AudioSpec | None = None, level: float = 0.1) -> "Samples":
        """Return half a second of every source, and of what is no source."""
        audio = audio or self.audio
        return noise(len(audio.sources) + 1, audio.channels, audio.sample_rate // 2, level=level)

    def _changed(self, stems: "Samples", seed: int = 0) -> tuple["Samples", "Samples"]:
        return self._augmented(stems, stems.sum(0), seed)

    def _augmented(self, stems: "Samples", mixture: "Samples", seed: int) -> tuple["Samples", "Samples"]:
        audio = replace(self.audio, channels=stems.shape[1], sources=self.audio.sources[: len(stems) - 1])
        try:
            augment = self.component.build(audio)
        except ConfigError as refused:
            pytest.skip(f"refused, which is allowed: {refused}")
        return augment(stems, mixture, np.random.default_rng(seed))

    def _check_channels(self, channels: int) -> None:
        self._check_shapes(self._stems(replace(self.audio, channels=channels)))

    def _check_shapes(self, given: "Samples") -> None:
        for seed in _SEEDS:
            stems, mixture = self._changed(given, seed)
            kept = stems.shape == given.shape if self.component.stretch == 1 else stems.shape[:-1] == given.shape[:-1]
            assert kept, f"stems of {list(given.shape)} became {list(stems.shape)}"
            assert mixture.shape == stems.shape[1:], (
                f"the mixture is {list(mixture.shape)}; with stems of {list(stems.shape)} it must be "
                f"{list(stems.shape[1:])}"
            )

    def _check_finite(self, level: float, what: str) -> None:
        for seed in _SEEDS:
            for samples in self._changed(self._stems(level=level), seed):
                assert np.isfinite(samples).all(), f"{what} gives samples that are NaN or infinite"


@contextmanager
def _others_seeded(seed: int) -> Iterator[None]:
    """Set the generators that an augmentation must not use, and leave them as they were."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002  the old one is what must not be used
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
