"""Commands that are printed work as they are typed, in an environment that is activated or not."""

import os
import sys

import pytest

from sepkit.terminal import command, program
from tests.conftest import ROOT


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A folder of programs as that of an environment below the working folder, which PATH does not lead to."""
    scripts = tmp_path / "an environment" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "sepkit").write_text("#!/bin/sh\n")
    (scripts / "sepkit").chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(scripts))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    return scripts


@pytest.mark.skipif(os.name != "posix", reason="scripts are those of POSIX")
def test_a_program_is_named_or_its_path_is(environment, tmp_path, monkeypatch):
    assert program() == ["an environment/bin/sepkit"]
    assert command("train", "a b.toml") == "'an environment/bin/sepkit' train 'a b.toml'"
    monkeypatch.chdir(environment)
    assert program() == ["./sepkit"]
    monkeypatch.chdir(ROOT)
    assert program() == [str(environment / "sepkit")]
    assert program("torchrun", "torch.distributed.run") == [sys.executable, "-m", "torch.distributed.run"]

    monkeypatch.setenv("PATH", str(environment))
    assert command("demo") == "sepkit demo"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "sepkit").symlink_to(environment / "sepkit")
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert command("demo") == "sepkit demo", "as pipx links it"
    (tmp_path / "elsewhere" / "sepkit").unlink()
    (tmp_path / "elsewhere" / "sepkit").write_bytes((environment / "sepkit").read_bytes())
    (tmp_path / "elsewhere" / "sepkit").chmod(0o755)
    assert program() == [str(environment / "sepkit")], "another sepkit"


@pytest.mark.skipif(os.name != "posix", reason="scripts are those of POSIX")
@pytest.mark.usefixtures("environment")
def test_what_to_do_next_names_the_program_by_its_path(sepkit, small_model):
    path = "'an environment/bin/sepkit'"
    for args, following in (
        (("train",), f"{path} train --help"),
        (("separate", "song.wav", "-m", "none.safetensors"), f"{path} train configs/vocals.toml"),
        (("train", "none.toml"), f"{path} config show > none.toml"),
        (("compare", small_model), f"{path} compare A"),
        (("plugins", "new", "unet"), f"{path} train configs/vocals.toml --set 'model={{name=\"unet\"}}'"),
    ):
        done = sepkit(*args)
        assert following in done.out + done.err
