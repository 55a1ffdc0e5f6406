"""Publishing: all files or none, over nothing that may not be replaced, and back to what was there on an error."""

import os
from pathlib import Path

import pytest

from sepkit.errors import ConfigError
from sepkit.songs.publishing import publish


@pytest.fixture
def finished(tmp_path):
    """Two complete files, and where they shall go."""
    (tmp_path / "work" / "complete").mkdir(parents=True)
    files = {tmp_path / "work" / "complete" / n: tmp_path / "out" / n for n in ("a.wav", "b.wav")}
    for path in files:
        path.write_text("new")
    return files


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_new_folder_appears_at_once(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", None)
    monkeypatch.setattr(os, "link", None)
    publish(finished, tmp_path / "work" / "before", overwrite=False)
    assert texts(tmp_path / "out") == {"a.wav": "new", "b.wav": "new"}


def test_what_has_appeared_meanwhile_is_not_replaced(finished, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.wav").write_text("theirs")
    with pytest.raises(ConfigError, match=r"b\.wav has appeared meanwhile"):
        publish(finished, tmp_path / "work" / "before", overwrite=False)
    assert texts(tmp_path / "out") == {"b.wav": "theirs"}


@pytest.mark.parametrize("links", [True, False])
def test_an_error_in_the_middle_gives_back_what_was_there(finished, tmp_path, monkeypatch, links):
    (tmp_path / "out").mkdir()
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / "out" / name).write_text("old")
    original, calls = Path.replace, []

    def fails_at_the_second(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(self, target)

    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", fails_at_the_second)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OSError, match="No space"):
        publish(finished, tmp_path / "work" / "before", overwrite=True)
    assert texts(tmp_path / "out") == {"a.wav": "old", "b.wav": "old", "c.wav": "old"}
    monkeypatch.setattr(Path, "replace", original)
    next(iter(finished)).write_text("new")
    publish(finished, tmp_path / "work" / "again", overwrite=True)
    assert texts(tmp_path / "out") == {"a.wav": "new", "b.wav": "new", "c.wav": "old"}
