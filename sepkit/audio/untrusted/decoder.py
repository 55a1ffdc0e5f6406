"""Files that strangers made: opened, probed and decoded by other processes, which may hang, crash or swell instead.

What libsndfile reads goes to one child process that lives as long as it behaves, see `decoder_process`; the rest goes
to a new ffmpeg each.
"""

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sepkit.audio import ffmpeg
from sepkit.audio.damage import truncated
from sepkit.audio.formats import FFMPEG_EXTENSIONS
from sepkit.audio.probe import AudioInfo, UnreadableError, check_file, check_info
from sepkit.audio.read import finite
from sepkit.audio.tags import Tags
from sepkit.audio.untrusted import decoder_process
from sepkit.audio.untrusted.decoder_process import BLOCK, FACTS, HEAD, SAMPLES
from sepkit.audio.untrusted.integrity import check_ogg, has_trailing_audio, length_is_guessed
from sepkit.audio.untrusted.sniff import container_of
from sepkit.audio.untrusted.watched_process import WatchedProcess
from sepkit.errors import AudioError
from sepkit.track import AudioFile

if TYPE_CHECKING:
    from sepkit.component import Samples

# Seconds that the child's imports may take on a busy machine.
START = 60.0
# Bytes of facts: a few tags of bounded length.
LONGEST_FACTS = 2**20


@dataclass(frozen=True, slots=True)
class Header:
    """Rate, channels and length of a file, and its tags. Where ffmpeg reads it, the length may be off a little."""

    info: AudioInfo
    tags: Tags


@dataclass(frozen=True, slots=True)
class _Recording:
    """A file that is being decoded: blocks [time, channel], and the frames that may be missing at the end."""

    header: Header
    parts: "Generator[Samples, None, None]"
    tolerance: int = 0


