"""`sepkit plugins new`: a package that installs, passes its tests, trains and separates as it comes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from sepkit.scaffold import new_plugin as scaffold
from tests.conftest import ROOT
from tests.test_plugins import UNET
from tests.training.runs import end, start

KINDS = ["model", "dataset", "loss", "metric", "augmentation"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def module(*args, **more):
    command = [sys.executable, "-m", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def done(*args, **more):
    outcome = module(*args, **more)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def install(folders, site):
    done("pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, *folders)
    return {**os.environ, "PYTHONPATH": str(site)}


@pytest.mark.parametrize(
    ("name", "component", "distribution"),
    [
        ("foo", "foo", "sepkit-foo"),
        ("sepkit-foo", "foo", "sepkit-foo"),
        ("sepkit_foo", "foo", "sepkit-foo"),
        ("sepkit-my-net2", "my_net2", "sepkit-my-net2"),
        ("my_net", "my_net", "sepkit-my-net"),
    ],
)
def test_names_follow_from_one_name(sepkit, here, name, component, distribution, monkeypatch):
    monkeypatch.setattr("sepkit.cli.plugins.program", lambda name: [name])  # an environment may be without pip
    made = sepkit("plugins", "new", name, "--json")
    assert made.code == 0, made.err
    assert made.json["folder"] == name
    assert made.json["component"] == component
    assert made.json["distribution"] == distribution
    assert made.json["package"] == f"sepkit_{component}"
    assert set(made.json["files"]) == {str(p.relative_to(here / name)) for p in (here / name).rglob("*") if p.is_file()}
    assert f"sepkit_{component}/network.py" in made.json["files"]
    assert [p.name for p in here.iterdir()] == [name]
    readme = (here / name / "README.md").read_text()
    assert all(command in readme for command in made.json["next"])
    assert "$" not in "".join(p.read_text() for p in (here / name).rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "name",
    ["Foo", "", "2stems", "a b", "../foo", "foo/bar", "sepkit-", "-foo", "foo-", "fo--o", "foo.py", "ö", "foo\n"],
)
def test_a_name_that_cannot_be_used_makes_nothing(sepkit, here, name):
    made = sepkit("plugins", "new", "--", name)
    assert made.code == 2
    assert made.err.startswith("Error: ")
    assert "such as" in made.err
    assert list(here.iterdir()) == []
    assert [p.name for p in here.parent.iterdir() if p.name not in ("work", "cache")] == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_exists_is_left_alone(sepkit, here, kind):
    if kind == "folder":
        (here / "foo").mkdir()
    elif kind == "file":
        (here / "foo").write_text("mine")
    else:
        (here / "foo").symlink_to(here / "nowhere")
    made = sepkit("plugins", "new", "foo")
    assert made.code == 2
    assert "exists already" in made.err
    assert [p.name for p in here.iterdir()] == ["foo"]


def test_a_component_that_exists_is_not_made_again_unless_of_another_kind(sepkit, here, install_plugin):
    install_plugin("sepkit-other", "unet", "sepkit_other", UNET.format(name="unet"))
    for name, owner in (("crnn", f"sepkit {version('sepkit')}"), ("unet", "sepkit-other 1.2.3")):
        made = sepkit("plugins", "new", name)
        assert made.code == 2
        assert f'a model "{name}" already, of {owner}' in made.err
    made = sepkit("plugins", "new", "other", "--json")
    assert made.code == 2
    assert "sepkit-other 1.2.3 is installed here already" in made.json["error"]
    assert sepkit("plugins", "new", "crnn", "--kind", "loss").code == 0
    assert [p.name for p in here.iterdir()] == ["crnn"]


def test_an_unknown_kind_is_a_usage_error(sepkit, here):
    made = sepkit("plugins", "new", "foo", "--kind", "optimizer")
    assert made.code == 2
    assert "augmentation" in made.err


def test_a_disk_that_is_full_leaves_nothing(sepkit, here, monkeypatch):
    written = []
    whole = Path.write_text

    def write_text(path, *args, **more):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        return whole(path, *args, **more)

    monkeypatch.setattr(Path, "write_text", write_text)
    made = sepkit("plugins", "new", "foo")
    assert made.code == 2
    assert "No space left" in made.err
    assert written
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        ("0.1.0", ">=0.1,<0.2"), ("0.9.3", ">=0.9,<0.10"), ("1.4.2", ">=1.4,<2"), ("2.0rc1", ">=2.0rc1,<3"),
        ("0.2.0.dev3+local", ">=0.2.0.dev3,<0.3"),
    ],
)  # fmt: skip
def test_the_requirement_ends_where_contracts_may_change(here, monkeypatch, running, wanted):
    monkeypatch.setattr(scaffold, "version", lambda name: running)
    scaffold.new_plugin("foo", "loss")
    assert f'dependencies = ["sepkit{wanted}"]' in (here / "foo" / "pyproject.toml").read_text()


def test_packages_of_every_kind_install_pass_their_tests_and_are_tidy(sepkit, here, tmp_path):
    for kind in KINDS:
        assert sepkit("plugins", "new", f"sepkit-my-{kind}", "--kind", kind).code == 0
    folders = [here / f"sepkit-my-{kind}" for kind in KINDS]
    env = install(folders, tmp_path / "site")
    passed = done("pytest", "-q", "-p", "no:cacheprovider", *folders, env=env)
    assert "failed" not in passed
    assert " passed" in passed
    listed = json.loads(done("sepkit", "plugins", "list", "--json", env=env))["plugins"]
    provided = {row["distribution"]: row["provides"] for row in listed}
    assert all(provided[f"sepkit-my-{kind}"] == {kind: [f"my_{kind}"]} for kind in KINDS)
    for folder in folders:
        done("ruff", "format", "--isolated", "--line-length", "120", "--check", ".", cwd=folder)
        done(
            "ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,I,B,UP,ANN,SIM,PTH", ".", cwd=folder
        )


def test_a_new_model_trains_separates_and_once_gone_is_named_by_its_file(sepkit, here, small_config, songs, tmp_path):
    assert sepkit("plugins", "new", "sepkit-foo").code == 0
    site, run, song = tmp_path / "site", tmp_path / "new-run", songs / "one" / "mixture.wav"
    env = install([here / "sepkit-foo"], site)
    foo = ("--set", 'model={name="foo", n_fft=256, hidden=8}')
    end(start("train", small_config, "--data-dir", songs, "--output-dir", run, *foo, env=env))
    end(start("separate", song, "-m", run, "-o", tmp_path / "out", env=env))
    assert {p.name for p in (tmp_path / "out" / "mixture").iterdir()} == {"vocals.wav", "accompaniment.wav"}
    shutil.rmtree(site)
    _, err = end(start("separate", song, "-m", run, "-o", tmp_path / "again", env=env), 1)
    assert 'needs the model "foo" of sepkit-foo 0.1.0' in err
    assert "pip install sepkit-foo==0.1.0" in err
    assert not (tmp_path / "again").exists()


def test_the_templates_are_in_the_wheel(tmp_path):
    done("hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    templates = {str(p.relative_to(ROOT)) for p in (ROOT / "sepkit" / "scaffold" / "templates").rglob("*.tmpl")}
    assert len(templates) >= 14
    assert templates <= names
