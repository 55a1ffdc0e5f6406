"""The child process of `Decoder`: opens files with libsndfile, one after the other, and may hang or crash doing so.

A request is a line of JSON on stdin: the working folder, a path, the first frame, and how many frames (null: all). The
reply is a sequence of messages on stdout, each with its kind and its length in bytes before it: facts, that is JSON;
then samples, float32 [time, channel]; then samples of length 0. Facts that hold an error end a reply at any place.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from struct import Struct
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

from sepkit.audio.probe import UnreadableError, opened
from sepkit.audio.read import file_blocks
from sepkit.audio.tags import LONGEST_TAG, Tags
from sepkit.errors import AudioError, reason

if TYPE_CHECKING:
    import soundfile

HEAD = Struct("=cI")
FACTS, SAMPLES = b"F", b"S"
# Samples of a block: one second of it, but no more than this.
BLOCK = 2**20
# Address space.
MOST_BYTES = 2 * 2**30


def main() -> None:
    """Answer requests until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    out = _take_stdout()
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
    Thread(target=_receive, args=(requests,), daemon=True).start()
    _tell(out, {})
    while True:
        _answer(out, **requests.get())


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = MOST_BYTES if hard == resource.RLIM_INFINITY else min(hard, MOST_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _take_stdout() -> BinaryIO:
    """Return stdout, and leave nothing to those who print to it: C libraries do."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return out


def _receive(requests: "SimpleQueue[dict[str, Any]]") -> None:
    """In a thread, so that a parent that is gone is noticed by a child that hangs."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


def _answer(out: BinaryIO, folder: str, path: str, start: int, frames: int | None) -> None:
    try:
        os.chdir(folder)
        with opened(Path(path)) as (sound, info):
            _tell(out, {"info": asdict(info), "tags": asdict(_tags(sound))})
            block = min(info.sample_rate, BLOCK // info.channels)
            for samples in file_blocks(sound, Path(path), start, info.frames if frames is None else frames, block):
                _send(out, SAMPLES, samples.data.cast("B"))
        _send(out, SAMPLES, b"")
    except AudioError as error:
        _tell(out, {"error": str(error), "unreadable": isinstance(error, UnreadableError)})
    except MemoryError:
        limit = f"more than {MOST_BYTES / 2**30:.0f} GB of memory"
        _tell(out, {"error": f"{path}: takes {limit} to decode; it may be damaged: export it again"})
    except Exception as error:  # noqa: BLE001  whatever a damaged file leads to, the next one may be fine
        _tell(out, {"error": f"{path}: decoding failed ({reason(error)}); fetch or export the file again"})


def _tags(sound: "soundfile.SoundFile") -> Tags:
    return Tags(*(getattr(sound, name)[:LONGEST_TAG].strip() for name in ("title", "artist", "comment")))


def _tell(out: BinaryIO, facts: dict[str, Any]) -> None:
    _send(out, FACTS, json.dumps(facts).encode())


def _send(out: BinaryIO, kind: bytes, content: bytes | memoryview) -> None:
    out.write(HEAD.pack(kind, len(content)))
    out.write(content)
    out.flush()


if __name__ == "__main__":
    main()
