"""Known values of the simplest losses, and the weighted sum over present sources."""

import pytest
import torch

from sepkit import AudioSpec
from sepkit import config as configs
from sepkit.registry import LOSSES
from sepkit.training.objective import Objective

AUDIO = AudioSpec(8000, 1, ("a", "b"))


def test_l1_and_mse_are_means_over_samples():
    estimate, target = torch.zeros(1, 1, 1, 4), torch.tensor([[[[1.0, -1, 3, 0]]]])
    assert LOSSES.get("l1").component().build(AUDIO)(estimate, target) == 1.25
    assert LOSSES.get("mse").component().build(AUDIO)(estimate, target) == 2.75


def test_magnitudes_are_blind_to_polarity_and_as_large_as_samples():
    loss = LOSSES.get("l1_magnitude").component(n_fft=256, hop_length=64).build(AUDIO)
    noise = torch.randn(1, 1, 1, 80000, generator=torch.Generator().manual_seed(0))
    assert loss(noise, -noise) == 0
    # The magnitude of complex Gaussian noise of unit power has the mean sqrt(pi) / 2.
    assert loss(noise, torch.zeros_like(noise)) == pytest.approx(torch.pi**0.5 / 2, rel=0.02)


@pytest.mark.parametrize(("n_fft", "hop_length"), [(256, 64), (100, 33)])
def test_l1_magnitude_is_the_mean_over_an_stft_of_its_settings(n_fft, hop_length):
    estimate, target = torch.randn(2, 3, 2, 2, 1501, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    window = torch.hann_window(n_fft, dtype=torch.float64)

    def magnitudes(signal):
        flat = signal.reshape(12, 1501)
        return torch.stft(flat, n_fft, hop_length, window=window, pad_mode="constant", return_complex=True).abs()

    error = (magnitudes(estimate) - magnitudes(target)).abs().mean() / window.norm()
    loss = LOSSES.get("l1_magnitude").component(n_fft=n_fft, hop_length=hop_length).build(AUDIO)
    torch.testing.assert_close(loss(estimate, target), error)


def objective(*losses):
    values = {"losses": [{"name": n, "weight": w} for n, w in losses], "audio": {"sources": ["a", "b"]}}
    return Objective(configs.validate(values, "test"))


def test_the_objective_is_the_weighted_sum():
    estimate, target, present = torch.zeros(1, 2, 1, 4), torch.ones(1, 2, 1, 4) * 2, torch.ones(1, 2, dtype=torch.bool)
    assert objective(("l1", 0.5), ("mse", 2.0))(estimate, target, present) == 0.5 * 2 + 2.0 * 4


def test_an_absent_source_costs_nothing_and_gets_no_gradient():
    estimate = torch.zeros(2, 2, 1, 4, requires_grad=True)
    target = torch.tensor([1.0, 100.0]).view(1, 2, 1, 1).expand(2, 2, 1, 4)
    present = torch.tensor([[True, False], [True, False]])
    value = objective(("l1", 1.0))(estimate, target, present)
    value.backward()
    assert value == 1
    assert not estimate.grad[:, 1].any()
    nothing = objective(("l1", 1.0))(estimate, target, torch.zeros(2, 2, dtype=torch.bool))
    assert nothing == 0
