"""The one search for audio files: what is followed, what is left out, and that it ends."""

import os

import pytest

from sepkit.audio import search
from sepkit.audio.search import walk


@pytest.fixture
def tree(tmp_path):
    """A folder `music` beside `elsewhere`, joined by links."""
    for name in ("music/a/1.wav", "music/a/b/2.FLAC", "elsewhere/3.m4a", "music/.hidden/4.wav", "music/a/.5.wav",
                 "music/a/notes.txt", "music/6.stem.mp4"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "music"


def found(root, depth=-1):
    return sorted(str(file.relative_to(root)) for _, files in walk(root, depth) for file in files)


def test_files_at_any_depth_but_for_hidden_ones(tree):
    assert found(tree) == ["6.stem.mp4", "a/1.wav", "a/b/2.FLAC"]
    assert found(tree, 1) == ["6.stem.mp4", "a/1.wav"]
    assert found(tree, 0) == ["6.stem.mp4"]
    assert found(tree / ".hidden") == ["4.wav"], "the folder that is named is searched, whatever its name"
    assert list(walk(tree / "6.stem.mp4")) == []
    assert list(walk(tree / "missing")) == []


def test_links_are_followed_and_each_real_folder_is_visited_once(tree):
    (tree / "0").symlink_to(tree / "a")  # sorts first, and yet the files keep their own place
    (tree / "x").symlink_to(tree.parent / "elsewhere")
    (tree / "y").symlink_to("../elsewhere")
    (tree / "file.wav").symlink_to(tree / "a" / "1.wav")
    assert found(tree) == ["6.stem.mp4", "a/1.wav", "a/b/2.FLAC", "file.wav", "x/3.m4a"]


def test_links_that_lead_back_or_nowhere_do_no_harm(tree):
    (tree / "a" / "up").symlink_to(tree)
    (tree / "a" / "self").symlink_to("self")
    (tree / "a" / "gone").symlink_to("missing")
    (tree.parent / "elsewhere" / "back").symlink_to(tree / "a")
    (tree / "x").symlink_to(tree.parent / "elsewhere")
    (tree / "gone.wav").symlink_to("missing.wav")
    assert found(tree) == ["6.stem.mp4", "a/1.wav", "a/b/2.FLAC", "gone.wav", "x/3.m4a"]


def test_a_folder_that_cannot_be_read_is_left_out_and_named(tree, monkeypatch, caplog):
    real = os.scandir

    def refusing(folder):
        if folder == tree / "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(search.os, "scandir", refusing)
    assert found(tree) == ["6.stem.mp4"]
    assert f"a folder is left out: PermissionError: [Errno 13] Permission denied: '{tree / 'a'}'" in caplog.text
