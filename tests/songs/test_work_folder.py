"""The work folder: its own, locked, gone at the end; and nothing else is ever removed."""

import os
import subprocess
import sys
import time

import pytest

from sepkit.errors import AudioError
from sepkit.songs.work_folder import PREFIX, WorkFolder

HOLD = """
import sys, time
from pathlib import Path
from sepkit.songs.work_folder import WorkFolder
work = WorkFolder(Path(sys.argv[1]))
with work.part() as part:
    (part / "0.raw").write_text("stem")
    print("ready", flush=True)
    time.sleep(60)
"""


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def holder(tmp_path):
    """Another process with a work folder in the same place."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_is_in_use_stays_and_what_a_killed_process_left_goes(tmp_path, holder):
    (theirs,) = names(tmp_path)
    with WorkFolder(tmp_path):
        assert theirs in names(tmp_path)
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == {theirs}
    holder.kill()
    holder.wait()
    with WorkFolder(tmp_path):
        assert theirs not in names(tmp_path)
    assert names(tmp_path) == set()


def test_folders_that_only_look_like_one_are_left_alone(tmp_path):
    kept = (f"{PREFIX}of-somebody-else", ".sepkit-cache", f"{PREFIX}abcd1234")
    for name in kept:
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("gold")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f"{PREFIX}empty123").mkdir()
    os.utime(tmp_path / f"{PREFIX}empty123", (0, time.time() - 3600))
    with WorkFolder(tmp_path):
        pass
    assert names(tmp_path) == set(kept)


def test_folders_made_for_nothing_go_again(tmp_path):
    with WorkFolder(tmp_path / "a" / "b") as work, work.part() as part:
        (part / "x").write_text("x")
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(AudioError, match="file/out: cannot be written"):
        WorkFolder(tmp_path / "file" / "out")
