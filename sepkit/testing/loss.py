"""The promises of a loss: a finite scalar that falls as an estimate comes nearer, and that is a mean over chunks."""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from sepkit.component import AudioSpec, Loss, LossConfig
from sepkit.testing.promises import Promises
from sepkit.testing.signals import noise


class LossPromises(Promises):
    """The suite of a loss."""

    component: ClassVar[LossConfig]
    audio: ClassVar[AudioSpec] = AudioSpec(8000, 2, ("vocals", "drums"))

    def test_value_is_a_scalar(self) -> None:
        """A tensor of shape []."""
        value = self._loss()(*self._pair(2))
        assert isinstance(value, Tensor), f"a loss returns a tensor, not {type(value).__name__}"
        assert value.shape == (), f"a loss returns a scalar, not {list(value.shape)}"

    def test_gradient_reaches_every_part_of_the_estimate(self) -> None:
        """Each chunk, source and channel is learned from."""
        _, gradient = _differentiated(self._loss(), *self._pair(2))
        still = [list(index) for index in (~gradient.any(-1)).nonzero().tolist()]
        assert not still, f"no gradient reaches [batch, source, channel] = {still} of the estimate"

    def test_no_estimate_is_better_than_the_target(self) -> None:
        """The target itself has the lowest value."""
        loss, (estimate, target) = self._loss(), self._pair(2)
        best = float(loss(target, target))
        for near in (0.0, 0.9, 0.999):
            value = float(loss(_between(estimate, target, near), target))
            assert best <= value, f"the target itself costs {best:.4g}, and another estimate only {value:.4g}"

    def test_a_better_estimate_is_lower(self) -> None:
        """From far to near the value falls."""
        loss, (estimate, target) = self._loss(), self._pair(2)
        values = [float(loss(_between(estimate, target, near), target)) for near in (0.0, 0.3, 0.6, 0.9)]
        falls = values == sorted(values, reverse=True) and values[0] > values[-1]
        assert falls, f"estimates that come nearer to the target cost {', '.join(f'{v:.4g}' for v in values)}"

    def test_silence_is_finite(self) -> None:
        """In estimate, target or both; the gradient too. Stems are often silent."""
        estimate, target = self._pair(2)
        silence = torch.zeros_like(target)
        cases = {
            "estimate": (silence, target),
            "target": (estimate, silence),
            "estimate and target": (silence, silence),
        }
        for where, pair in cases.items():
            value, gradient = _differentiated(self._loss(), *pair)
            assert value.isfinite(), f"a silent {where} costs {float(value)}"
            assert gradient.isfinite().all(), f"a silent {where} gives a gradient that is not finite"

    def test_inputs_stay_as_they_are(self) -> None:
        """Other losses get the same tensors."""
        pair = self._pair(2)
        before = [tensor.clone() for tensor in pair]
        self._loss()(*pair)
        for name, tensor, copy in zip(("estimate", "target"), pair, before, strict=True):
            assert torch.equal(tensor, copy), f"the loss writes into the {name}; copy it first"

    def test_a_batch_costs_the_mean_of_its_chunks(self) -> None:
        """So a batch may be divided over steps and machines; batches have any size."""
        loss, (estimate, target) = self._loss(), self._pair(3)
        whole = float(loss(estimate, target))
        parts = [float(loss(estimate[[n]], target[[n]])) for n in range(3)]
        mean = sum(parts) / 3
        assert abs(whole - mean) <= 1e-4 * max(1.0, abs(mean)), (
            f"a batch of 3 costs {whole:.6g}, its chunks {mean:.6g} in the mean; take the mean over chunks"
        )

    def test_chunks_of_one_source_are_taken(self) -> None:
        """If sources are absent, the present ones come as [n, 1, channel, time]."""
        loss, (estimate, target) = self._loss(), self._pair(2)
        try:
            flat = loss(estimate.flatten(0, 1)[:, None], target.flatten(0, 1)[:, None])
        except Exception as error:  # losses may raise anything
            raise AssertionError(f"chunks of one source, [n, 1, channel, time], fail: {error}") from error
        assert flat.isfinite().all(), f"chunks of one source cost {flat}"

    def test_the_shortest_chunks_are_taken(self) -> None:
        """`train.chunk_seconds` may be 0.1."""
        estimate, target = self._pair(2, round(0.1 * self.audio.sample_rate))
        try:
            value = self._loss()(estimate, target)
        except Exception as error:  # losses may raise anything
            raise AssertionError(f"a chunk of 0.1 s fails: {error}") from error
        assert value.isfinite(), f"a chunk of 0.1 s costs {float(value)}"

    def test_mono_is_taken(self) -> None:
        """One channel, for a loss that was built for one."""
        mono = replace(self.audio, channels=1)
        value = self.component.build(mono)(*(tensor[:, :, :1] for tensor in self._pair(2)))
        assert value.isfinite(), f"one channel costs {float(value)}"

    def test_the_same_twice(self) -> None:
        """No chance, and nothing kept from one call to the next."""
        loss, pair = self._loss(), self._pair(2)
        once, twice = float(loss(*pair)), float(loss(*pair))
        assert once == twice, f"the same tensors cost {once:.6g}, and {twice:.6g} the second time"

    def _loss(self) -> "Loss":
        return self.component.build(self.audio)

    def _pair(self, batch: int, frames: int = 0) -> tuple[Tensor, Tensor]:
        """Return an estimate and a target [batch, source, channel, time] that have nothing in common."""
        shape = batch, len(self.audio.sources), self.audio.channels, frames or self.audio.sample_rate
        return torch.from_numpy(noise(*shape, seed=1)), torch.from_numpy(noise(*shape, seed=2))


def _between(estimate: Tensor, target: Tensor, near: float) -> Tensor:
    return (1 - near) * estimate + near * target


def _differentiated(loss: "Loss", estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    estimate = estimate.clone().requires_grad_()
    value = loss(estimate, target)
    (gradient,) = torch.autograd.grad(value, estimate)
    return value.detach(), gradient
