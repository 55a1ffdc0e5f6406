"""The READMEs: three commands lead a newcomer to a first separated song."""

import shlex

import pytest

from tests.conftest import ROOT
from tests.docs.command_line import parsed


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_three_commands_at_the_top_lead_to_a_first_separated_song(readme):
    above, block, _ = (ROOT / readme).read_text(encoding="utf-8").split("```", 2)
    assert above.count("\n") < 25
    clone, install, separate = (shlex.split(line) for line in block.strip().splitlines())
    assert clone[:2] == ["git", "clone"]
    assert clone[-3:] == ["&&", "cd", "sepkit"]
    assert install[:3] == ["pip", "install", "."]
    packages = [ROOT / folder for folder in install[2:]]
    assert all((folder / "pyproject.toml").exists() for folder in packages)
    assert separate[:2] == ["sepkit", "separate"]
    name = parsed(shlex.join(separate[1:]))["model"]
    published = "".join(path.read_text(encoding="utf-8") for folder in packages[1:] for path in folder.rglob("*.py"))
    assert f'name="{name}"' in published
