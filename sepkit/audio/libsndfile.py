"""Files that libsndfile reads: wav, flac, mp3, ogg, opus, aiff, au, w64 and PCM or ALAC in caf."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile

from sepkit.arrays import Samples
from sepkit.audio.formats import READABLE
from sepkit.audio.sniff import looks
from sepkit.audio.source import UnreadableError, damaged, truncated
from sepkit.audio.tags import LONGEST_TAG, Tags, legible
from sepkit.errors import AudioError

# libsndfile's words about files that lack their end: of the samples; of an RF64 or W64, of the file.
_SHORTER = re.compile(r"(data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)")
# Frames of a file that does not know its length, such as FLAC from a pipe.
_UNKNOWN = 2**63 - 1
# Lengths in bytes, and up to 64 KB below them, that mean "unknown".
_PIPED = (2**31, 2**32, 2**63, 2**64)


class LibsndfileSource:
    """A file that libsndfile has opened; see `Source`.

    Raises:
        UnreadableError: libsndfile does not read it.
        AudioError: the file ends before its header says.
    """

    silence = 0.0

    def __init__(self, path: Path) -> None:
        # soundfile encodes strings strictly, and libsndfile takes "-" for its standard input.
        name = os.fsencode(path.absolute()) if os.name == "posix" else str(path)
        try:
            self._sound = soundfile.SoundFile(name)
        except (soundfile.LibsndfileError, TypeError):  # whose words are often false: "file does not exist"
            raise UnreadableError(f"{path}: not readable as audio{looks(path)}. {READABLE}") from None
        self._path = path
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.frames: int | None = self._sound.frames if self._sound.frames < _UNKNOWN else None
        self._check_whole()

    @property
    def is_mpeg(self) -> bool:
        """The file holds MPEG audio, whose length libsndfile guesses if there is no tag."""
        return "MPEG_LAYER" in str(self._sound.subtype)

    def has_end(self) -> bool:
        """Return whether the last frame can be decoded: the last packet of an mp3 may be torn."""
        try:
            self._sound.seek(self._sound.frames - 1)
            return len(self._sound.read(1)) == 1
        except (soundfile.LibsndfileError, RuntimeError):
            return False
        finally:
            self._sound.seek(0)

    @property
    def tags(self) -> Tags:
        """Title, artist and comment; from PyAV if libsndfile lacks one or spells it wrong."""
        found = Tags(*(legible((getattr(self._sound, name) or "")[:LONGEST_TAG]) for name in Tags.__slots__))
        if found.artist and found.title:
            return found
        from sepkit.audio.pyav import tags_in

        more = tags_in(self._path)
        return Tags(found.title or more.title, found.artist or more.artist, found.comment or more.comment)

    def count(self, alive: Callable[[], None]) -> int:
        """Return the number of frames in the header."""
        assert self.frames is not None
        return self.frames

    def blocks(self, start: int, frames: int, block: int) -> "Iterator[Samples]":
        """Yield frames [start, start + frames) in blocks [time, channel] of at most `block`."""
        assert self.frames is not None
        at, stop = start, min(start + frames, self.frames)
        try:
            if 0 < start < stop:
                self._sound.seek(start)
            while at < stop:
                samples: Samples = self._sound.read(min(block, stop - at), dtype="float32", always_2d=True)
                if not len(samples):
                    break
                yield samples
                at += len(samples)
        except (soundfile.LibsndfileError, RuntimeError):
            raise damaged(self._path, at / self.sample_rate, self.frames / self.sample_rate) from None
        if at < stop:
            raise truncated(self._path, at / self.sample_rate, self.frames / self.sample_rate)

    def close(self) -> None:
        """Close the file."""
        self._sound.close()

    def _check_whole(self) -> None:
        """Raise AudioError if a file is shorter than its header says, which libsndfile only logs.

        The header of a file from a pipe states the largest number that fits, instead of a length.
        """
        found = _SHORTER.search(self._sound.extra_info)
        if not found:
            return
        claimed, held = int(found[2]), int(found[3])
        slack = 0 if found[1] in ("data", "SSND", "Data Size") else 8  # some count a file's own head
        if held + slack < claimed and not any(most - 2**16 <= claimed <= most for most in _PIPED):
            self.close()
            seconds = self._sound.frames / self.sample_rate
            raise AudioError(
                f"{self._path}: truncated, holds {seconds:.1f} s of {seconds * claimed / max(1, held):.1f} s; "
                "fetch or export the file again"
            )


def cause(error: Exception) -> str:
    """Return the message of libsndfile's error, without the path."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return " ".join(str(text).split()).rstrip(".")
