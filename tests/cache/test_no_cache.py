"""What still works where nothing can be kept: no home folder, or one that cannot be written."""

import errno
import pwd

import pytest

from sepkit.cache import file_facts


@pytest.fixture
def homeless(monkeypatch):
    """A user without HOME and without an entry in passwd, as in containers that run under a bare user id."""

    def unknown(user):
        raise KeyError(user)

    for name in ("HOME", "XDG_CACHE_HOME", "SEPKIT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def warnings_of(done):
    return [line for line in done.err.splitlines() if line.startswith("Warning")]


def test_row_39_without_a_home_folder_all_but_keeping_works(sepkit, homeless, small_config, songs, tmp_path):
    training = ("train", "--epochs", 1, "--set", "train.steps_per_epoch=1", "--output-dir", tmp_path / "run")
    done = [sepkit(*verb, small_config, "--data-dir", songs) for verb in (("data", "check", "--workers", 0), training)]
    assert [one.code for one in done] == [0, 0], done
    (warning,) = [line for one in done for line in warnings_of(one)]  # each is said once a process
    assert warning.startswith("Warning: no cache folder: HOME is not set; set SEPKIT_CACHE to a folder")
    for verb in (("data", "prepare", small_config, "--data-dir", songs), ("models", "fetch", "htdemucs")):
        refused = sepkit(*verb)
        assert refused.code == 1, refused.err
        assert refused.err.splitlines()[-1] == "Error: no cache folder: HOME is not set; set SEPKIT_CACHE to a folder"


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("how", ["no folder", "a file", "a full disk"])
def test_a_cache_that_cannot_be_written_is_one_warning(sepkit, small_config, songs, monkeypatch, how):
    if how == "no folder":
        monkeypatch.delenv("SEPKIT_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/dev/null")
    elif how == "a file":
        monkeypatch.setenv("SEPKIT_CACHE", str(small_config))
    else:
        monkeypatch.setattr(file_facts, "write_text", full)
    done = sepkit("data", "check", small_config, "--data-dir", songs, "--workers", 0)
    assert done.code == 0, done.err
    (warning,) = warnings_of(done)
    assert "cannot be written (" in warning
    assert "set SEPKIT_CACHE to a folder that can" in warning
