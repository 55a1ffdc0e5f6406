"""Compare policies for a mask above 11 025 Hz, the top of the trained band, on real songs at 44.1 kHz.

The mask of the low band is that of a CRNN trained at 22 050 Hz, with --model; or an ideal one, which leaves the policy
alone at fault. With the mid signals of target T, rest R and mixture X, that is |T| / (|T| + |R|) as "share";
min(1, |T| / |X|) as "magnitude", what a loss of magnitudes trains for; Re(T / X) within [0, 1] as "phase", what a loss
of waveforms trains for. The mask is applied to both channels, as the network does it. Bands are cut by the bins of the
STFT. Scores of the target, and in the columns with an r of the rest:

- band: SDR of 11.025 to 16 kHz. Frames of 1 s, median; frames more than 60 dB below the loudest one are left out.
- whole: the same for everything up to 16 kHz. The songs may come from lossy sources, so nothing above is looked at.
- song: as "band", with the song as one frame, so what leaks into pauses counts as well.
- level: energy of the estimate over that of the reference, 11.025 to 16 kHz; below 0 dB it sounds muffled.

SEPKIT_AUDIO names the folder that holds songs/{train,test}/<song>/. Two minutes on two
cores; with a model, ten seconds a song.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from sepkit import AudioSpec
from sepkit.audio.read import read
from sepkit.checkpoints import model_file
from sepkit.models.crnn_network import CRNNModule

RATE, N_FFT, HOP = 44100, 2048, 512
LOW = 512  # bins below 11 025 Hz, for which there is a mask
TOP = round(16000 * N_FFT / RATE)  # the first bin that is left out
SILENT_DB = 60.0

# Mask [LOW, T] and the mixture's magnitude [TOP, T] -> mask above, [TOP - LOW, T] or [1, T].
Policy = Callable[[Tensor, Tensor], Tensor]
# STFT of target and rest, [channel, N_FFT / 2 + 1, T] each -> mask [LOW, T].
MaskOf = Callable[[Tensor, Tensor], Tensor]
Scores = dict[str, float]


def _bins(khz: float) -> int:
    return round(khz * 1000 * N_FFT / RATE)


def _mean(khz: float) -> Policy:
    return lambda mask, _: mask[-_bins(khz) :].mean(0, keepdim=True)


def _median(khz: float) -> Policy:
    return lambda mask, _: mask[-_bins(khz) :].median(0, keepdim=True).values


def _weighted(khz: float, power: float) -> Policy:
    """Mean of the mask's top, weighted by a power of the mixture's magnitude: of 2 for its energy."""

    def policy(mask: Tensor, magnitude: Tensor) -> Tensor:
        weight = magnitude[LOW - _bins(khz) : LOW] ** power + 1e-12
        return (mask[-_bins(khz) :] * weight).sum(0, keepdim=True) / weight.sum(0, keepdim=True)

    return policy


def _trend(khz: float) -> Policy:
    """The straight line that fits the mask's top best, continued, within [0, 1]."""

    def policy(mask: Tensor, magnitude: Tensor) -> Tensor:
        top = mask[-_bins(khz) :]
        at = torch.arange(len(magnitude) - LOW + len(top)) - (len(top) - 1) / 2
        inside, above = at[: len(top), None], at[len(top) :, None]
        slope = (inside * top).sum(0) / inside.square().sum()
        return (top.mean(0) + slope * above).clamp(0, 1)

    return policy


def _smooth(policy: Policy, frames: int) -> Policy:
    return lambda mask, magnitude: functional.avg_pool1d(
        policy(mask, magnitude), frames, 1, frames // 2, count_include_pad=False
    )


def _sharper(policy: Policy) -> Policy:
    """The share of energies, where the mask is one of magnitudes: more than half moves up, less than half down."""

    def sharper(mask: Tensor, magnitude: Tensor) -> Tensor:
        square, rest = policy(mask, magnitude).square(), (1 - policy(mask, magnitude)).square()
        return square / (square + rest)

    return sharper


