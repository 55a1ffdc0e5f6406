"""`sepkit` commands as processes of their own, each forked from one that has imported PyTorch.

A command that is to be killed, interrupted or left without a terminal needs a process. Started afresh it would import
for two seconds; forked it runs at once. What a test needs of the start itself, such as which modules it imports, it
starts as `python -m sepkit`.
"""

import gc
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

# What commands import while they run; imported beforehand.
PRELOADED = (
    "torch._dynamo", "torch.onnx._internal.torchscript_exporter.symbolic_opset18", "torch.utils.data",
    "torch.utils.tensorboard", "matplotlib.backends.backend_agg", "tomlkit",
    "sepkit.cli", "sepkit.training.start", "sepkit.songs.batch", "sepkit.models.crnn_network",
    "sepkit.evaluation.evaluate", "sepkit.builtin", "sepkit.export.graph",
)  # fmt: skip
_STARTED: list[subprocess.Popen] = []


class Command:
    """A running command with the part of `subprocess.Popen`'s interface that tests use."""

    def __init__(self, args, *, env=None, cwd=None, start_new_session=False, stdout=None, stderr=None):
        self.args, self.returncode = list(map(str, args)), None
        self.stdout, out = _pipe() if stdout is None else (None, _opened(stdout))
        self.stderr, err = _pipe() if stderr is None else (None, _opened(stderr))
        request = {
            "args": self.args, "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd()),
            "session": start_new_session,
        }  # fmt: skip
        self._connection = _connected()
        with tempfile.TemporaryFile() as text:  # longer than a datagram may be
            text.write(json.dumps(request).encode())
            text.flush()
            socket.send_fds(self._connection, [b"!"], [text.fileno(), out, err])
            self.pid = _number(self._connection)
        os.close(out)
        os.close(err)

    def wait(self, timeout=None):
        """Return the exit code, negative for a signal."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                status = _number(self._connection)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self.returncode = os.waitstatus_to_exitcode(status)
            self._connection.close()
        return self.returncode

    def poll(self):
        """Return the exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout=None):
        """Return what it has printed to stdout and stderr, when it has ended."""
        texts: list[str | None] = [None, None]

        def drain(number, pipe):
            texts[number] = pipe.read()

        pipes = [pair for pair in enumerate((self.stdout, self.stderr)) if pair[1] is not None]
        readers = [threading.Thread(target=drain, args=pair, daemon=True) for pair in pipes]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for (_, pipe), reader in zip(pipes, readers, strict=True):
            reader.join()
            pipe.close()
        return tuple(texts)

    def send_signal(self, number):
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


def _pipe():
    reading, writing = os.pipe()
    return os.fdopen(reading, encoding="utf-8", errors="replace"), writing


def _opened(target):
    """Return a descriptor of its own for DEVNULL, a descriptor or a file."""
    if target == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_WRONLY)
    return os.dup(target if isinstance(target, int) else target.fileno())


def _connected():
    """Return a connection to the server. The first call of a session starts it; the workers share it."""
    session = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir(), f"prefork-{session}")  # a socket's path must be short
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "socket"
    with FileLock(folder / "lock"):
        try:
            return _connection_to(path)
        except (FileNotFoundError, ConnectionRefusedError):  # none yet, or the socket of a server that was killed
            path.unlink(missing_ok=True)
            _start(path, session)
            return _connection_to(path)


def _connection_to(path):
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _start(path, session):
    command = [sys.executable, "-m", "tests.prefork", str(path), str(session)]
    server = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    server.stdout.close()
    _STARTED.append(server)


def _number(connection):
    """Return the next number that a keeper tells: a line, as a stream may join two messages."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        assert byte, "the keeper has died"
        line += byte
    return int(line)


def _serve(path, session):
    """Fork a keeper for each request; the keeper forks the command, and tells its id and how it ended.

    It ends with the process `session`, and removes its folder.
    """
    os.setsid()  # whatever ends a worker of the session, the others need it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no funeral
    listening.settimeout(1)
    os.write(1, b"ready\n")
    while _runs(session):
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        connection.setblocking(True)
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _keep(connection)
        connection.close()
    shutil.rmtree(Path(path).parent)
    return None


def _runs(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _keep(connection):
    """Return the arguments in the process that is to run them; the keeper itself never returns."""
    _, (text, out, err), _, _ = socket.recv_fds(connection, 1, 3)
    os.lseek(text, 0, os.SEEK_SET)
    with os.fdopen(text) as file:
        request = json.load(file)
    pid = os.fork()
    if pid:
        os.setsid()  # signals to the group are the command's
        os.close(out)
        os.close(err)
        connection.sendall(f"{pid}\n".encode())
        status = os.waitpid(pid, 0)[1]
        connection.sendall(f"{status}\n".encode())
        os._exit(0)
    connection.close()
    if request["session"]:
        os.setsid()
    for source, target in ((out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path[:0] = filter(None, request["env"].get("PYTHONPATH", "").split(os.pathsep))
    return request["args"]


def _run(args):
    import torch

    from sepkit.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)  # the environment was read at the import
    sys.argv = ["sepkit", *args]
    main(args)


if __name__ == "__main__" and (args := _serve(sys.argv[1], int(sys.argv[2]))) is not None:
    _run(args)
