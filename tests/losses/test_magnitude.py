"""Magnitudes of an STFT under a window of unit energy."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.losses.magnitude import magnitude


@pytest.mark.parametrize("n_fft", [17, 256, 2048])
def test_the_mean_square_of_magnitudes_is_that_of_the_samples(n_fft):
    noise = torch.randn(1, 1, 200_000, generator=torch.Generator().manual_seed(0))
    inner = magnitude(noise, n_fft, n_fft // 4)[..., 8:-8]
    assert inner.square().mean().item() == pytest.approx(1, rel=0.03)


@given(st.integers(1, 700), st.integers(16, 600), st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_any_length_has_a_frame_at_each_hop(time, n_fft, hop_length):
    found = magnitude(torch.ones(2, 3, time), n_fft, hop_length)
    assert found.shape == (2, 3, n_fft // 2 + 1, 1 + (time - n_fft % 2) // hop_length)
    assert found.isfinite().all()


@pytest.mark.parametrize("level", [0, 1e-45, 1e-42, 1e-40, 1e-39, 1e-38, 1e-37, 1e-30, 1])
def test_the_gradient_is_finite_however_quiet_the_signal(level):
    signal = level * torch.randn(1, 1, 5000, generator=torch.Generator().manual_seed(0))
    signal.requires_grad_()
    (1e9 * magnitude(signal, 256, 64)).sum().backward()
    assert signal.grad.isfinite().all()
    assert signal.grad.any() == (level >= 1e-42)


def test_the_gradient_is_that_of_the_magnitude_in_torch():
    signal = torch.randn(2, 2, 3001, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(2, 2, 129, 47)
    (magnitude(signal, 256, 64) * weights).sum().backward()
    found, signal.grad = signal.grad, None
    window = torch.hann_window(256) / torch.hann_window(256).square().sum().sqrt()
    flat = torch.stft(signal.view(4, -1), 256, 64, window=window, pad_mode="constant", return_complex=True)
    (flat.abs().view_as(weights) * weights).sum().backward()
    torch.testing.assert_close(found, signal.grad)