POLICIES: dict[str, Policy] = {
    "silence": lambda mask, _: torch.zeros_like(mask[:1]),
    "all of it": lambda mask, _: torch.ones_like(mask[:1]),
    "last bin": _mean(0.02),
    "mean of top 1 kHz": _mean(1),
    "mean of top 2 kHz": _mean(2),
    "mean of top 4 kHz": _mean(4),
    "mean of the whole band": lambda mask, _: mask.mean(0, keepdim=True),
    "median of top 2 kHz": _median(2),
    "magnitude-weighted, top 2 kHz": _weighted(2, 1),
    "energy-weighted, top 2 kHz": _weighted(2, 2),
    "energy-weighted, top 4 kHz": _weighted(4, 2),
    "linear trend of top 4 kHz": _trend(4),
    "mean 2 kHz, smoothed over 60 ms": _smooth(_mean(2), 5),
    "mean 2 kHz, smoothed over 250 ms": _smooth(_mean(2), 21),
    "min of top 2 kHz and whole band": lambda m, x: torch.minimum(_mean(2)(m, x), m.mean(0, keepdim=True)),
    "max of top 2 kHz and whole band": lambda m, x: torch.maximum(_mean(2)(m, x), m.mean(0, keepdim=True)),
    "mean 2 kHz, squared": lambda mask, magnitude: _mean(2)(mask, magnitude).square(),
    "mean 1 kHz, sharper": _sharper(_mean(1)),
    "mean 2 kHz, sharper": _sharper(_mean(2)),
    "mean 4 kHz, sharper": _sharper(_mean(4)),
    "median 2 kHz, sharper": _sharper(_median(2)),
    "energy-weighted 2 kHz, sharper": _sharper(_weighted(2, 2)),
}
IDEAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "share": lambda target, rest: target.abs() / (target.abs() + rest.abs() + 1e-12),
    "magnitude": lambda target, rest: (target.abs() / ((target + rest).abs() + 1e-12)).clamp(max=1),
    "phase": lambda target, rest: (target / (target + rest + 1e-12)).real.clamp(0, 1),
}
CEILING = "(ideal, one value a frame)"


@dataclass(frozen=True)
class Part:
    """A stem and the rest of its song, both [channel, time]."""

    song: str
    target: Tensor
    rest: Tensor


@dataclass(frozen=True)
class Signals:
    """[channel, time] from the edge of the trained band to 16 kHz; its energy and that of all below 16 kHz, [frame]."""

    high: Tensor
    high_energy: Tensor
    whole_energy: Tensor

    @classmethod
    def of(cls, spectrum: Tensor, time: int) -> "Signals":
        """Take the bands of an STFT [channel, bins, T] apart."""
        high = _istft(spectrum[:, LOW:TOP], LOW, time)
        return cls(high, _energy(high), _energy(high + _istft(spectrum[:, :LOW], 0, time)))


