"""Decode untrusted files in a child process, so that only this one hangs or crashes, or takes too much memory.

It lives as long as it behaves, see `decoder_process` and `messages`, and serves one file after the other.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread, Timer
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
from sepkit.errors import AudioError
from sepkit.processes import child_environment
from sepkit.track import AudioFile

# Seconds that the child's imports may take on a busy machine.
START = 60.0
# Bytes of facts: a few tags of bounded length.
LONGEST_FACTS = 2**20
# Bytes that a pipe holds: a second of stereo, so that the child need not wait for the parent.
PIPE = 2**20


class Decoder:
    """Context manager: reads one file at a time in a child process, which the first file starts (or `begin`).

    Not for several threads at once. A new call ends the stream of an earlier `blocks`.
    """

    def __init__(self, patience: float = 10.0) -> None:
        """`patience` is the time in seconds without any sign of life after which a process is killed."""
        self._patience = patience
        self._child: ChildProcess | None = None
        self._greeted = self._streaming = False
        self._warned: set[AudioFile] = set()
        self._filled: set[Path] = set()
        self._latest: tuple[tuple[Path, int, int], AudioInfo] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def begin(self) -> None:
        """Start the child process without waiting for it."""
        self._child = self._child or ChildProcess()

    def close(self) -> None:
        """End the child process. A later call starts another one."""
        if self._child:
            self._child.end()
        self._child, self._greeted, self._streaming = None, False, False

    def header(self, path: Path) -> AudioInfo:
        """Return the description of a file, with its tags. A length that it does not state is counted once.

        Raises:
            AudioError: no such file, a folder or a special file, empty, not audio that can be read here, a header
                beyond all bounds, or truncated; or it hangs or crashes its decoder.
        """
        check_file(path)
        status = path.stat()
        stamp = (path.absolute(), status.st_size, status.st_mtime_ns)
        if self._latest is None or self._latest[0] != stamp:
            facts = self._facts(path, "describe")
            rate, channels, frames = facts["info"]
            info = with_length(path, rate, channels, frames, lambda _: int(self._facts(path, "count")["frames"]))
            self._latest = (stamp, replace(info, tags=Tags(**facts["tags"])))
        return self._latest[1]

    def blocks(self, path: Path, start: int = 0, frames: int | None = None) -> Iterator[Samples]:
        """Yield frames [start, start + frames) as blocks [channel, time] of at most a second, at the file's own rate.

        Fewer if the file ends before; all to its end if `frames` is None. Samples that are not finite become 0, and
        gaps in timestamps silence, with one warning each for each file.

        Raises:
            AudioError: see `header`; also a file that is shorter than its header says.
        """
        info = self.header(path)
        wanted = max(0, info.frames - start if frames is None else min(frames, info.frames - start))
        if not wanted:
            return
        known = [info.sample_rate, info.channels, info.frames, info.counted]
        with closing(self._reply(path, "decode", known=known, start=start, frames=wanted)) as messages:
            for message in messages:
                if isinstance(message, dict):
                    self._say_filled(path, message.get("silence", 0.0))
                else:
                    samples = message.view(np.float32).reshape(-1, info.channels)
                    yield finite(np.ascontiguousarray(samples.T), path, self._warned)

    def _facts(self, path: Path, do: Literal["describe", "count"]) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for message in self._reply(path, do):
            facts |= message
        return facts

    def _reply(self, path: Path, do: str, **about: object) -> Generator[Any, None, None]:
        """Send a request, and yield the messages of its reply: a dict of facts, or samples as bytes."""
        child = self._ready_child(path)
        self._streaming = True
        child.send(json.dumps({"folder": str(Path.cwd()), "path": str(path), "do": do, **about}).encode() + b"\n")
        try:
            while self._child is child:
                kind, content = self._message(child, path)
                if kind == SAMPLES and not len(content):
                    self._streaming = False
                    return
                message: Any = json.loads(content.tobytes()) if kind == FACTS else content
                if kind == FACTS and "error" in message:
                    self._streaming = False
                    raise AudioError(message["error"])
                yield message
            raise RuntimeError(f"{path}: its blocks ended when another file was opened")
        finally:
            if self._child is child and self._streaming:
                self.close()

    def _ready_child(self, path: Path) -> "ChildProcess":
        """Return the child, waiting for a request: a new one if there is none, or if it is in the middle of a reply."""
        if self._streaming or not (self._child and self._child.running):
            self.close()
        self._child = child = self._child or ChildProcess()
        if not self._greeted and not child.fill(memoryview(bytearray(HEAD.size + 2)), START):
            self.close()
            raise AudioError(f"{path}: not opened, for the process that decodes does not start ({child.last_words})")
        self._greeted = True
        return child

    def _message(self, child: "ChildProcess", path: Path) -> tuple[bytes, np.ndarray[Any, np.dtype[np.uint8]]]:
        head = bytearray(HEAD.size)
        self._fill(child, path, memoryview(head))
        kind, length = HEAD.unpack(head)
        if length > {FACTS: LONGEST_FACTS, SAMPLES: 4 * BLOCK}.get(kind, 0):
            raise self._lost(path, "its decoder answered nonsense")
        content = np.empty(length, np.uint8)
        self._fill(child, path, content.data)
        return kind, content

    def _fill(self, child: "ChildProcess", path: Path, buffer: memoryview) -> None:
        if child.fill(buffer, self._patience):
            return
        code = child.wait(self._patience)
        if child.hung:
            raise self._lost(path, f"did not answer within {self._patience:g} s")
        raise self._lost(path, f"its decoder crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def _lost(self, path: Path, fact: str) -> AudioError:
        self.close()
        return AudioError(f"{path}: {fact}; it may be damaged: export it again")

    def _say_filled(self, path: Path, seconds: float) -> None:
        if seconds and path not in self._filled:
            self._filled.add(path)
            say_filled(path, seconds)


class ChildProcess:
    """The running `decoder_process`; it is killed when a reply takes too long."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C in a terminal goes to every process of the group, and the parent decides.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sepkit.audio.untrusted.decoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(OPENBLAS_NUM_THREADS="1"),
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._input, self._output, self._errors = self._process.stdin, self._process.stdout, self._process.stderr
        with suppress(ImportError, AttributeError, OSError):  # Linux has it, and not without limit
            import fcntl

            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, PIPE)
        self._last_line = b""
        self._listener = Thread(target=self._listen, daemon=True)
        self.hung = False
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """The process has not ended."""
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        """The last line on its stderr; whole once it has ended."""
        return self._last_line.decode("utf-8", "replace").strip() or "no reason given"

    def send(self, data: bytes) -> None:
        """Write all of `data`; a process that has ended is noticed at the next `fill`."""
        with suppress(BrokenPipeError):
            self._input.write(data)
            self._input.flush()

    def fill(self, buffer: memoryview, patience: float) -> bool:
        """Read until `buffer`, of bytes, is full; return False if the output ends before.

        A process that takes longer than `patience` in seconds is killed, and `hung` set.
        """
        timer = Timer(patience, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            return self._output.readinto(buffer) == len(buffer)  # type: ignore[attr-defined, no-any-return]
        finally:
            timer.cancel()

    def wait(self, patience: float) -> int:
        """Return the exit code of a process that has closed its output, if need be by killing it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.end()
        return self._process.returncode

    def end(self) -> None:
        """Kill the process if it is still running, and close its pipes."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._input, self._output, self._errors):
            with suppress(BrokenPipeError):
                pipe.close()

    def _listen(self) -> None:
        for line in self._errors:
            self._last_line = line

    def _give_up(self) -> None:
        self.hung = True
        self._process.kill()
