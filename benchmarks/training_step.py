"""Measure a training step of the default network on a CPU: with torch's GRU and with ours, in fp32 and in bf16.

The cases take turns, so that a machine that slows down slows them all; compare the ratios.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from sepkit import AudioSpec
from sepkit.models.crnn import CRNN
from sepkit.models.gru import BidirectionalGRU

BATCH, SECONDS, ROUNDS = 8, 4.0, 8


def main() -> None:
    """Print the median time of each case, and its ratio to the first."""
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    audio = AudioSpec()
    network = CRNN().build(audio)
    optimizer = torch.optim.Adam(network.parameters())
    mixture = 0.1 * torch.randn(BATCH, audio.channels, round(SECONDS * audio.sample_rate))
    ours = BidirectionalGRU.forward
    cases: dict[str, tuple[Callable[..., Tensor], bool]] = {
        "torch's GRU, fp32": (_torch_forward, False),
        "our GRU, fp32": (ours, False),
        "torch's GRU, bf16": (_torch_forward, True),
        "our GRU, bf16": (ours, True),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS + 1):
        for name, (forward, bf16) in cases.items():
            BidirectionalGRU.forward = forward  # type: ignore[method-assign]
            started = perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                estimate = network(mixture)
            loss = (estimate.float() - 0.5 * mixture[:, None]).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times[name].append(perf_counter() - started)
    first = median(next(iter(times.values()))[1:])
    for name, seconds in times.items():
        print(f"{name}: {median(seconds[1:]):.3f} s a step, {median(seconds[1:]) / first:.2f} of the first")


def _torch_forward(gru: BidirectionalGRU, x: Tensor) -> Tensor:
    states: Tensor = nn.GRU.forward(gru, x)[0]
    return states


if __name__ == "__main__":
    main()
