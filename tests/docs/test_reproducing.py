"""docs/reproducing.md: nothing of results.md is left out, and its commands are those that there are."""

import re

import pytest

from sepkit import config as configs
from tests.conftest import ROOT
from tests.docs.command_line import parsed

PAGE = (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py")}


@pytest.mark.parametrize("heading", re.findall(r"^##+ (.+)$", RESULTS, re.MULTILINE))
def test_every_section_of_the_results_has_its_row(heading):
    anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    assert re.search(rf"^\| \[{re.escape(heading)}\]\(results\.md#{anchor}\) \| .*\w.* \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_script_is_named(script):
    assert re.search(rf"[`/]{script}[` ]", PAGE)


def test_the_scripts_that_are_run_exist_with_their_options():
    commands = re.findall(r"python benchmarks/(\S+?\.py)([^`\n]*)", PAGE)
    assert len(commands) > 10
    for script, arguments in commands:
        for option in re.findall(r"--[a-z-]+", arguments):
            assert f'"{option}"' in SCRIPTS[script], (script, option)


def test_the_commands_exist_with_their_options_and_their_settings():
    lines = re.findall(r"^sepkit (.+)$", PAGE, re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        given = parsed(line)
        if line.startswith("train "):
            configs.load(ROOT / given["config"], given["overrides"])
