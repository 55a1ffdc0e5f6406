"""The stems of one song while they are made: float32 files that grow, and are converted when the song is complete."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.tags import Tags
from sepkit.audio.writing.encoding import Encoding
from sepkit.audio.writing.stem_mp4 import write_stem_mp4
from sepkit.audio.writing.writer import Writer
from sepkit.errors import AudioError

# The largest sample of 16-bit PCM.
_FULL_SCALE = 1.0 - 2.0**-15
# Frames that are converted at once.
_BLOCK = 1 << 18


class RawStems:
    """Context manager: float32 files [time, channel] in a folder, open for appending.

    Attributes:
        frames: Length of the stems so far; the caller counts.
        peak: Largest magnitude of a sample so far.
    """

    def __init__(self, folder: Path, names: Sequence[str], channels: int) -> None:
        self._folder = folder
        self._channels = channels
        self._files = {name: folder / f"{number}.raw" for number, name in enumerate(names)}
        self._open = ExitStack()
        self._handles: dict[str, BinaryIO] = {}
        self._abandoned = Event()
        self.frames = 0
        self.peak = 0.0

    def __enter__(self) -> Self:
        self._handles = {name: self._open.enter_context(path.open("wb")) for name, path in self._files.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def append(self, name: str, samples: "Samples") -> None:
        """Append a block [channel, time] to one file.

        Raises:
            OSError: the disk is full.
        """
        if samples.size:
            self.peak = max(self.peak, float(samples.max()), -float(samples.min()))
        self._handles[name].write(np.ascontiguousarray(samples.T, "<f4").data)

    @property
    def safe_gain(self) -> float:
        """The one factor for all stems that keeps each within full scale; 1 if all are."""
        return _FULL_SCALE / self.peak if self.peak > 1.0 else 1.0

    def convert(
        self, files: Mapping[str, Path], encoding: Encoding, sample_rate: int, tags: Tags, gain: float
    ) -> dict[Path, Path]:
        """Write each stem of `files` times `gain` as a temporary file, and return {temporary file: file}.

        All temporary files are in one folder, with the names of `files` if these differ from each other.

        Raises:
            AudioError: a file cannot be written, or the stems were abandoned.
        """
        folder = self._folder / "complete"
        folder.mkdir()
        stems = {file: stem for stem, file in files.items()}
        names = [file.name for file in stems]
        if len(set(names)) < len(names):
            names = [str(number) for number in range(len(names))]
        finished = {folder / name: file for name, file in zip(names, stems, strict=True)}
        if encoding.format == "stem.mp4":
            ((path, target),) = finished.items()
            write_stem_mp4(path, self._files, sample_rate, self._channels, tags, gain, target, self._abandoned)
            return finished

        def write(path: Path, file: Path) -> None:
            with Writer(path, encoding, sample_rate, self._channels, self.frames, tags, name=file) as writer:
                for block in self._blocks(stems[file]):
                    writer.write(block * np.float32(gain))

        with ThreadPoolExecutor() as threads:
            try:
                list(threads.map(write, finished, finished.values()))
            except BaseException:
                self.abandon()
                raise
        return finished

    def abandon(self) -> None:
        """Make a conversion in other threads end soon, and fail."""
        self._abandoned.set()

    def _blocks(self, stem: str) -> "Iterator[Samples]":
        with self._files[stem].open("rb") as file:
            while (samples := np.fromfile(file, "<f4", _BLOCK * self._channels)).size:
                if self._abandoned.is_set():
                    raise AudioError(f"{stem} was abandoned")
                yield samples.reshape(-1, self._channels).T