class Decoder:
    """Reads one file at a time. A context manager: its child process, which the first file starts (or `begin`), ends
    with it.

    Not for several threads at once. A new call ends what an earlier `blocks` had left.
    """

    def __init__(self, patience: float = 10.0) -> None:
        """`patience` is the time in seconds without any sign of life after which a process is killed."""
        self._patience = patience
        self._child: WatchedProcess | None = None
        self._greeted = self._streaming = False
        self._warned: set[AudioFile] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def begin(self) -> None:
        """Start the child process, without waiting for it: for who has other things to do before the first file."""
        self._child = self._child or _child_process(self._patience)

    def close(self) -> None:
        """End the child process. A later call starts another one."""
        if self._child:
            self._child.end()
        self._child, self._greeted, self._streaming = None, False, False

    def header(self, path: Path) -> Header:
        """Return what a file says of itself.

        Raises:
            AudioError: no such file, a folder or a special file, empty, not audio that can be read here, a header
                beyond all bounds, no ffmpeg where it is needed; or it hangs or crashes who reads it.
        """
        recording = self._open(path, 0, 0)
        for _ in recording.parts:
            pass
        return recording.header

    def blocks(self, path: Path, start: int = 0, frames: int | None = None) -> "Iterator[Samples]":
        """Yield frames [start, start + frames) as blocks [channel, time] of at most a second, at the file's own rate.

        Fewer where the file ends before; all to its end if `frames` is None. What is not finite becomes 0, with one
        warning for each file.

        Raises:
            AudioError: see `header`; also a file that breaks off before its header says.
        """
        recording = self._open(path, start, frames)
        info, decoded = recording.header.info, 0
        with closing(recording.parts) as parts:
            for part in parts:
                decoded += len(part)
                yield finite(np.ascontiguousarray(part.T), path, self._warned)
        wanted = info.frames - start if frames is None else min(frames, info.frames - start)
        if wanted - decoded > recording.tolerance:
            raise truncated(path, (start + decoded) / info.sample_rate, info.seconds)

    def _open(self, path: Path, start: int, frames: int | None) -> _Recording:
        check_file(path)
        guessed, longer = length_is_guessed(path), has_trailing_audio(path)
        if longer:
            ffmpeg.require(path, "an mp3 that goes on behind its end")
        if path.suffix.lower() in FFMPEG_EXTENSIONS or longer or (guessed and ffmpeg.available()):
            return self._open_ffmpeg(path, start, frames)
        try:
            header = self._ask(path, start, frames)
        except UnreadableError as error:
            return self._open_otherwise(path, start, frames, error)
        parts = self._parts(path, header.info.channels)
        header = replace(header, tags=self._all_tags(path, header.tags))
        return _Recording(header, parts, _tolerance(header.info) if guessed else 0)

    def _open_otherwise(self, path: Path, start: int, frames: int | None, error: UnreadableError) -> _Recording:
        """Whatever a file is called, ffmpeg may know it."""
        kind = container_of(path)
        if not ffmpeg.available():
            if kind:
                raise AudioError(
                    f"{path}: not readable as audio: it looks like {kind}; ffmpeg would be needed: install it"
                ) from None
            raise error
        try:
            return self._open_ffmpeg(path, start, frames)
        except AudioError:
            if kind:
                raise
            raise error from None

    def _all_tags(self, path: Path, tags: Tags) -> Tags:
        """An AIFF file may hold its tags as ID3, which libsndfile leaves out."""
        if path.suffix.lower() not in (".aiff", ".aif") or tags.artist or not ffmpeg.available():
            return tags
        with suppress(AudioError):
            found = ffmpeg.container(path, self._patience).tags
            return Tags(tags.title or found.title, found.artist, tags.comment or found.comment)
        return tags

    def _open_ffmpeg(self, path: Path, start: int, frames: int | None) -> _Recording:
        check_ogg(path)
        container = ffmpeg.container(path, self._patience)
        info = AudioInfo(container.sample_rate, container.channels, container.frames)
        check_info(path, info)
        parts = ffmpeg.container_blocks(path, container, start, frames, self._patience)
        return _Recording(Header(info, container.tags), parts, container.tolerance)

    def _ask(self, path: Path, start: int, frames: int | None) -> Header:
        child = self._ready_child(path)
        self._streaming = True
        request = {"folder": str(Path.cwd()), "path": str(path), "start": start, "frames": frames}
        child.send(json.dumps(request).encode() + b"\n")
        facts = self._facts(child, path, self._message(child, path)[1])
        return Header(AudioInfo(**facts["info"]), Tags(**facts["tags"]))

    def _ready_child(self, path: Path) -> WatchedProcess:
        """The child, waiting for a request: a new one if there is none, or if it is in the middle of another reply."""
        if self._streaming or not (self._child and self._child.running):
            self.close()
        self._child = child = self._child or _child_process(self._patience)
        if not self._greeted and child.fill(memoryview(bytearray(HEAD.size + 2)), START) < HEAD.size + 2:
            self.close()
            raise AudioError(f"{path}: not opened, for the process that decodes does not start ({child.last_words})")
        self._greeted = True
        return child

    def _parts(self, path: Path, channels: int) -> "Generator[Samples, None, None]":
        child = self._child
        assert child
        try:
            while self._child is child:
                kind, content = self._message(child, path)
                if kind == FACTS:
                    self._facts(child, path, content)
                if not len(content):
                    self._streaming = False
                    return
                yield content.view(np.float32).reshape(-1, channels)
            raise RuntimeError(f"{path}: its blocks ended when another file was opened")
        finally:
            if self._child is child and self._streaming:
                self.close()

    def _message(self, child: WatchedProcess, path: Path) -> "tuple[bytes, np.ndarray[Any, np.dtype[np.uint8]]]":
        head = bytearray(HEAD.size)
        self._fill(child, path, memoryview(head))
        kind, length = HEAD.unpack(head)
        if length > {FACTS: LONGEST_FACTS, SAMPLES: 4 * BLOCK}.get(kind, 0):
            raise self._lost(path, "its decoder answered nonsense")
        content = np.empty(length, np.uint8)
        self._fill(child, path, content.data)
        return kind, content

    def _fill(self, child: WatchedProcess, path: Path, buffer: memoryview) -> None:
        if child.fill(buffer) == len(buffer):
            return
        code = child.wait()
        if child.hung:
            raise self._lost(path, f"did not answer within {self._patience:g} s")
        raise self._lost(path, f"its decoder crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def _facts(self, child: WatchedProcess, path: Path, content: "np.ndarray[Any, Any]") -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(content.tobytes())
        if "error" in facts:
            self._streaming = False
            raise (UnreadableError if facts.get("unreadable") else AudioError)(facts["error"])
        return facts

    def _lost(self, path: Path, what: str) -> AudioError:
        self.close()
        return AudioError(f"{path}: {what}; it may be damaged: export it again")


def _child_process(patience: float) -> WatchedProcess:
    # The parent's own path, and not the working folder, where a stranger's numpy.py may lie.
    search = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    return WatchedProcess([sys.executable, "-P", "-m", decoder_process.__name__], patience, {**os.environ, **search})


def _tolerance(info: AudioInfo) -> int:
    """The frames that a guessed length may be off: half a second, and a hundredth of a long file."""
    return max(info.sample_rate // 2, info.frames // 100)
