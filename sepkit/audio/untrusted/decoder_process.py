"""The child process of `Decoder`: opens files one after the other, and may hang or crash doing so.

See `messages` for its requests and replies.
"""

import json
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

import av.logging

from sepkit.audio.info import AudioInfo
from sepkit.audio.opening import opened
from sepkit.audio.source import Source, damaged
from sepkit.audio.untrusted.messages import BLOCK, FACTS, HEAD, SAMPLES
from sepkit.errors import AudioError, reason

# Address space.
MOST_BYTES = 2 * 2**30
# FFmpeg's words about a truncated file, which it then reads as if it were whole.
_COMPLAINT = re.compile("partial file|ended prematurely")


class _Complaints(logging.Handler):
    """Listens to FFmpeg's log for a truncated file."""

    found = False

    def emit(self, record: logging.LogRecord) -> None:
        self.found = self.found or bool(_COMPLAINT.search(record.getMessage()))


def main() -> None:
    """Answer requests until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    out, complaints = _take_stdout(), _listen_to_ffmpeg()
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
    Thread(target=_receive, args=(requests,), daemon=True).start()
    _tell(out, {})
    while True:
        _answer(out, complaints, **requests.get())


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = MOST_BYTES if hard == resource.RLIM_INFINITY else min(hard, MOST_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _take_stdout() -> BinaryIO:
    """Return stdout, and give the null device to C libraries that print."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return out


def _listen_to_ffmpeg() -> _Complaints:
    complaints, log = _Complaints(), logging.getLogger("libav")
    log.addHandler(complaints)
    log.propagate = False
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # the next file may have the same damage
    return complaints


def _receive(requests: "SimpleQueue[dict[str, Any]]") -> None:
    """Receive requests in a thread, so that a child that hangs ends with its parent."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


def _answer(
    out: BinaryIO, complaints: _Complaints, folder: str, path: str, do: str, known: list[Any] | None = None,
    start: int = 0, frames: int = 0,
) -> None:  # fmt: skip
    complaints.found = False
    try:
        os.chdir(folder)
        with opened(Path(path), AudioInfo(*known) if known else None) as source:
            if do == "describe":
                _tell(out, {"info": [source.sample_rate, source.channels, source.frames], "tags": asdict(source.tags)})
            elif do == "count":
                done = source.count(lambda: _tell(out, {}))
                _tell(out, {"frames": done})
            else:
                done = _decode(out, source, start, frames)
            if do != "describe" and complaints.found:
                total = source.frames and source.frames / source.sample_rate
                raise damaged(Path(path), done / source.sample_rate, total)
            _tell(out, {"silence": source.silence})
        _send(out, SAMPLES, b"")
    except AudioError as error:
        _tell(out, {"error": str(error)})
    except MemoryError:
        limit = f"more than {MOST_BYTES / 2**30:.0f} GB of memory"
        _tell(out, {"error": f"{path}: takes {limit} to decode; it may be damaged: export it again"})
    except Exception as error:  # noqa: BLE001  a damaged file may raise anything, and the next one may be fine
        _tell(out, {"error": f"{path}: decoding failed ({reason(error)}); fetch or export the file again"})


def _decode(out: BinaryIO, source: Source, start: int, frames: int) -> int:
    """Send blocks; return the frame behind the last one."""
    for samples in source.blocks(start, frames, min(source.sample_rate, BLOCK // source.channels)):
        if len(samples):
            _send(out, SAMPLES, samples.data.cast("B"))
            start += len(samples)
        else:
            _tell(out, {})
    return start


def _tell(out: BinaryIO, facts: dict[str, Any]) -> None:
    _send(out, FACTS, json.dumps(facts).encode())


def _send(out: BinaryIO, kind: bytes, content: bytes | memoryview) -> None:
    out.write(HEAD.pack(kind, len(content)))
    out.write(content)
    out.flush()


if __name__ == "__main__":
    main()
