"""The READMEs: four commands lead a newcomer to a first separated song."""

import os
import re
import shlex
import subprocess

import pytest

from tests.conftest import ROOT
from tests.docs.command_line import parsed


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_four_commands_at_the_top_lead_to_a_first_separated_song(readme):
    above, block, _ = (ROOT / readme).read_text(encoding="utf-8").split("```", 2)
    assert above.count("\n") < 25
    clone, environment, install, separate = (shlex.split(line) for line in block.strip().splitlines())
    assert clone[:2] == ["git", "clone"]
    assert clone[-3:] == ["&&", "cd", "sepkit"]
    assert environment == shlex.split("python3 -m venv .venv && . .venv/bin/activate")
    assert install[:3] == ["pip", "install", "."]
    packages = [ROOT / folder for folder in install[2:]]
    assert all((folder / "pyproject.toml").exists() for folder in packages)
    assert separate[:2] == ["sepkit", "separate"]
    name = parsed(shlex.join(separate[1:]))["model"]
    published = "".join(path.read_text(encoding="utf-8") for folder in packages[1:] for path in folder.rglob("*.py"))
    assert f'name="{name}"' in published


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_an_environment_is_made_and_activated_on_every_system(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")
    heading = re.search(r"^### ([^\n]+)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert f"(#{heading[1].lower().replace(' ', '-')})" in text.split("```")[0]
    for way in ("python3 -m venv .venv", ". .venv/bin/activate", r".venv\Scripts\Activate.ps1", ".venv/bin/sepkit"):
        assert way in heading[2]


@pytest.mark.parametrize("package", sorted(folder.name for folder in (ROOT / "plugins").glob("*/")))
def test_the_readme_of_a_plugin_installs_what_is_there(package):
    text = (ROOT / "plugins" / package / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install (\S+) (\S+)", text, re.MULTILINE)
    assert commands == [(".", f"./plugins/{package}")]


def test_make_ends_with_the_command_that_activates_the_environment(tmp_path):
    for target in ("demo", "test"):
        command = ["make", "--dry-run", target, f"VENV={tmp_path}/venv"]
        outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of another make
        said = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout
        assert said.splitlines()[-1].endswith(f' . {tmp_path}/venv/bin/activate"')
