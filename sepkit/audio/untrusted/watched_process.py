"""A process that reads an untrusted file, and is killed once it has given no sign of life for too long."""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Thread, Timer

# Bytes that may lie in a pipe: a second of stereo, so that who writes need not wait for who reads.
PIPE = 2**20


class WatchedProcess:
    """A running process: what is written to it, what it answers, and its last words."""

    def __init__(
        self,
        command: Sequence[str],
        patience: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`patience` is the time in seconds that each `fill` may take."""
        # A session of its own: Ctrl-C in a terminal goes to every process of the group, and the parent decides.
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._input, self._output, self._errors = self._process.stdin, self._process.stdout, self._process.stderr
        with suppress(ImportError, AttributeError, OSError):  # Linux has it, and not without limit
            import fcntl

            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, PIPE)
        self._patience = patience
        self._last_line = b""
        self._listener = Thread(target=self._listen, daemon=True)
        self.hung = False
        self._listener.start()

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, data: bytes) -> None:
        """Write all of `data`; a process that has ended is noticed at the next `fill`."""
        with suppress(BrokenPipeError):
            self._input.write(data)
            self._input.flush()

    def fill(self, buffer: memoryview, patience: float | None = None) -> int:
        """Read until `buffer`, of bytes, is full; return how many were read, fewer where the output has ended.

        A process that takes longer than its patience is killed, and `hung` set.
        """
        timer = Timer(self._patience if patience is None else patience, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            return self._output.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        finally:
            timer.cancel()

    def wait(self) -> int:
        """Return the exit code of a process that has closed its output; one that goes on regardless is killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._patience)
        self.end()
        return self._process.returncode

    def end(self) -> None:
        """Kill the process if it is still running, and let go of it."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._input, self._output, self._errors):
            with suppress(BrokenPipeError):
                pipe.close()

    @property
    def last_words(self) -> str:
        """The last line on its stderr; whole once it has ended."""
        return self._last_line.decode("utf-8", "replace").strip() or "no reason given"

    def _listen(self) -> None:
        for line in self._errors:
            self._last_line = line

    def _give_up(self) -> None:
        self.hung = True
        self._process.kill()
