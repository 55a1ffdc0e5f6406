"""The promises of optional parts of a model: the full band, and a mask network that can be exported."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sepkit.checkpoints.model_file import misfits
from sepkit.component import AudioSpec, ModelConfig
from sepkit.testing.built_network import BuiltNetwork, check_shape, noise_for


class WideNetworkPromises(BuiltNetwork):
    """The part of a model's suite about `full_band` and `mask_network`; skipped where a model has none."""

    def test_full_band_has_the_same_weights(self) -> None:
        """Names and shapes of its state dict are those of the trained network."""
        network, _ = self._wide()
        faults = misfits(self.network().state_dict(), network.state_dict())
        assert not faults, f"full_band() must build a network of the same weights: {', '.join(sorted(faults.values()))}"

    def test_full_band_keeps_shapes_at_its_rate_and_channels(self) -> None:
        """A stereo song at twice the rate comes out as it went in, of any length."""
        network, wanted = self._wide()
        for frames in (wanted.sample_rate, 4999, 1):
            check_shape(network, wanted, 2, frames)

    def test_mask_network_takes_any_number_of_frames_and_chunks(self) -> None:
        """One tensor of spectra -> one of masks, the batch first and the frames last in both."""
        network, spectra = self._masked()
        for batch, frames in ((1, spectra.shape[-1]), (3, spectra.shape[-1]), (2, 7)):
            some = spectra[:1, ..., :frames].repeat(batch, *[1] * (spectra.ndim - 1))
            with torch.no_grad():
                masks = network(some)
            assert isinstance(masks, Tensor), f"mask_network must return one tensor, not {type(masks).__name__}"
            assert (masks.shape[0], masks.shape[-1]) == (batch, frames), (
                f"mask_network gives {list(masks.shape)} for {list(some.shape)}; the batch must stay first and the "
                "frames last, and both as many as they were"
            )

    def _wide(self) -> tuple[nn.Module, AudioSpec]:
        if type(self.component).full_band is ModelConfig.full_band:
            pytest.skip("full_band is not overridden, so the separator resamples")
        wanted = replace(self.audio, sample_rate=2 * self.audio.sample_rate, channels=2)
        network = self.component.full_band(self.audio, wanted)
        if network is None:
            pytest.skip(f"full_band gives None for {wanted}, which is allowed")
        return network.eval(), wanted

    def _masked(self) -> tuple[nn.Module, Tensor]:
        """Return the mask network, and what the whole network gives to it."""
        network = self.network()
        part = getattr(network, "mask_network", None)
        if part is None:
            pytest.skip("there is no mask_network, so PyTorch runs the model")
        seen: list[tuple[object, ...]] = []
        hook = part.register_forward_pre_hook(lambda _, given: seen.append(given))
        with torch.no_grad():
            network(noise_for(self.audio, 2))
        hook.remove()
        match seen[:1]:
            case [(Tensor() as spectra,)] if spectra.ndim > 1:
                return part, spectra
        pytest.fail("the network must call its mask_network with one tensor [batch, ..., frames]")
