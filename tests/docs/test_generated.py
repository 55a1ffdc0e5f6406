"""The pages of docs that follow from the code: commands, settings, and the order of the rooms."""

import re
import tomllib

import click
import pytest
from click.testing import CliRunner

from docs.generate import PAGES
from sepkit.cli.app import sepkit
from sepkit.config import RunConfig
from sepkit.registry import COMPONENT_REGISTRIES
from tests.conftest import ROOT
from tests.docs.command_line import parsed

DOCS = ROOT / "docs"


def paths(command, path=()):
    """Every command, as the words that are typed after `sepkit`."""
    yield path
    for name, child in command.commands.items() if isinstance(command, click.Group) else ():
        yield from paths(child, (*path, name))


def keys(values, path=""):
    """Every key of a config, with the table that it stands in."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from keys(value, f"{path}.{key}".lstrip("."))
        else:
            yield path, key


@pytest.mark.parametrize("page", list(PAGES))
def test_a_generated_page_is_what_the_code_says(page):
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), f"docs/{page} is out of date: make docs"


@pytest.mark.parametrize("path", list(paths(sepkit)), ids=" ".join)
def test_the_help_of_every_command_is_there_as_it_is_printed(path):
    shown = CliRunner(env={"COLUMNS": "82"}).invoke(sepkit, [*path, "--help"], prog_name="sepkit")
    assert shown.exit_code == 0
    assert f"## {' '.join(['sepkit', *path])}\n```\n{shown.output}```\n" in (DOCS / "commands.md").read_text()


def test_every_key_has_its_row_with_a_description():
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    sections = {part.split("\n")[0]: part for part in re.split(r"^#+ ", page, flags=re.MULTILINE)}
    wanted = [
        (f"[{table}]" if table else "All settings", key)
        for table, key in keys(RunConfig().model_dump(mode="json", include={"seed", "audio", "train", "separate"}))
    ]
    builtin = [(r.kind, e) for r in COMPONENT_REGISTRIES for e in r.entries() if e.plugin.distribution == "sepkit"]
    wanted += [
        (f'{kind} `name = "{e.name}"`', key) for kind, e in builtin for key in e.component.model_fields if key != "name"
    ]
    assert len(builtin) > 25
    assert len(wanted) > 80
    for section, key in wanted:
        assert re.search(
            rf"^\| `{key}` \| .+ \| [^|]*\w[^|]* \|$", sections[section].replace("\\|", ""), re.MULTILINE
        ), (section, key)


def test_the_rooms_of_the_architecture_are_the_layers_that_are_checked():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`\w+`.*?) \|", page, re.MULTILINE)]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["sepkit"]]
    assert rows == [layer.split(" | ") for layer in reversed(layers)]


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_what_a_page_refers_to_exists(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert (DOCS / target).exists(), f"docs/{page} links to {target}"
    for file in re.findall(r"`((?:data|separation|training|audio|evaluation)/[\w/]+\.py)`", text):
        assert (ROOT / "sepkit" / file).exists(), f"docs/{page} names {file}"


@pytest.mark.parametrize("page", ["README.md", "README.ko.md", "docs/own-stems.md"])
def test_the_commands_of_the_tours_exist_with_their_options(page):
    lines = re.findall(r"^\$ sepkit (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        parsed(line)
