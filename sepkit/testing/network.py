"""The promises of a network: shapes, gradients, finite samples, and chunks that do not affect each other."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sepkit.testing.built_network import BuiltNetwork, check_shape, noise_for

# Steps after which every weight must have had a gradient: behind layers that start at zero it comes later.
_STEPS = 3
# What sums of another order may differ by, relative to the loudest sample.
_TOLERANCE = 1e-4


class NetworkPromises(BuiltNetwork):
    """The part of a model's suite that runs its network."""

    def test_output_has_the_shape_of_the_contract(self) -> None:
        """[batch, channel, time] -> [batch, source, channel, time]."""
        check_shape(self.network(), self.audio, 2, self.audio.sample_rate)

    def test_a_batch_of_one_keeps_its_shape(self) -> None:
        """A separated song comes in batches of one."""
        check_shape(self.network(), self.audio, 1, self.audio.sample_rate)

    def test_odd_lengths_keep_their_shape(self) -> None:
        """Songs have any length, not a multiple of a hop."""
        network = self.network()
        for frames in (self.audio.sample_rate + 1, self.audio.sample_rate - 1, 4999):
            check_shape(network, self.audio, 2, frames)

    def test_very_short_inputs_keep_their_shape(self) -> None:
        """A song may have fewer samples than a window."""
        network = self.network()
        for frames in (1, 2, 17, 255):
            check_shape(network, self.audio, 2, frames)

    def test_several_sources_keep_their_shape(self) -> None:
        """Three sources are estimated like one."""
        audio = replace(self.audio, sources=("vocals", "drums", "bass"))
        check_shape(self.network_or_skip(audio), audio, 2, audio.sample_rate)

    def test_stereo_keeps_its_shape(self) -> None:
        """Two channels."""
        audio = replace(self.audio, channels=2)
        check_shape(self.network_or_skip(audio), audio, 2, audio.sample_rate)

    def test_mono_keeps_its_shape(self) -> None:
        """One channel."""
        audio = replace(self.audio, channels=1)
        check_shape(self.network_or_skip(audio), audio, 2, audio.sample_rate)

    def test_every_weight_gets_a_gradient(self) -> None:
        """Within three steps of training; a weight without one is never trained."""
        network = self.network().train()
        missing = {name for name, weight in network.named_parameters() if weight.requires_grad}
        assert missing, "the network has no weight that can be trained"
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        for step in range(_STEPS):
            optimizer.zero_grad()
            estimates = network(noise_for(self.audio, 2, seed=step))
            (estimates - 0.1).square().mean().backward()
            missing -= {name for name, weight in network.named_parameters() if _sounds(weight.grad)}
            optimizer.step()
        assert not missing, (
            f"no gradient reaches {', '.join(sorted(missing))}; use them in forward(), or set requires_grad = False"
        )

    def test_gradients_are_finite_for_silence(self) -> None:
        """Songs begin with silence, where the slope of a square root or of a magnitude is infinite."""
        network = self.network().train()
        estimates = network(torch.zeros(2, self.audio.channels, self.audio.sample_rate))
        (estimates - 0.1).square().mean().backward()
        bad = [n for n, w in network.named_parameters() if w.grad is not None and not w.grad.isfinite().all()]
        assert not bad, f"silence gives gradients that are not finite: {', '.join(bad)}"

    def test_estimates_add_up_where_the_model_says_so(self) -> None:
        """Stems without a residual are then the whole song."""
        if not self.component.adds_up(self.audio):
            pytest.skip("adds_up gives False, so a residual is what is missing")
        mixture = noise_for(self.audio, 2)
        with torch.no_grad():
            off = float((self.network()(mixture).sum(1) - mixture).abs().max())
        assert off <= _TOLERANCE * float(mixture.abs().max()), f"the estimates differ from the mixture by {off:.2g}"

    def test_output_is_finite_for_silence(self) -> None:
        """Silence must not become NaN."""
        self._check_finite(0.0, "silence")

    def test_output_is_finite_for_full_scale_noise(self) -> None:
        """Loud songs must not overflow."""
        self._check_finite(1.0, "full-scale noise")

    def test_evaluation_mode_gives_the_same_twice(self) -> None:
        """No dropout or other chance is left in evaluation mode."""
        network, mixture = self.network(), noise_for(self.audio, 2)
        with torch.no_grad():
            once, twice = network(mixture), network(mixture)
        assert torch.equal(once, twice), "the same input gives other samples the second time in evaluation mode"

    def test_evaluation_mode_keeps_the_chunks_of_a_batch_apart(self) -> None:
        """A chunk does not depend on the others of its batch, so a song is the same in any batch."""
        network, mixture = self.network(), noise_for(self.audio, 2)
        other = torch.stack([mixture[0], 10 * mixture[1].flip(-1)])
        with torch.no_grad():
            kept, changed = network(mixture)[0], network(other)[0]
        off = float((kept - changed).abs().max())
        assert off <= _TOLERANCE * float(kept.abs().max()), (
            f"a chunk changes by {off:.2g} with the others of its batch; normalise each chunk by itself"
        )

    def test_input_stays_as_it_is(self) -> None:
        """The mixture is still needed for the residual."""
        mixture = noise_for(self.audio, 2)
        before = mixture.clone()
        with torch.no_grad():
            self.network()(mixture)
        assert torch.equal(mixture, before), "the network writes into its input; copy it first"

    def _check_finite(self, level: float, what: str) -> None:
        with torch.no_grad():
            estimates = self.network()(level * noise_for(self.audio, 2, level=1.0))
        assert estimates.isfinite().all(), f"{what} gives samples that are NaN or infinite"


def _sounds(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())
