"""What a person sees in a terminal."""

import os
import re
from subprocess import DEVNULL

import pytest

from tests.prefork import Command

pty = pytest.importorskip("pty", reason="needs a Unix terminal")


def test_a_terminal_shows_a_bar_with_epoch_loss_speed_and_time_left(small_config, songs, tmp_path):
    terminal, stderr = pty.openpty()
    command = (
        "train", small_config, "--data-dir", songs, "--output-dir", tmp_path / "r", "--set", "train.steps_per_epoch=40",
    )  # fmt: skip
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = Command(command, stdout=DEVNULL, stderr=stderr, env=environment)
    os.close(stderr)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(terminal)
    assert process.wait() == 0, shown.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"epoch 2/2 [^/]*\d+/40 loss 0\.\d{5} +\d+\.\d chunks/s \d:\d\d:\d\d", text), text
    assert re.search(r"validating [^/]*0/\?", text), text
    assert "epoch 0" not in text
