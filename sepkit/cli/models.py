"""`sepkit models list|info`"""

from pathlib import Path
from typing import Any

import click

from sepkit.cli.verb import Report, Verb


@click.group()
def models() -> None:
    """Look at models: registered ones, and files."""


@models.command("list", cls=Verb)
def list_models() -> Report:
    """Show the registered models and their settings."""
    from rich.table import Table

    from sepkit.registry import MODELS

    entries = MODELS.entries()
    rows: list[dict[str, Any]] = [
        {
            "name": e.name,
            "distribution": e.plugin.distribution,
            "version": e.plugin.version,
            "summary": (e.component.__doc__ or "").strip().split("\n")[0],
            "settings": [key for key in e.component.model_fields if key != "name"],
        }
        for e in entries
    ]
    table = Table("model", "from", "what it is", "settings")
    for row in rows:
        table.add_row(
            row["name"], f"{row['distribution']} {row['version']}", row["summary"], ", ".join(row["settings"])
        )
    return Report({"models": rows}, [table])


@models.command(cls=Verb)
@click.argument("subject", metavar="FILE|NAME")
def info(subject: str) -> Report:
    """Show what a model file holds, or a registered model with its defaults: parameters and FLOPs included."""
    from sepkit.checkpoints.info import describe
    from sepkit.checkpoints.locate import locate

    is_file = Path(subject).suffix or Path(subject).exists()
    data = describe(locate(subject) if is_file else subject)
    width = max(len(key) for key in data)
    return Report(data, [f"{key:<{width}}  {_text(value)}" for key, value in data.items()])


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
