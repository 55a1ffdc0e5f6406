"""The model, as every model is tested, and against the package that it wraps."""

import numpy as np
import pytest
import torch
from openunmix.model import OpenUnmix as Network
from openunmix.model import Separator as Upstream
from sepkit_openunmix.openunmix import OpenUnmix

from sepkit import AudioSpec
from sepkit.registry import MODELS
from sepkit.testing import conformance

SMALL = {"n_fft": 256, "hop_length": 64, "hidden": 8, "layers": 1, "bandwidth": 3000.0}
HOP = 64

TestOpenUnmix = conformance(OpenUnmix(**SMALL))
TestFiltered = conformance(OpenUnmix(**SMALL, niter=1))


def network(audio, **settings):
    torch.manual_seed(0)
    return OpenUnmix(**{**SMALL, **settings}).build(audio).eval()


def song(channels, hops, *, silent=16):
    """Noise with silence around it, which is what a reflection of silence is, too."""
    samples = torch.zeros(1, channels, hops * HOP)
    inner = slice(silent * HOP, -silent * HOP)
    samples[..., inner] = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, samples[..., inner].shape)).float()
    return samples


def test_is_registered_under_its_distribution():
    assert MODELS.get("openunmix").plugin.distribution == "sepkit-openunmix"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("niter", [0, 1, 2])
def test_gives_the_samples_of_the_package(niter, channels):
    audio = AudioSpec(8000, channels, ("vocals", "drums", "bass"))
    ours = network(audio, niter=niter)
    targets = {source: Network(129, channels, hidden_size=8, nb_layers=1, max_bin=97) for source in audio.sources}
    for target, network_of_ours in zip(targets.values(), ours.mask_network.targets, strict=True):
        target.load_state_dict(network_of_ours.state_dict())
    theirs = Upstream(targets, niter=niter, sample_rate=8000.0, n_fft=256, n_hop=HOP, nb_channels=channels).eval()
    mixture = song(channels, 700)
    with torch.no_grad():
        expected, found = theirs(mixture), ours(mixture)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_filter_is_for_separation_alone():
    """In training the estimates are the masks times the mixture: no iteration is differentiated."""
    audio = AudioSpec(8000, 2, ("vocals", "drums"))
    plain, filtered = network(audio), network(audio, niter=1)
    mixture = song(2, 60)
    with torch.no_grad():
        assert not torch.allclose(plain(mixture), filtered(mixture), atol=1e-4)
        torch.manual_seed(1)
        expected = plain.train()(mixture)
        torch.manual_seed(1)
        torch.testing.assert_close(filtered.train()(mixture), expected)


def test_the_filter_shares_out_all_of_the_mixture():
    audio = AudioSpec(8000, 2, ("vocals", "drums"))
    mixture = song(2, 60)
    with torch.no_grad():
        off = network(audio, niter=2)(mixture).sum(1) - mixture
    assert off.abs().max() < 0.05 * mixture.abs().max()


def test_a_song_at_twice_the_rate_gets_the_same_masks():
    """Bins of the same Hz and frames of the same seconds, and a louder sum in each of them that is taken back."""
    trained = AudioSpec(8000, 1, ("vocals",))
    model = OpenUnmix(**SMALL)
    narrow = model.build(trained).eval()
    wide = model.full_band(trained, AudioSpec(16000, 2, ("vocals",))).eval()
    wide.load_state_dict(narrow.state_dict())
    time = torch.arange(16000) / 16000
    tone = (0.3 * torch.sin(2 * torch.pi * 1000 * time) + 0.2 * torch.sin(2 * torch.pi * 440 * time))[None, None]
    with torch.no_grad():
        low, high = narrow(tone[..., ::2]), wide(tone.expand(-1, 2, -1))
    assert high.shape == (1, 1, 2, 16000)
    torch.testing.assert_close(high[:, :, 0, ::2][..., 500:-500], low[:, :, 0][..., 500:-500], atol=0.01, rtol=0)


def test_a_network_of_stereo_hears_no_other_number_of_channels():
    stereo = AudioSpec(8000, 2, ("vocals",))
    assert OpenUnmix(**SMALL).full_band(stereo, AudioSpec(16000, 1, ("vocals",))) is None
    assert OpenUnmix(**SMALL).full_band(stereo, AudioSpec(16000, 2, ("vocals",))) is not None


def test_samples_that_a_hop_would_lose_are_refused():
    with pytest.raises(ValueError, match="at most n_fft / 2 = 128"):
        OpenUnmix(n_fft=256, hop_length=129)
