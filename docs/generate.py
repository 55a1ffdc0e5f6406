"""The generated pages of docs: every command's help, and every key of a config. `make docs` writes them, and a test
compares them with what is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from sepkit.cli.app import sepkit
from sepkit.component import AudioSpec
from sepkit.config import RunConfig
from sepkit.plugins import HOOKS, builtin, provided
from sepkit.settings import OptimizerSettings, ScheduleSettings, SeparateSettings, TrainSettings, ValidationSettings

FOLDER = Path(__file__).parent
WIDTH = 80
SECTIONS: tuple[tuple[str, Any], ...] = (
    ("audio", AudioSpec),
    ("train", TrainSettings),
    ("train.optimizer", OptimizerSettings),
    ("train.schedule", ScheduleSettings),
    ("train.validation", ValidationSettings),
    ("separate", SeparateSettings),
)
# The key of a config under which components of each kind stand.
KEYS = {
    "dataset": "[[datasets]]",
    "model": "[model]",
    "loss": "[[losses]]",
    "metric": "[[metrics]]",
    "augmentation": "[[augmentations]]",
}
MADE = "<!-- Made by `make docs` from the code: change it there. -->\n"


def commands_page() -> str:
    """Return docs/commands.md: the help of every command."""
    parts = [
        f"# All commands\n{MADE}\n"
        "What each prints with `--help`. How they are used: [training](training.md), [separating](separating.md), "
        "[evaluating](evaluating.md), and [from your own stems to a model](own-stems.md).\n"
    ]
    parts += [f"## {path}\n```\n{text}\n```\n" for path, text in _helps("sepkit", sepkit, None)]
    return "\n".join(parts)


def _helps(name: str, command: click.Command, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield the path and the help of a command and of all below it."""
    context = command.make_context(name, [], parent, resilient_parsing=True, terminal_width=WIDTH)
    yield context.command_path, command.get_help(context)
    for child, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _helps(child, below, context)


def settings_page() -> str:
    """Return docs/settings.md: the keys of every section and of every built-in component."""
    return "\n".join([_INTRODUCTION, _table(RunConfig), *_sections(), *_components()])


_INTRODUCTION = f"""# All settings
{MADE}
A config is a TOML file; what it leaves out has its default. `sepkit config show CONFIG` prints one with every value
filled in, `--set KEY=VALUE` replaces one, such as `--set train.optimizer.lr=3e-4` or `--set datasets.0.root=songs`, and
`sepkit config schema` prints a JSON schema for editors, with the components of installed plugins. Unknown keys are
refused where they stand, with what was probably meant.
"""


def _sections() -> Iterator[str]:
    for name, section in SECTIONS:
        yield f"## [{name}]\n{_table(section)}"


def _components() -> Iterator[str]:
    for hook, base in HOOKS.items():
        yield f"## {KEYS[base.kind]}: {base.kind} by name\n"
        for entry in provided(*builtin(), hook):
            summary = " ".join((entry.component.__doc__ or "").split("\n\n")[0].split())
            yield f'### {base.kind} `name = "{entry.name}"`\n{summary}\n\n{_table(entry.component)}'


def _table(section: Any) -> str:
    """Return a table of the keys of a pydantic class, but for the name that is given by the headline."""
    schema = TypeAdapter(section).json_schema()
    keys = {key: value for key, value in schema["properties"].items() if "const" not in value}
    if not keys:
        return "No settings.\n"
    rows = [Key.of(name, value).row for name, value in keys.items()]
    return "\n".join(["| key | type | default | limits | what it is |", "|---|---|---|---|---|", *rows, ""])


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section, in the words of a row."""

    name: str
    type: str
    default: str
    limits: str
    description: str

    @classmethod
    def of(cls, name: str, schema: dict[str, Any]) -> Key:
        """Return the key that a JSON schema describes. A table has no default: it has a section of its own."""
        is_table = "$ref" in schema or "$ref" in schema.get("items", {})
        default = "" if is_table or "default" not in schema else f"`{json.dumps(schema['default'])}`"
        return cls(name, _type(schema), default, ", ".join(_limits(schema)), schema.get("description", ""))

    @property
    def row(self) -> str:
        """The row of a Markdown table."""
        cells = (f"`{self.name}`", self.type, self.default, self.limits, self.description)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a key as TOML calls it."""
    if "$ref" in schema:
        return "table"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}s"
    if schema["type"] == "object":
        return f"table of {_type(schema['additionalProperties'])}s"
    if schema.get("format") == "path":
        return "path"
    name: str = schema["type"]
    return "float" if name == "number" else name


_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    for key, sign in _SIGNS.items():
        if key in schema:
            yield f"{sign} {schema[key]:g}" if schema[key] < 2**53 else f"{sign} 2^{schema[key].bit_length() - 1}"
    if "minItems" in schema:
        yield f"at least {schema['minItems']}"
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from (f"each {limit}" for limit in _limits(inner))


PAGES = {"commands.md": commands_page, "settings.md": settings_page}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")
