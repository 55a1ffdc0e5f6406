"""The sources of estimates: a model that separates a song, or files of any tool."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias
from unicodedata import normalize

from sepkit.arrays import Samples
from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read_sum
from sepkit.audio.search import walk
from sepkit.component import AudioSpec, ModelConfig
from sepkit.data.song import SAME_LENGTH
from sepkit.datasets.stem_names import folded, left_out
from sepkit.errors import ConfigError, CorpusError, did_you_mean_path
from sepkit.evaluation.pairing import AvailableStems
from sepkit.evaluation.reference import LENGTH_TOLERANCE, Reference
from sepkit.songs.separator import Separator
from sepkit.track import Track

log = logging.getLogger(__name__)

# Ultimate Vocal Remover numbers songs and names their stems: `1_<song>_(Vocals).wav`, `1_<song>_(No Drums).wav`.
_NUMBERED = re.compile(r"\d+_(.+)_\(([^()]+)\)", re.DOTALL)

_Stems = dict[str, list[Path]]


@dataclass(frozen=True)
class ModelEstimates:
    """The estimates of a model."""

    label: str
    separator: Separator

    @property
    def network(self) -> ModelConfig | None:
        """The model's settings."""
        return self.separator.model.manifest.model

    @property
    def audio(self) -> AudioSpec:
        """The signals that the model takes."""
        return self.separator.model.manifest.audio

    def available(self, track: Track) -> AvailableStems:
        """Return the model's sources and its residual."""
        made, residual = _available_stems(self.separator.sources, track), self.separator.residual
        return replace(made, residuals={**made.residuals, residual: self.separator.sources}) if residual else made

    def estimate(self, track: Track, song: Reference) -> Mapping[str, Samples]:
        """Return its stems, [channel, time] at the rate, channels and length of the song."""
        return self.separator(song.mixture, song.sample_rate)


@dataclass(frozen=True)
class FinishedEstimates:
    """Stems on disk, at any depth below a folder: `<song>/<stem>.wav` and the like, or `1_<song>_(<stem>).wav`.

    Stems of a single song may also lie in the folder itself, under any song name.
    """

    label: str
    folder: Path
    alone: bool
    """True if only one song is scored."""

    network = None
    audio = AudioSpec()

    @classmethod
    def of(cls, folder: Path, *, alone: bool) -> FinishedEstimates:
        """Return the estimates in a folder, labelled by its name.

        Raises:
            ConfigError: the folder does not exist.
        """
        if not folder.is_dir():
            hint = did_you_mean_path(folder, Path.is_dir)
            raise ConfigError(f"no folder {folder.resolve()};{hint} --estimates names one with <song>/<stem>.wav in it")
        return cls(folder.resolve().name, folder, alone)

    def available(self, track: Track) -> AvailableStems:
        """Return the stems on disk.

        Raises:
            CorpusError: none of the song's, those of several tools or songs, or two of one stem.
        """
        return _available_stems(self._files(track), track)

    def estimate(self, track: Track, song: Reference) -> Mapping[str, Samples]:
        """Read the stems that the song has references for, [channel, time] at its rate, channels and length.

        Raises:
            AudioError: a file cannot be read.
            CorpusError: a file is much longer or shorter than the song.
        """
        files = self._files(track)
        return {stem: _read(files[stem], song) for stem in self.available(track).known(song.stems)}

    def _files(self, track: Track) -> dict[str, Path]:
        places = self._places.get(normalize("NFC", track.name), {})
        found = {folder: some for folder, stems in places.items() if (some := _wanted(stems, track))}
        if not found and self.alone:
            found = self._in_the_folder_itself(track)
        if not found:
            raise CorpusError(
                f"no estimates: expected {self.folder / track.name} with files such as vocals.wav, or files such as "
                f"1_{track.name}_(Vocals).wav below {self.folder}"
            )
        if len(found) > 1:
            places_found = " and ".join(map(str, list(found)[:2]))
            raise CorpusError(f"estimates in {places_found}: give --estimates the folder of one of them")
        ((folder, stems),) = found.items()
        for stem, (first, *more) in stems.items():
            if more:
                raise CorpusError(f"two estimates of {stem} in {folder}: {first.name} and {more[0].name}; keep one")
        return {stem: files[0] for stem, files in stems.items()}

    def _in_the_folder_itself(self, track: Track) -> dict[Path, _Stems]:
        songs = [some for at in self._places.values() if (some := _wanted(at.get(self.folder, {}), track))]
        if len(songs) > 1:
            files = " and ".join(next(iter(stems.values()))[0].name for stems in songs[:2])
            raise CorpusError(f"estimates of several songs in {self.folder}: {files}; keep those of {track.name}")
        return {self.folder: songs[0]} if songs else {}

    @cached_property
    def _places(self) -> dict[str, dict[Path, _Stems]]:
        """Song -> folder -> folded stem -> its files there."""
        found: dict[str, dict[Path, _Stems]] = {}
        for file in (file for _, files in sorted(walk(self.folder)) for file in files):
            numbered = _NUMBERED.fullmatch(file.stem)
            song, stem = numbered.groups() if numbered else (file.parent.name, file.stem)
            stems = found.setdefault(normalize("NFC", song), {}).setdefault(file.parent, {})
            stems.setdefault(folded(stem), []).append(file)
        return found


Estimator: TypeAlias = ModelEstimates | FinishedEstimates
"""A source of estimates. `label` is its name in every table; `network` and `audio` determine its bounds."""


def labels(models: Sequence[Path]) -> list[str]:
    """Return a short name for each model file: its own, or that of its folder if file names repeat."""
    plain = [path.stem for path in models]
    common = len(set(plain)) < len(plain) or plain == ["best_model"]
    return [path.resolve().parent.name if common else path.stem for path in models]


def unique_names(names: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """Return names with a number appended to each that is taken or occurs before."""
    result: list[str] = []
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        result.append(next(one for one in chain([name], numbered) if one not in (*taken, *result)))
    return result


def _available_stems(names: Iterable[str], track: Track) -> AvailableStems:
    """Return the stems and residuals that these names mean for a song."""
    others = {name: left_out(name, track.stems) for name in names if name not in track.stems}
    residuals = {name: without for name, without in others.items() if without}
    return AvailableStems(tuple(name for name in names if name not in residuals), residuals)


def _own_names(track: Track) -> dict[str, str]:
    """Return folded stem -> stem, for those of the track."""
    return {folded(stem): stem for stem in track.stems}


def _wanted(stems: _Stems, track: Track) -> _Stems:
    """Return the files of stems that the track has, under its names for them, and of residuals."""
    own = _own_names(track)
    return {own.get(stem, stem): files for stem, files in stems.items() if stem in own or left_out(stem, track.stems)}


def _read(path: Path, song: Reference) -> Samples:
    channels, frames = song.mixture.shape
    piece = Piece(path, probe(path))
    seconds, expected = piece.info.seconds, frames / song.sample_rate
    if abs(seconds - expected) > LENGTH_TOLERANCE:
        raise CorpusError(f"{path}: {seconds:.1f} s long, its song is {expected:.1f} s; it belongs to another song")
    if abs(seconds - expected) > SAME_LENGTH:
        done = "the end is cut" if seconds > expected else "silence is added"
        log.warning("%s: %.2f s long, its song is %.2f s; %s", path, seconds, expected, done)
    return read_sum([piece], song.sample_rate, channels, 0, frames)