def main() -> None:
    """Print the scores of each policy: by target and song, the means of each target, and over the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="take the masks of this model; songs/test unless --songs")
    parser.add_argument("--target", action="append", help="default: vocals and drums, or what the model estimates")
    parser.add_argument("--ideal", choices=IDEAL, default="share", help="without a model: which ideal mask")
    parser.add_argument("--songs", action="append", metavar="PATTERN", help="such as 'test/*', below songs/")
    options = parser.parse_args()
    network, sources = _load(options.model) if options.model else (None, ("vocals", "drums"))
    patterns = options.songs or (["test/*"] if network else ["*/*"])
    if network and (unknown := set(options.target or ()) - set(sources)):
        parser.error(f"--target {', '.join(unknown)}: the model estimates {', '.join(sources)}")
    everything = []
    for target in options.target or sources:
        mask_of = _estimated(network, sources.index(target)) if network else _ideal(options.ideal)
        songs = []
        for part in _parts(target, patterns):
            songs.append(_compare(part, mask_of))
            _table(f"{target}, {part.song}", songs[-1])
        _table(f"{target}, mean of {len(songs)} songs", means := _average(songs))
        everything.append(means)
    _table("mean over the targets", _average(everything))


def _load(path: Path) -> tuple[CRNNModule, tuple[str, ...]]:
    model = model_file.load(path)
    sources = model.manifest.audio.sources
    network = model.full_band(AudioSpec(RATE, 2, sources))
    if not isinstance(network, CRNNModule) or (network.n_fft, network.hop_length, network.mask_network.bins) != (
        N_FFT,
        HOP,
        LOW,
    ):
        raise SystemExit(f"{path}: not a CRNN of 22 050 Hz, n_fft 1024 and hop 256; train one with `sepkit train`")
    return network, sources


def _estimated(network: CRNNModule, source: int) -> MaskOf:
    return lambda target, rest: network.band_mask((target + rest).mean(0).abs()[None])[0, source, :LOW]


def _ideal(name: str) -> MaskOf:
    return lambda target, rest: IDEAL[name](target[:, :LOW].mean(0), rest[:, :LOW].mean(0))


def _parts(target: str, patterns: list[str]) -> Iterator[Part]:
    if "SEPKIT_AUDIO" not in os.environ:
        raise SystemExit("SEPKIT_AUDIO does not name the folder of real songs")
    root = Path(os.environ["SEPKIT_AUDIO"]) / "songs"
    folders = sorted({folder for pattern in patterns for folder in root.glob(pattern)})
    if not folders:
        raise SystemExit(f"no songs like {', '.join(patterns)} in {root}")
    for folder in folders:
        stem, mixture = (_decode(folder / f"{name}.flac") for name in (target, "mixture"))
        yield Part(folder.name, stem, mixture - stem)


def _decode(path: Path) -> Tensor:
    samples, rate = read(path)
    if rate != RATE:
        raise SystemExit(f"{path}: {rate} Hz; this benchmark is about songs of {RATE} Hz")
    return torch.from_numpy(samples)


@torch.inference_mode()
def _compare(part: Part, mask_of: MaskOf) -> dict[str, Scores]:
    """Score every policy on one stem of one song."""
    target, rest = _stft(part.target), _stft(part.rest)
    mixture, mask = target + rest, mask_of(target, rest)
    magnitude = mixture[:, :TOP].mean(0).abs()
    above = {name: policy(mask, magnitude) for name, policy in POLICIES.items()}
    above[CEILING] = _best_above(target, mixture)
    time = part.target.shape[-1]
    references = Signals.of(target, time), Signals.of(rest, time)
    low = _istft(mixture[:, :LOW] * mask - target[:, :LOW], 0, time)
    return {
        name: _scores(low, _istft(mixture[:, LOW:TOP] * extension - target[:, LOW:TOP], LOW, time), *references)
        for name, extension in above.items()
    }


def _best_above(target: Tensor, mixture: Tensor) -> Tensor:
    """The mask [1, T] of least squared error among those that are one value a frame, from the stems themselves."""
    target, mixture = target[:, LOW:TOP], mixture[:, LOW:TOP]
    value = (target * mixture.conj()).real.sum((0, 1)) / (mixture.abs().square().sum((0, 1)) + 1e-12)
    return value.clamp(0, 1)[None]


def _stft(signal: Tensor) -> Tensor:
    window = torch.hann_window(N_FFT)
    return torch.stft(signal, N_FFT, HOP, window=window, center=True, pad_mode="constant", return_complex=True)


def _istft(spectrum: Tensor, first: int, time: int) -> Tensor:
    """[channel, bins, T] of the bins from `first` on -> [channel, time], with silence in all other bins."""
    padded = functional.pad(spectrum, (0, 0, first, N_FFT // 2 + 1 - first - spectrum.shape[1]))
    return torch.istft(padded, N_FFT, HOP, window=torch.hann_window(N_FFT), center=True, length=time)


def _scores(low: Tensor, high: Tensor, target: Signals, rest: Signals) -> Scores:
    """Score the errors of the low and of the high band; those of the rest are the same ones, negated."""
    wrong, wrong_whole = _energy(high), _energy(low + high)
    return {
        "band": _sdr(target.high_energy, wrong),
        "band r": _sdr(rest.high_energy, wrong),
        "whole": _sdr(target.whole_energy, wrong_whole),
        "whole r": _sdr(rest.whole_energy, wrong_whole),
        "song": _decibels(target.high_energy, wrong),
        "song r": _decibels(rest.high_energy, wrong),
        "level": _decibels(_energy(target.high + high), target.high_energy),
        "level r": _decibels(_energy(rest.high - high), rest.high_energy),
    }


def _energy(signal: Tensor) -> Tensor:
    """[channel, time] -> [frame] of one second."""
    return signal.square().unfold(1, RATE, RATE).sum((0, 2))


def _sdr(wanted: Tensor, wrong: Tensor) -> float:
    """Median over the frames in which the reference sounds."""
    audible = wanted > wanted.max() * 10 ** (-SILENT_DB / 10)
    return float((10 * (wanted / wrong)[audible].log10()).quantile(0.5)) if audible.any() else nan


def _decibels(energy: Tensor, other: Tensor) -> float:
    return float(10 * (energy.sum() / other.sum()).log10())


def _average(tables: list[dict[str, Scores]]) -> dict[str, Scores]:
    names, columns = tables[0], next(iter(tables[0].values()))
    return {name: {c: sum(table[name][c] for table in tables) / len(tables) for c in columns} for name in names}


def _table(title: str, rows: dict[str, Scores]) -> None:
    print(f"\n{title:32}" + "".join(f"{column:>8}" for column in next(iter(rows.values()))))
    for name, scores in rows.items():
        print(f"{name:32}" + "".join(f"{score:8.2f}" for score in scores.values()))


if __name__ == "__main__":
    main()
