"""open-unmix and demucs as `separate.py` measures them: their own networks and code, with random weights.

As a script it does what their command lines do, without the download: weights, a WAV, and the folder for its stems.
htdemucs is that of the released weights: 41 M parameters, segments of 7.8 s, which its library fetches with them.
"""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import soundfile
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def open_unmix() -> nn.Module:
    """Return umxhq's separator for one target, with the settings of `umx --targets vocals --residual`."""
    from openunmix import umxhq  # type: ignore[import-untyped]

    separator: nn.Module = umxhq(targets=["vocals"], residual=True, niter=1, pretrained=False)
    return separator.eval()


def htdemucs() -> nn.Module:
    """Return the network alone; `apply_model` cuts the song."""
    from demucs.htdemucs import HTDemucs

    network: nn.Module = HTDemucs(["drums", "bass", "other", "vocals"], bottom_channels=512, segment=Fraction(39, 5))
    return network.eval()


PEERS: dict[str, Callable[[], nn.Module]] = {"open-unmix": open_unmix, "htdemucs": htdemucs}


@torch.no_grad()
def separate(name: str, network: Any, mixture: Tensor) -> dict[str, Tensor]:
    """Separate [channel, time] into stems of the same shape, as the library does by default."""
    if name == "open-unmix":
        found: dict[str, Tensor] = network.to_dict(network(mixture[None]))
        return {stem: estimate[0] for stem, estimate in found.items()}
    from demucs.apply import apply_model

    return dict(zip(network.sources, apply_model(network, mixture[None])[0], strict=True))


def save_weights(name: str, path: Path) -> None:
    """Write random weights of a peer."""
    torch.manual_seed(0)
    save_file({key: tensor.clone() for key, tensor in PEERS[name]().state_dict().items()}, path)


def main(name: str, weights: Path, song: Path, output: Path) -> None:
    """Separate a file into 16-bit WAVs in a folder."""
    network = PEERS[name]()
    network.load_state_dict(load_file(weights))
    samples, rate = soundfile.read(song, dtype="float32", always_2d=True)
    output.mkdir(parents=True, exist_ok=True)
    for stem, estimate in separate(name, network, torch.from_numpy(samples.T.copy())).items():
        soundfile.write(output / f"{stem}.wav", estimate.T.numpy(), rate, "PCM_16")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
