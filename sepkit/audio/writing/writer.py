"""float32 arrays [channel, time] -> audio files that grow block by block: wav, flac, mp3, ogg and aiff.

Equal samples give equal bytes, at any time and in any blocks. Two fields that libsndfile takes from the clock are
kept out: the time in the PEAK chunk of float files, and the serial number of an Ogg stream.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soundfile

from sepkit.arrays import Samples
from sepkit.atomic import replacing
from sepkit.audio.libsndfile import cause
from sepkit.audio.tags import LONGEST_TAG, NO_TAGS, Tags
from sepkit.audio.writing import ogg
from sepkit.audio.writing.encoding import BitDepth, Encoding
from sepkit.audio.writing.mp3 import id3
from sepkit.audio.writing.sink import Sink
from sepkit.errors import AudioError

# Frames given to libsndfile at once. Its Vorbis encoder puts the first block on the stack, four bytes a frame, and ends
# a page with every block.
BLOCK = 16384
_BITS = {"PCM_16": 16, "PCM_24": 24}
# mp3: V0, LAME's best variable bitrate, about 245 kb/s; mp3.py says why not a constant one.
# ogg: Vorbis quality 7, about 224 kb/s.
_QUALITY: dict[str, dict[str, Any]] = {
    "mp3": {"compression_level": 0.0, "bitrate_mode": "VARIABLE"},
    "ogg": {"compression_level": 0.3},
}


class Writer:
    """Context manager: one audio file that grows block by block, and is whole and on disk when the block ends.

    The caller renames the file, and removes it after an error. `name` is the name of a temporary `path` in errors. For
    stem.mp4 it writes a raw stem for `write_stem_mp4`.

    Raises:
        AudioError: see `Encoding.check`; also if the file cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        sample_rate: int,
        channels: int,
        frames: int,
        tags: Tags = NO_TAGS,
        name: Path | None = None,
    ) -> None:
        self._name = name or path
        self._encoding = encoding
        self._left = frames
        self._pending = np.empty((channels, 0), np.float32)
        encoding.check(self._name, sample_rate, channels, frames)
        try:
            self._sink = Sink(path, id3(tags) if encoding.format == "mp3" else b"")
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._sound = _open(self._sink, encoding, sample_rate, channels, encoding.container(channels, frames))
            if encoding.format not in {"mp3", "stem.mp4"}:
                _describe(self._sound, tags)
        except soundfile.LibsndfileError as error:
            self._sink.close()
            raise self._unwritable(error) from None

    def write(self, samples: "Samples") -> None:
        """Append [channel, time].

        PCM is rounded to the nearest step of 2^-15 or 2^-23 of full scale. Samples beyond full scale are clipped;
        float files and raw stems keep every value.

        Raises:
            AudioError: the disk is full, or the file cannot be written.
        """
        self._left -= samples.shape[1]
        if self._pending.size:
            samples = np.concatenate([self._pending, samples], 1)
        whole = samples.shape[1] // BLOCK * BLOCK
        self._pending = samples[:, whole:].copy()
        try:
            for start in range(0, whole, BLOCK):
                self._pass_on(samples[:, start : start + BLOCK])
        except (OSError, soundfile.LibsndfileError) as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            try:
                if kind is None:
                    self._pass_on(self._pending)
            finally:
                self._sound.close()
            if kind is None:
                self._sink.finish(ogg.set_serial if self._encoding.format == "ogg" else None)
        except (OSError, soundfile.LibsndfileError) as problem:
            if kind is None:
                raise self._unwritable(problem) from None
        finally:
            self._sink.close()
        if kind is None and self._left:
            raise AudioError(f"{self._name}: {abs(self._left)} frames {'too few' if self._left > 0 else 'too many'}")

    def _pass_on(self, samples: "Samples") -> None:
        self._sound.write(_encode(samples, self._encoding.subtype).T)
        self._sink.check()

    def _unwritable(self, error: Exception) -> AudioError:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else cause(error)
        return AudioError(f"{self._name}: cannot be written ({why})")


def write_wav(path: Path, samples: "Samples", sample_rate: int, bit_depth: BitDepth = "16") -> None:
    """Write [channel, time] under a temporary name, then rename it to `path`.

    Raises:
        AudioError: the disk is full, or the folder cannot be written.
    """
    channels, frames = samples.shape
    encoding = Encoding("wav", bit_depth)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            replacing(path) as temporary,
            Writer(temporary, encoding, sample_rate, channels, frames, name=path) as writer,
        ):
            writer.write(samples)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written ({error.strerror or error})") from None


def _open(sink: Sink, encoding: Encoding, sample_rate: int, channels: int, container: str) -> soundfile.SoundFile:
    quality = _QUALITY.get(encoding.format, {})
    sound = soundfile.SoundFile(sink, "w", sample_rate, channels, encoding.subtype, None, container, **quality)
    # SFC_SET_ADD_PEAK_CHUNK, which soundfile has no name for: that chunk holds the time of writing.
    soundfile._snd.sf_command(sound._file, 0x1050, soundfile._ffi.NULL, 0)  # noqa: SLF001
    return sound


def _describe(sound: soundfile.SoundFile, tags: Tags) -> None:
    for name, text in (("title", tags.title), ("artist", tags.artist), ("comment", tags.comment)):
        if text:
            setattr(sound, name, text.encode()[:LONGEST_TAG].decode("utf-8", "ignore"))


def _encode(samples: "Samples", subtype: str) -> np.ndarray:
    """Quantise here: libsndfile scales floats by 2^15 - 1, which would make stems that do not add up."""
    if subtype == "FLOAT":
        return samples
    if subtype not in _BITS:
        return samples.clip(-1, 1)
    bits = _BITS[subtype]
    steps = samples * np.float32(2 ** (bits - 1))  # exact, as it is a power of two
    np.rint(steps, out=steps)
    np.clip(steps, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, out=steps)
    return steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 8
