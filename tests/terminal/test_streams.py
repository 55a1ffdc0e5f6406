"""What is printed where the encoding lacks a character, the disk is full, the reader is gone, or nothing is open."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
import soundfile

from sepkit import cli
from sepkit.terminal import open_streams, print_json, say

SONG = "노래 café \U0001f3b5 ↑"
FULL = Path("/dev/full")


@pytest.fixture
def run(monkeypatch):
    """Run the command line with files as stdout and stderr, and return its exit code."""

    def run(*args, out=None, err=None):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                cli.main([str(arg) for arg in args])
        return ended.value.code

    return run


@pytest.fixture
def song(tmp_path):
    path = tmp_path / f"{SONG}.wav"
    soundfile.write(path, [0.1, -0.1] * 2000, 8000)
    return path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp949", "utf-8"])
def test_a_name_that_an_encoding_lacks_is_replaced_and_escaped_in_json(run, small_model, song, tmp_path, encoding):
    command = ("separate", song, song.with_name("gone.wav"), "-m", small_model, "--stems", "vocals", "--overwrite")
    for options in ((), ("--json",)):
        with (
            (tmp_path / "out").open("w", encoding=encoding) as out,
            (tmp_path / "err").open("w", encoding=encoding) as err,
        ):
            assert run(*command, "-o", tmp_path / "o", *options, out=out, err=err) == 1
        printed = (tmp_path / "out").read_text(encoding=encoding)
        assert "gone.wav" in (tmp_path / "err").read_text(encoding=encoding)
        if options:
            assert json.loads(printed)["tracks"][0]["input"] == str(song)
        else:
            assert "vocals.wav" in printed
            assert (SONG in printed) == encoding.startswith("utf")
    assert (tmp_path / "o" / SONG / "vocals.wav").exists()


def test_arrows_have_a_plain_form_and_other_characters_their_escape():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252")
    before, sys.stderr = sys.stderr, stream
    try:
        with open_streams():
            say("dB ↑ café 노 \udce9")
    finally:
        sys.stderr = before
    assert raw.getvalue() == rb"dB ^ caf" + b"\xe9" + rb" \ub178 \udce9" + b"\n"


def test_where_python_keeps_the_bytes_of_names_they_are_printed(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", errors="surrogateescape"))
    with open_streams():
        say(b"caf\xe9 \xeb\x85\xb8".decode("ascii", "surrogateescape") + " ↓")
    assert raw.getvalue() == b"caf\xe9 \xeb\x85\xb8 v\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("args", "code"), [(("config", "show"), 1), (("config", "show", "--json"), 1), (("--help",), 1), (("nonsense",), 2)]
)
def test_a_full_stdout_is_one_line(run, tmp_path, args, code):
    with FULL.open("w") as full, (tmp_path / "err").open("w") as err:
        assert run(*args, out=full, err=err) == code
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith("Error: ")
    assert ("No space left on device" in line) == (code == 1)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_stderr_takes_nothing_from_the_work(run, small_model, song, tmp_path):
    with FULL.open("w") as full, (tmp_path / "out").open("w") as out:
        assert run("separate", song, song, "-m", small_model, "-o", tmp_path / "o", out=out, err=full) == 0
        assert run("nonsense", out=full, err=full) == 2
    assert "vocals.wav" in (tmp_path / "out").read_text()


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(run, tmp_path):
    here, there = os.pipe()
    os.close(here)
    with os.fdopen(there, "w") as pipe, (tmp_path / "err").open("w") as err:
        assert run("config", "show", out=pipe, err=err) == 128 + 13
        assert run("train", tmp_path / "no.toml", "--json", out=pipe, err=err) == 2
    assert (tmp_path / "err").read_text().startswith("Error: no config file")


def test_a_pipe_that_does_not_block_gets_all(monkeypatch):
    here, there = os.pipe()
    os.set_blocking(there, False)
    text, heard = "x" * 300_000, bytearray()

    def read():
        sleep(0.05)
        while some := os.read(here, 1 << 16):
            heard.extend(some)

    reader = Thread(target=read)
    reader.start()
    with os.fdopen(there, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with open_streams():
            print_json({"text": text})
    reader.join()
    os.close(here)
    assert json.loads(heard) == {"text": text}


def test_without_streams_there_is_nothing_to_print_and_no_fault(run):
    """As under pythonw, and where a supervisor has closed them."""
    assert run("config", "show") == 0
    assert run("nonsense") == 2


@pytest.mark.skipif(os.name != "posix", reason="descriptors are those of POSIX")
def test_a_descriptor_that_is_closed_is_never_that_of_a_file(tmp_path):
    code = """
import os, sys
from sepkit.terminal import open_streams
with open_streams():
    file = open(sys.argv[1], "w")
    os.write(2, b"from a library")
    file.write(str(file.fileno()))
"""
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    subprocess.run(["sh", "-c", command, sys.executable, code, tmp_path / "stem"], check=True)
    assert int((tmp_path / "stem").read_text()) > 2
