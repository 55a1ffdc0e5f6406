"""Compare policies for Spleeter's mask above 11 kHz, the highest input of its networks, on real songs.

Scores of vocals and accompaniment in dB, for each policy: "band" is the SDR of 11 to 16 kHz, frames of 1 s, median;
"song" the same with the song as one frame, so that what leaks into pauses counts as well; "all" the SDR of everything;
"level" the energy of the estimate's band over that of the stem: below 0 dB it sounds muffled. The songs may come from
lossy sources, so nothing above 16 kHz is looked at. Needs `pip install ./plugins/sepkit-spleeter`; SEPKIT_AUDIO names
the folder that holds songs/{train,test}/<song>/. Two minutes on two cores.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from sepkit_spleeter.spleeter_unet import EXTENSION_HZ
from torch import Tensor

from sepkit.audio.read import read
from sepkit.checkpoints import model_file
from sepkit.checkpoints.pretrained import fetch

RATE, N_FFT, HOP, LOW, FRAMES = 44100, 4096, 1024, 1024, 512
TOP = round(16000 * N_FFT / RATE)
SILENT_DB = 60.0
STEMS = "vocals", "accompaniment"

# Masks [S, C, LOW, T] -> masks above [S, C, 1, T].
Policy = Callable[[Tensor], Tensor]


def _mean(khz: float) -> Policy:
    return lambda masks: masks[:, :, -round(khz * 1000 * N_FFT / RATE) :].mean(2, keepdim=True)


def _sharper(policy: Policy) -> Policy:
    """Shares of the squares, so that the larger part grows."""
    return lambda masks: policy(masks) ** 2 / (policy(masks) ** 2).sum(0)


POLICIES: dict[str, Policy] = {
    "zero, as published": lambda masks: torch.zeros_like(masks[:, :, :1]),
    "mean of the whole band": lambda masks: masks.mean(2, keepdim=True),
    "mean of the top 1 kHz": _mean(1),
    "mean of the top 2 kHz": _mean(2),
    "mean of the top 4 kHz": _mean(4),
    "the same, shares of squares, 2 kHz": _sharper(_mean(2)),
    f"the same, shares of squares, {EXTENSION_HZ / 1000:.0f} kHz (used)": _sharper(_mean(EXTENSION_HZ / 1000)),
}


def main() -> None:
    """Print the scores of each policy: of each song, and their means."""
    network = model_file.load(fetch("spleeter")).network().eval().get_submodule("mask_network")
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for folder in sorted(Path(os.environ["SEPKIT_AUDIO"], "songs").glob("*/*")):
        for stem, policy, scores in _scored(network, folder):
            print(f"{folder.name:10} {stem:14} {policy:44}" + "".join(f"{score:8.2f}" for score in scores))
            rows.setdefault((stem, policy), []).append(scores)
    for (stem, policy), songs in rows.items():
        means = [fmean(column) for column in zip(*songs, strict=True)]
        print(f"{'mean':10} {stem:14} {policy:44}" + "".join(f"{score:8.2f}" for score in means))


def _scored(network: torch.nn.Module, folder: Path) -> Iterator[tuple[str, str, list[float]]]:
    mixture, vocals = (_sound(folder / f"{name}.flac") for name in ("mixture", "vocals"))
    spectrum, masks = _stft(mixture), None
    with torch.no_grad():
        pieces = spectrum.abs()[:, :LOW].split(FRAMES, -1)
        masks = torch.cat([network(piece[None])[0] for piece in pieces], -1)
    for number, (stem, target) in enumerate(zip(STEMS, (vocals, mixture - vocals), strict=True)):
        true = _stft(target)
        for name, policy in POLICIES.items():
            above = policy(masks)[number].expand(-1, N_FFT // 2 + 1 - LOW, -1)
            estimate = torch.cat([masks[number], above], 1) * spectrum
            yield stem, name, _scores(estimate, true, mixture.shape[1])


def _scores(estimate: Tensor, true: Tensor, time: int) -> list[float]:
    high, high_true = (_istft(s[:, LOW:TOP], LOW, time) for s in (estimate, true))
    everything, all_true = (_istft(s, 0, time) for s in (estimate, true))
    seconds = range(0, time - RATE + 1, RATE)
    energies = [float(high_true[:, i : i + RATE].square().sum()) for i in seconds]
    loud = [i for i, energy in zip(seconds, energies, strict=True) if energy > max(energies) / 10 ** (SILENT_DB / 10)]
    band = np.median([_sdr(high[:, i : i + RATE], high_true[:, i : i + RATE]) for i in loud])
    level = 10 * np.log10(float(high.square().sum()) / float(high_true.square().sum()) + 1e-12)
    return [float(band), _sdr(high, high_true), _sdr(everything, all_true), max(float(level), -99.0)]


def _sdr(estimate: Tensor, true: Tensor) -> float:
    return float(10 * torch.log10(true.square().sum() / ((true - estimate).square().sum() + 1e-12)))


def _sound(path: Path) -> Tensor:
    return torch.from_numpy(read(path)[0])


def _stft(signal: Tensor) -> Tensor:
    return torch.stft(signal, N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="constant", return_complex=True)


def _istft(part: Tensor, first: int, time: int) -> Tensor:
    full = part.new_zeros(part.shape[0], N_FFT // 2 + 1, part.shape[2])
    full[:, first : first + part.shape[1]] = part
    return torch.istft(full, N_FFT, HOP, window=torch.hann_window(N_FFT), length=time)


if __name__ == "__main__":
    main()
