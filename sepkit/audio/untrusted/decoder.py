"""Decode untrusted files in a child process, so that only this one hangs, crashes or swells.

It lives as long as it behaves, see `decoder_process` and `messages`, and serves one file after the other.
"""

import json
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.info import AudioInfo
from sepkit.audio.opening import check_file
from sepkit.audio.probe import say_filled, with_length
from sepkit.audio.read import finite
from sepkit.audio.tags import Tags
from sepkit.audio.untrusted.messages import BLOCK, FACTS, HEAD, SAMPLES
from sepkit.audio.untrusted.watched_process import WatchedProcess
from sepkit.errors import AudioError
from sepkit.processes import child_environment
from sepkit.track import AudioFile

# Seconds that the child's imports may take on a busy machine.
START = 60.0
# Bytes of facts: a few tags of bounded length.
LONGEST_FACTS = 2**20


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
        self._filled: set[Path] = set()
        self._latest: tuple[tuple[Path, int, int], AudioInfo] | None = None

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

    def header(self, path: Path) -> AudioInfo:
        """Return what a file is, and its tags. A length that it does not state is counted once, and remembered.

        Raises:
            AudioError: no such file, a folder or a special file, empty, not audio that can be read here, a header
                beyond all bounds, or truncated; or it hangs or crashes its decoder.
        """
        check_file(path)
        status = path.stat()
        stamp = (path.absolute(), status.st_size, status.st_mtime_ns)
        if self._latest is None or self._latest[0] != stamp:
            self._latest = (stamp, self._described(path))
        return self._latest[1]

    def blocks(self, path: Path, start: int = 0, frames: int | None = None) -> "Iterator[Samples]":
        """Yield frames [start, start + frames) as blocks [channel, time] of at most a second, at the file's own rate.

        Fewer where the file ends before; all to its end if `frames` is None. What is not finite becomes 0, and gaps in
        its timestamps silence, with one warning each for each file.

        Raises:
            AudioError: see `header`; also a file that breaks off before its header says.
        """
        info = self.header(path)
        wanted = max(0, info.frames - start if frames is None else min(frames, info.frames - start))
        if not wanted:
            return
        known = {"sample_rate": info.sample_rate, "channels": info.channels, "frames": info.frames}
        self._ask(path, "decode", known={**known, "counted": info.counted}, start=start, frames=wanted)
        with closing(self._parts(path, info.channels)) as parts:
            for part in parts:
                yield finite(np.ascontiguousarray(part.T), path, self._warned)

    def _described(self, path: Path) -> AudioInfo:
        self._ask(path, "describe")
        facts = self._rest(path)
        rate, channels, frames = facts["info"]
        info = with_length(path, rate, channels, frames, lambda _: self._counted(path))
        return replace(info, tags=Tags(**facts["tags"]))

    def _counted(self, path: Path) -> int:
        self._ask(path, "count")
        return int(self._rest(path)["frames"])

    def _ask(self, path: Path, do: Literal["describe", "count", "decode"], **about: object) -> None:
        child = self._ready_child(path)
        self._streaming = True
        request = {"folder": str(Path.cwd()), "path": str(path), "do": do, **about}
        child.send(json.dumps(request).encode() + b"\n")

    def _rest(self, path: Path) -> dict[str, Any]:
        """Return the facts of the rest of a reply, which has no samples."""
        child, facts = self._child, dict[str, Any]()
        assert child
        while True:
            kind, content = self._message(child, path)
            if kind == SAMPLES:
                self._streaming = False
                return facts
            facts |= self._facts(content)

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
                    self._say_filled(path, self._facts(content).get("silence", 0.0))
                elif len(content):
                    yield content.view(np.float32).reshape(-1, channels)
                else:
                    self._streaming = False
                    return
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

    def _facts(self, content: "np.ndarray[Any, Any]") -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(content.tobytes())
        if "error" in facts:
            self._streaming = False
            raise AudioError(facts["error"])
        return facts

    def _say_filled(self, path: Path, seconds: float) -> None:
        if seconds and path not in self._filled:
            self._filled.add(path)
            say_filled(path, seconds)

    def _lost(self, path: Path, what: str) -> AudioError:
        self.close()
        return AudioError(f"{path}: {what}; it may be damaged: export it again")


def _child_process(patience: float) -> WatchedProcess:
    command = [sys.executable, "-P", "-m", "sepkit.audio.untrusted.decoder_process"]
    return WatchedProcess(command, patience, child_environment(OPENBLAS_NUM_THREADS="1"))
