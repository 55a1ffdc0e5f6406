"""Masks on the transform: the numbers of torch, in another order, and a mask of ones gives the signal back."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.models.stft import magnitudes, masked

SIZES = [(64, 16), (64, 32), (446, 111), (128, 33), (64, 64)]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SIZES[:4]), st.integers(1, 900), st.integers(1, 3), st.booleans())
def test_they_are_those_of_torch(size, time, channels, grad):
    (n_fft, hop), signal = size, torch.rand(channels, time) - 0.5
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(signal, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    mask = torch.rand(spectrum.shape[-2:])
    back = torch.istft(mask * spectrum, n_fft, hop, window=window, length=time)
    # Where hardly a window reaches, at the very end of a signal, both divide by almost nothing.
    sure = torch.istft(torch.ones_like(spectrum), n_fft, hop, window=window, length=time).abs() < 1e3
    with torch.set_grad_enabled(grad):
        found = magnitudes(signal, window, hop)
        torch.testing.assert_close(found.transpose(-1, -2), spectrum.abs(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(masked(signal, mask.T, window, hop) * sure, back * sure, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(masked(signal, torch.ones_like(mask.T), window, hop), signal, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES[:3])
def test_a_mask_of_ones_is_exact_where_windows_overlap(n_fft, hop):
    signal, window = torch.rand(2, 3, 5000) - 0.5, torch.hann_window(n_fft)
    back = masked(signal, torch.ones(1 + 5000 // hop, n_fft // 2 + 1), window, hop)
    torch.testing.assert_close(back[..., :4900], signal[..., :4900], atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SIZES[:4]), st.integers(1, 40000), st.integers(1, 2))
def test_some_frames_at_a_time_change_nothing(size, time, channels):
    (n_fft, hop), signal = size, torch.rand(2, 1, channels, time) - 0.5
    window = torch.hann_window(n_fft)
    whole = magnitudes(signal, window, hop)
    mask = torch.rand(2, 3, 1, *whole.shape[-2:])
    expected = masked(signal, mask, window, hop)
    assert expected.shape == (2, 3, channels, time)
    with torch.inference_mode():
        torch.testing.assert_close(magnitudes(signal, window, hop), whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(masked(signal, mask, window, hop), expected, atol=1e-4, rtol=1e-4)


def test_gradients_pass():
    signal = (torch.rand(1, 200, dtype=torch.float64) - 0.5).requires_grad_()
    mask, window = torch.ones(26, 17, requires_grad=True), torch.hann_window(32)
    masked(signal, mask, window, 8).square().sum().backward()
    torch.testing.assert_close(signal.grad, 2 * signal.detach(), atol=1e-4, rtol=1e-4)
    assert (mask.grad > 0).any()


def test_neither_separation_nor_export_imports_a_computer_algebra_system(small_model):
    """`torch.broadcast_shapes`, windows on the device "meta" and `skip_init` would, or PyTorch's compiler with it."""
    code = (
        "import sys, torch; from pathlib import Path; from sepkit.models.stft import masked; "
        "from sepkit.checkpoints import model_file; from sepkit.export import sealed; "
        "masked(torch.zeros(2, 1, 99), torch.ones(1, 3, 7, 17), torch.hann_window(32), 16); "
        "model = model_file.load(Path(sys.argv[1])); sealed.export(model, model.network()); "
        "sys.exit({'sympy', 'torch._dynamo'} & {*sys.modules} or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code, small_model], check=False).returncode == 0
