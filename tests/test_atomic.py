"""Files that are replaced together, or not at all."""

import _pyio
import io
import os

import pytest

from sepkit import atomic
from sepkit.atomic import Commit, remove_leftovers, replacing, write_text


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(f"old {name}")
    return tmp_path


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_files_of_a_commit_are_replaced_and_the_removed_are_gone(folder):
    with Commit() as commit:
        commit.text(folder / "a", "new a")
        commit.remove(folder / "c")
        commit.remove(folder / "never there")
        commit.remove(folder / "a")
        with commit.file(folder / "b") as temporary:
            temporary.write_text("new b")
        assert content(folder)["a"] == "old a"
    assert content(folder) == {"a": "new a", "b": "new b"}


def test_what_is_discarded_changes_nothing(folder):
    before = content(folder)
    with Commit() as commit:
        commit.text(folder / "a", "new a")
        commit.remove(folder / "b")
        commit.discard()
    assert content(folder) == before


@pytest.mark.parametrize("when", ["in the block", "in a check", "while flushing"])
def test_an_error_before_the_first_rename_changes_nothing(folder, monkeypatch, when):
    before = content(folder)

    def fail(*args):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Commit() as commit:  # noqa: PT012  the block is what is tested
        commit.remove(folder / "c")
        commit.text(folder / "a", "new a")
        if when == "while flushing":
            monkeypatch.setattr(atomic, "flush", fail)
        with commit.file(folder / "b", check=fail if when == "in a check" else lambda path: None) as temporary:
            temporary.write_text("new b")
            if when == "in the block":
                fail()
    assert content(folder) == before


def test_a_check_sees_what_is_on_disk(folder):
    seen = []
    with Commit() as commit, commit.file(folder / "a", check=lambda path: seen.append(path.read_text())) as temporary:
        temporary.write_text("new a")
    assert seen == ["new a"]


def test_single_files(folder):
    write_text(folder / "a", "ä")
    assert (folder / "a").read_text(encoding="utf-8") == "ä"
    with pytest.raises(KeyError), replacing(folder / "b") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyError
    assert (folder / "b").read_text() == "old b"
    assert len(content(folder)) == 3


def test_text_has_its_own_line_ends_on_every_system(folder, monkeypatch):
    monkeypatch.setattr(io, "open", _pyio.open)  # Python's own files in Python, which ask os what a line ends with
    monkeypatch.setattr(os, "linesep", "\r\n")
    (folder / "b").write_text("a\n", encoding="utf-8")
    assert (folder / "b").read_bytes() == b"a\r\n"
    write_text(folder / "a", "a\nb\r\n")
    assert (folder / "a").read_bytes() == b"a\nb\r\n"


def test_leftovers_of_these_files_are_removed_and_no_others(folder):
    with Commit() as commit, commit.file(folder / "a") as temporary:
        temporary.write_text("x")
        for name in (temporary.name, temporary.name.replace(".a.", ".b."), ".unrelated.part", "a.part"):
            (folder / name).touch()
    (folder / ".a.killed.part").touch()
    remove_leftovers([folder / "a", folder / "c"])
    left = {name for name in content(folder) if name.endswith(".part")}
    assert left == {temporary.name.replace(".a.", ".b."), ".unrelated.part", "a.part"}
