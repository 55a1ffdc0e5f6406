"""Streams that ffmpeg reads: what its header must say, in whichever container."""

import subprocess
from pathlib import Path

import pytest
import stempeg

from sepkit.audio.probe import probe
from sepkit.errors import AudioError
from sepkit.track import Stream


def remuxed(path):
    command = ["ffmpeg", "-v", "error", "-i", stempeg.example_stem_path(), "-map", "0:a", "-c", "copy", path]
    subprocess.run(command, check=True)
    return path


def test_length_does_not_depend_on_the_time_base(tmp_path):
    original = probe(Stream(Path(stempeg.example_stem_path()), 1))
    other = remuxed(tmp_path / "a.avi")  # counts in blocks of 1024 samples
    assert probe(Stream(other, 1)) == original


def test_a_container_without_lengths_is_a_clear_error(tmp_path):
    with pytest.raises(AudioError, match=r"a\.mkv \(audio stream 1\): ffmpeg does not tell"):
        probe(Stream(remuxed(tmp_path / "a.mkv"), 1))
