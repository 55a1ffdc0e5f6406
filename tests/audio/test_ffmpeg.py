"""Streams that ffmpeg reads: what its header must say, in whichever container."""

import subprocess
from pathlib import Path

import pytest
import stempeg

from sepkit.audio.probe import probe
from sepkit.audio.read import read
from sepkit.component import Stream
from sepkit.errors import AudioError


def remuxed(path, *options):
    command = ["ffmpeg", "-v", "error", "-i", stempeg.example_stem_path(), "-map", "0:a", "-c", "copy", *options, path]
    subprocess.run(command, check=True)
    return path


def test_length_does_not_depend_on_the_time_base(tmp_path):
    original = probe(Stream(Path(stempeg.example_stem_path()), 1))
    other = remuxed(tmp_path / "a.mp4", "-movie_timescale", "1000")
    assert probe(Stream(other, 1)) == original
    assert read(Stream(other, 1))[0].shape == (original.channels, original.frames)


def test_a_container_without_lengths_is_a_clear_error(tmp_path):
    with pytest.raises(AudioError, match=r"a\.mkv \(audio stream 1\): ffmpeg does not tell"):
        probe(Stream(remuxed(tmp_path / "a.mkv"), 1))
