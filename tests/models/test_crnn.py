"""The CRNN: shapes at any length, what it may do to a signal, full band, and its cost."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.checkpoints.info import cost
from sepkit.models.crnn import CRNN

TINY = {"n_fft": 256, "hop_length": 64, "channels": (4, 8), "frequency_strides": (4, 2), "time_strides": (2, 1)}
TINY |= {"projection": 8, "hidden": 6, "layers": 2}
MONO = AudioSpec(8000, 1, ("vocals",))


def tiny(audio=MONO, **more):
    torch.manual_seed(0)
    return CRNN(**TINY | more).build(audio).eval()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3000))
def test_any_batch_channels_and_length(batch, channels, time):
    with torch.no_grad():
        estimates = tiny(AudioSpec(8000, channels, ("a", "b")))(torch.randn(batch, channels, time))
    assert estimates.shape == (batch, 2, channels, time)
    assert torch.isfinite(estimates).all()


def test_a_mask_of_one_returns_the_mixture():
    network = tiny()
    network.band_mask = lambda magnitude: torch.ones_like(magnitude)[:, None]
    mixture = torch.randn(2, 1, 2345)
    torch.testing.assert_close(network(mixture)[:, 0], mixture, atol=1e-5, rtol=0)


def test_silence_stays_silence_and_the_mask_never_amplifies():
    network = tiny()
    with torch.no_grad():
        assert not network(torch.zeros(1, 1, 4000)).any()
        mask = network.band_mask(torch.rand(1, 129, 40))
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_channels_share_one_mask_so_that_a_panned_source_stays_panned():
    network = tiny(AudioSpec(8000, 2, ("vocals",)))
    mixture = torch.randn(1, 2, 4000)
    mixture[:, 1] = 0
    with torch.no_grad():
        estimate = network(mixture)
    assert estimate[0, 0, 0].abs().max() > 0
    assert not estimate[0, 0, 1].any()


def test_every_weight_learns():
    network = CRNN(**TINY).build(MONO)
    network(torch.randn(2, 1, 4000)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("rate", [8000, 16000, 11025, 44100])
def test_full_band_takes_the_same_weights_at_any_rate(rate):
    network, config = tiny(), CRNN(**TINY)
    wide = config.full_band(MONO, AudioSpec(rate, 2, ("vocals",)))
    wide.load_state_dict(network.state_dict())
    with torch.no_grad():
        estimate = wide.eval()(torch.randn(1, 2, rate // 2))
    assert estimate.shape == (1, 1, 2, rate // 2)
    assert torch.isfinite(estimate).all()


def test_full_band_treats_the_trained_band_as_the_trained_rate_does():
    """A signal below 3 kHz, separated at 8 kHz and at 16 kHz: the same result."""
    network, config = tiny(), CRNN(**TINY)
    wide = config.full_band(MONO, AudioSpec(16000, 1, ("vocals",)))
    wide.load_state_dict(network.state_dict())
    wide.eval()
    time = np.arange(16000) / 16000
    signal = sum(np.sin(2 * np.pi * f * time + f) for f in (220, 440, 1100, 2900)) * 0.1 * np.sin(2 * np.pi * time)
    signal = torch.tensor(signal, dtype=torch.float32)[None, None]
    with torch.no_grad():
        high, low = wide(signal)[..., ::2], network(signal[..., ::2])
    error = (high - low)[..., 200:-200].square().mean() / low.square().mean()
    assert 10 * torch.log10(error) < -35


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_network_sees_the_same_level_at_any_rate(rate):
    """A full-scale sine is 1 at its bin, whatever the length of the window."""

    class Seen(torch.nn.Module):
        bins = 128

        def forward(self, magnitude):
            return magnitude

    network = CRNN(**TINY).full_band(MONO, AudioSpec(rate, 1, ("vocals",)))
    network.mask_network = Seen()
    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(rate) / rate)
    stft = torch.stft(
        sine[None], network.n_fft, network.hop_length, window=network.window, pad_mode="constant", return_complex=True
    )
    seen = network.band_mask(stft.abs())[0, 0, :128]
    assert seen[:, 10:-10].amax(0).mean() == pytest.approx(1, abs=0.02)
    assert seen[:, 50].argmax() == 32


def test_full_band_is_never_silent_above_the_trained_band():
    network, config = tiny(), CRNN(**TINY)
    wide = config.full_band(MONO, AudioSpec(32000, 1, ("vocals",)))
    wide.load_state_dict(network.state_dict())
    with torch.no_grad():
        estimate = wide.eval()(torch.randn(1, 1, 32000))[0, 0, 0]
    power = torch.fft.rfft(estimate).abs().square()
    assert power[len(power) // 2 :].sum() > 0.1 * power.sum()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"channels": (4,)}, "one entry for each encoder layer"),
        ({"frequency_strides": (3, 2)}, "multiple of all frequency strides"),
        ({"hop_length": 256}, "hop_length must be at most"),
        ({"channels": (0, 4)}, "at least 1"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(settings_, message):
    with pytest.raises(ValueError, match=message):
        CRNN(**TINY | settings_)


def test_the_default_network_costs_at_most_half_of_the_first_prototype():
    costs = cost(CRNN().build(AudioSpec()), AudioSpec())
    assert costs["gflop_per_minute"] <= 113 / 2
    assert costs["parameters"] < 4e6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu():
    network, mixture = tiny(), torch.randn(1, 1, 4000)
    with torch.no_grad():
        cpu = network(mixture)
        gpu = network.cuda()(mixture.cuda()).cpu()
    torch.testing.assert_close(cpu, gpu, atol=1e-4, rtol=1e-3)
