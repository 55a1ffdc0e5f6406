"""Prepared songs: every part of a song decoded once, at a run's rate and channels, into a memory-mapped file.

A song is two files, named by a digest of all that its samples depend on: the paths, sizes and times of modification of
its audio files, their sums to parts, rate and channels. So a changed file or setting is another song, and a stale file
is never found. `<digest>.i16` holds int16 samples [part, channel, time], little-endian; `<digest>.json` describes them
and is written last, so that it exists only if the samples are complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sepkit.arrays import Samples
from sepkit.atomic import replacing, write_text
from sepkit.cache.file_facts import key_of, path_of
from sepkit.cache.folder import cache_folder
from sepkit.component import AudioSpec
from sepkit.data.song import Part, Song
from sepkit.errors import CorpusError

FORMAT = 1
# Seconds of a part that are decoded at once.
BLOCK = 60


@dataclass(frozen=True, slots=True)
class Prepared:
    """A part in a prepared song's file; full scale of its int16 is `scale`."""

    path: Path
    shape: tuple[int, int, int]
    number: int
    scale: float

    def read(self, audio: AudioSpec, start: int, length: int) -> Samples:
        """Return [channel, time]."""
        try:
            with self.path.open("rb") as file:
                mapped = mmap(file.fileno(), 0, access=ACCESS_READ)  # numpy.memmap takes longer than the reading
        except OSError as error:
            raise CorpusError(f"{self.path}: the prepared song is gone ({error}); resume with --resume") from None
        samples = np.frombuffer(mapped, "<i2").reshape(self.shape)[self.number, :, start : start + length]
        block = np.zeros((self.shape[1], length), np.float32)
        np.multiply(samples, np.float32(self.scale / 2**15), out=block[:, : samples.shape[1]])
        return block


def folder() -> Path:
    """Return the folder of prepared songs."""
    return cache_folder() / "prepared"


def size(song: Song, audio: AudioSpec) -> int:
    """Return the bytes of the prepared song."""
    parts, channels, frames = _shape(song, audio)
    return parts * channels * frames * 2


def gigabytes(size: int) -> str:
    """Return a size in bytes as text."""
    return f"{size / 1e9:.2f} GB"


def with_prepared(song: Song, audio: AudioSpec) -> Song:
    """Return the song with its prepared parts, or as it is if there are none."""
    shape = _shape(song, audio)
    try:
        entry = _entry(song, audio)
        scales = json.loads(entry.with_suffix(".json").read_bytes())["scales"]
        path = entry.with_suffix(".i16")
        complete = path.stat().st_size == size(song, audio)
    except (OSError, ValueError, KeyError, TypeError):
        return song
    if not complete:  # reading beyond the end of a mapped file would kill the process
        return song
    parts = zip(song.parts, scales, strict=True)
    return replace(song, prepared={name: Prepared(path, shape, n, scale) for n, (name, scale) in enumerate(parts)})


def write(song: Song, audio: AudioSpec) -> None:
    """Prepare a song.

    Raises:
        AudioError: one of its files cannot be read.
        OSError: the disk is full, or the folder cannot be written.
    """
    entry, shape = _entry(song, audio), _shape(song, audio)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with replacing(entry.with_suffix(".i16")) as temporary, temporary.open("wb") as file:
        scales = [_write_part(file, shape, number, part, audio) for number, part in enumerate(song.parts.values())]
    about = {"song": song.name, "shape": shape, "scales": scales, "depends_on": _identity(song, audio)}
    write_text(entry.with_suffix(".json"), json.dumps(about, sort_keys=True))


def remove_leftovers() -> int:
    """Remove unfinished files of a killed run and songs whose files have changed; return the bytes set free.

    A song whose files cannot be reached, as on a disk that is not mounted, stays.
    """
    gone = list(folder().glob("*/.*.part"))
    described = {about.with_suffix(""): about for about in folder().glob("*/*.json")}
    gone += [path for path in folder().glob("*/*.i16") if path.with_suffix("") not in described]
    for about in described.values():
        if _out_of_date(about):
            gone += [about, about.with_suffix(".i16")]
    freed = sum(path.stat().st_size for path in gone if path.exists())
    for path in gone:
        path.unlink(missing_ok=True)
    return freed


def _out_of_date(about: Path) -> bool:
    try:
        depends_on = json.loads(about.read_bytes())["depends_on"]
        return depends_on["format"] != FORMAT or any(_changed(*row) for row in depends_on["files"])
    except (ValueError, KeyError, TypeError):
        return True


def _changed(path: str, size: int, modified: int) -> bool:
    file = Path(path)
    if not file.exists():
        return file.parent.exists()
    status = file.stat()
    return (status.st_size, status.st_mtime_ns) != (size, modified)


def _write_part(file: BinaryIO, shape: tuple[int, int, int], number: int, part: Part, audio: AudioSpec) -> float:
    """Write a part, and return the value of full scale: more than 1 only for a sum that exceeds it.

    Not through a mapping: on a full disk that would kill the process.
    """
    scale, step, frames = 1.0, BLOCK * audio.sample_rate, shape[2]
    while True:
        peak = 0.0
        for start in range(0, frames, step):
            block = part.read(audio, start, min(step, frames - start))
            peak = max(peak, float(np.abs(block).max()))
            steps = np.rint(block * (2**15 / scale)).clip(-(2**15), 2**15 - 1).astype("<i2")
            for channel, samples in enumerate(steps):
                file.seek(2 * ((number * audio.channels + channel) * frames + start))
                file.write(samples.tobytes())
        if peak <= scale:
            return scale
        scale = peak


def _shape(song: Song, audio: AudioSpec) -> tuple[int, int, int]:
    return len(song.parts), audio.channels, song.frames


def _entry(song: Song, audio: AudioSpec) -> Path:
    digest = sha256(json.dumps(_identity(song, audio)).encode()).hexdigest()[:40]
    return folder() / digest[:2] / digest


def _identity(song: Song, audio: AudioSpec) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "parts": [[[key_of(piece.file), piece.sign] for piece in part.pieces] for part in song.parts.values()],
        "files": sorted([path_of(file), *stamp] for file, stamp in song.stamps.items()),
    }
