"""`sepkit config show|schema`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb


@click.group()
def config() -> None:
    """Print a config or its schema."""


@config.command(cls=Verb)
@click.argument("config_file", metavar="[CONFIG]", required=False, type=options.FILE)
@options.overrides
def show(config_file: Path | None, overrides: tuple[str, ...]) -> Report:
    """Print CONFIG with every default filled in, as TOML; without CONFIG, the defaults alone."""
    from sepkit import config as configs

    loaded = configs.load(config_file, overrides)
    return Report(loaded.model_dump(mode="json"), [configs.dump_toml(loaded).rstrip()])


@config.command(cls=Verb)
def schema() -> Report:
    """Print the JSON schema of a config, the components of installed plugins included."""
    import json

    from sepkit import config as configs

    found = configs.json_schema()
    return Report(found, [json.dumps(found, indent=2)])
