"""Facts about files: found once, found again when a file changes, and never lost to another process."""

import json
import os

import pytest

from sepkit.cache.file_facts import find_facts
from sepkit.cache.folder import cache_folder
from sepkit.errors import AudioError
from sepkit.track import Stream


def lengths(files):
    """Find the length of each file; one that says so cannot be read."""
    for file in files:
        text = (file.path if isinstance(file, Stream) else file).read_text()
        yield AudioError(f"{file}: bad") if text == "bad" else {"length": len(text)}


def never(files):
    raise AssertionError(files)


def test_a_fact_is_found_once_and_again_when_its_file_changes(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("three")
    assert find_facts("t-1", [a, b], lengths).known == {a: {"length": 3}, b: {"length": 5}}
    assert find_facts("t-1", [a, b], never).known == {a: {"length": 3}, b: {"length": 5}}
    a.write_text("two!")
    asked = []
    find_facts("t-1", [a, b], lambda files: asked.extend(files) or lengths(files))
    assert asked == [a]
    status = b.stat()
    os.utime(b, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert find_facts("t-1", [b], lambda files: asked.extend(files) or lengths(files)).known[b] == {"length": 5}
    assert asked == [a, b]


def test_errors_are_kept_apart_and_not_remembered(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("bad")
    b.write_text("good")
    facts = find_facts("t-1", [a, b], lengths)
    assert (list(facts.known), list(facts.errors)) == ([b], [a])
    assert list(find_facts("t-1", [a, b], lengths).errors) == [a]


def test_streams_of_a_file_are_told_apart(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    first, second = Stream(path, 0), Stream(path, 1)
    find_facts("t-1", [first], lengths)
    asked = []
    find_facts("t-1", [first, second], lambda files: asked.extend(files) or lengths(files))
    assert asked == [second]


def test_two_searches_at_once_keep_what_both_found(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")

    def while_another_searches(files):
        find_facts("t-1", [b], lengths)
        yield from lengths(files)

    find_facts("t-1", [a], while_another_searches)
    assert len(find_facts("t-1", [a, b], never).known) == 2


def test_what_was_found_before_an_interrupt_is_kept(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")

    def interrupted(files):
        yield next(lengths(files))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_facts("t-1", [a, b], interrupted)
    assert find_facts("t-1", [a], never).known == {a: {"length": 3}}


def test_a_broken_index_is_found_anew_and_leftovers_of_a_killed_process_go(tmp_path):
    a = tmp_path / "a"
    a.write_text("one")
    index = cache_folder() / "index" / "t-1.json"
    index.parent.mkdir(parents=True)
    leftover = index.with_name(".t-1.json.abc.part")
    leftover.write_text("{")
    for broken in ("", "[]", '{"x": 1}', "{"):
        index.write_text(broken)
        assert find_facts("t-1", [a], lengths).known == {a: {"length": 3}}
    assert not leftover.exists()
    assert list(json.loads(index.read_text())) == [str(a)]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch, caplog):
    a = tmp_path / "a"
    a.write_text("one")
    monkeypatch.setenv("SEPKIT_CACHE", str(a / "below-a-file"))
    assert find_facts("t-1", [a], lengths).known == {a: {"length": 3}}
    assert "set SEPKIT_CACHE" in caplog.text
