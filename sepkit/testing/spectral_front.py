"""Conformance tests of spectral fronts: the estimates of its network, without PyTorch."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, SpectralFront
from sepkit.errors import reason
from sepkit.processes import child_environment
from sepkit.testing.built_network import BuiltNetwork, noise_for

# Largest difference between both, relative to the loudest sample.
_TOLERANCE = 1e-4
_HEAVY = """
import sys
from {module} import {model} as Model
from sepkit import AudioSpec
model, audio = Model.model_validate_json(sys.argv[1]), AudioSpec({rate}, {channels}, {sources})
model.spectral_front(audio, audio)
print(*sorted({{"torch", "torchaudio", "tensorflow", "jax"}} & set(sys.modules)))
"""


class SpectralFrontPromises(BuiltNetwork):
    """The part of a model's suite about `spectral_front`; skipped where a model has none."""

    def test_spectral_front_gives_the_estimates_of_the_network(self) -> None:
        """For any batch and length, with the same mask network."""
        self._check(self.network(), self.audio)

    def test_spectral_front_gives_the_estimates_of_the_full_band(self) -> None:
        """At another rate and channel count, wherever `full_band` gives a network, and nowhere else."""
        wanted = replace(self.audio, sample_rate=2 * self.audio.sample_rate, channels=2)
        wide, front = self.component.full_band(self.audio, wanted), self._front(wanted)
        assert (wide is None) == (front is None), (
            f"for {wanted} full_band() gives {'no' if wide is None else 'a'} network, and spectral_front() "
            f"{'no' if front is None else 'a'} front; songs would sound different without PyTorch"
        )
        if wide is None:
            pytest.skip("full_band gives no network there, so the separator resamples")
        wide.load_state_dict(self.network().state_dict())
        self._check(wide.eval(), wanted)

    def test_spectral_front_imports_no_pytorch(self) -> None:
        """It is what separates songs without PyTorch."""
        self._front(self.audio)
        model = type(self.component)
        names = {"module": model.__module__, "model": model.__qualname__, "sources": self.audio.sources}
        code = _HEAVY.format(rate=self.audio.sample_rate, channels=self.audio.channels, **names)
        command = [sys.executable, "-c", code, self.component.model_dump_json()]
        done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, f"the front cannot be made alone: {done.stderr.strip()}"
        found = done.stdout.strip()
        assert not found, f"spectral_front() imports {found}; import it in build() alone"

    def _front(self, wanted: AudioSpec) -> "SpectralFront | None":
        if self.component.spectral_front(self.audio, self.audio) is None:
            pytest.skip("spectral_front gives None, so PyTorch runs the model")
        return self.component.spectral_front(self.audio, wanted)

    def _check(self, network: nn.Module, wanted: AudioSpec) -> None:
        front = self._front(wanted)
        assert front is not None
        masks = network.get_submodule("mask_network")

        def mask_network(spectra: "Samples") -> "Samples":
            found: Samples = masks(torch.from_numpy(np.ascontiguousarray(spectra))).numpy()
            return found

        for frames in (wanted.sample_rate, 4999, 1):
            mixture = noise_for(wanted, 2)[..., :frames]
            given = mixture.numpy().copy()
            with torch.no_grad():
                expected = network(mixture).numpy()
                try:
                    found = front(given, mask_network)
                except Exception as error:  # fronts may raise anything
                    raise AssertionError(f"a mixture of {list(given.shape)} fails: {reason(error)}") from error
            assert np.array_equal(given, mixture), "the front writes into its input; copy it first"
            assert (str(found.dtype), found.shape) == ("float32", expected.shape), (
                f"the front gives {found.dtype} {list(found.shape)} instead of float32 {list(expected.shape)}"
            )
            off, allowed = np.abs(found - expected).max(), _TOLERANCE * np.abs(expected).max()
            assert off <= allowed, f"for {list(given.shape)} front and network differ by {off:.2g}"
