"""The transform and its inverse: those of torch, in another order, and one undoes the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.models.stft import analyse, synthesise

SIZES = [(64, 16), (64, 32), (446, 111), (128, 33), (64, 64)]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SIZES[:4]), st.integers(1, 900), st.integers(1, 3))
def test_they_are_those_of_torch_and_undo_each_other(size, time, channels):
    (n_fft, hop), signal = size, torch.rand(channels, time) - 0.5
    window = torch.hann_window(n_fft)
    spectrum = analyse(signal, window, hop)
    expected = torch.stft(signal, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    torch.testing.assert_close(spectrum.transpose(-1, -2), expected, atol=1e-5, rtol=1e-5)
    changed = spectrum * torch.rand(spectrum.shape[-2:])
    back = torch.istft(changed.transpose(-1, -2), n_fft, hop, window=window, length=time)
    # Where hardly a window reaches, at the very end of a signal, both divide by almost nothing.
    sure = torch.istft(torch.ones_like(expected), n_fft, hop, window=window, length=time).abs() < 1e3
    torch.testing.assert_close(synthesise(changed, window, hop, time) * sure, back * sure, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(synthesise(spectrum, window, hop, time), signal, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES[:3])
def test_the_inverse_is_exact_where_windows_overlap(n_fft, hop):
    signal, window = torch.rand(2, 3, 5000) - 0.5, torch.hann_window(n_fft)
    back = synthesise(analyse(signal, window, hop), window, hop, 5000)
    torch.testing.assert_close(back[..., :4900], signal[..., :4900], atol=1e-5, rtol=0)


def test_gradients_pass_both():
    signal, window = (torch.rand(1, 200, dtype=torch.float64) - 0.5).requires_grad_(), torch.hann_window(32)
    synthesise(analyse(signal, window, 8), window, 8, 200).square().sum().backward()
    torch.testing.assert_close(signal.grad, 2 * signal.detach(), atol=1e-4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SIZES[:4]), st.integers(1, 40000), st.integers(1, 2))
def test_some_frames_at_a_time_and_a_mask_change_nothing(size, time, channels):
    (n_fft, hop), signal = size, torch.rand(channels, time) - 0.5
    window = torch.hann_window(n_fft)
    spectrum = analyse(signal, window, hop)
    mask = torch.rand(3, 1, *spectrum.shape[-2:])
    masked = synthesise(mask * spectrum, window, hop, time)
    with torch.inference_mode():
        torch.testing.assert_close(analyse(signal, window, hop), spectrum, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(synthesise(spectrum, window, hop, time, mask), masked, atol=1e-4, rtol=1e-4)
