"""What all verbs share: --json, --debug, one line per error, and the exit code."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import click

from sepkit.errors import SepkitError


@dataclass(frozen=True, slots=True)
class Report:
    """What a verb returns: plain data for --json, and the same for a person (text, or something rich prints)."""

    data: dict[str, Any]
    human: list[Any] = field(default_factory=list)
    exit_code: int = 0


class Verb(click.Command):
    """A command whose function returns a Report."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["--json", "as_json"], is_flag=True, help="One JSON object on stdout, and nothing else there."
            ),
            click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
        ]

    def invoke(self, ctx: click.Context) -> None:
        """Run the verb, print its report, and exit with its code."""
        as_json, debug = ctx.params.pop("as_json"), ctx.params.pop("debug")
        try:
            report: Report = super().invoke(ctx)
        except SepkitError as error:
            if debug:
                raise
            if as_json:
                _print_json({"error": str(error), "exit_code": error.exit_code})
            click.echo(f"Error: {_one_line(str(error))}", err=True)
            ctx.exit(error.exit_code)
        if as_json:
            _print_json(report.data)
        else:
            _print_human(report.human)
        ctx.exit(report.exit_code)


def run(group: click.Group, args: list[str] | None) -> int:
    """Run the command line and return its exit code; usage errors are one line as well."""
    _warn_on_stderr()
    try:
        result = group.main(args, standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"Error: {_one_line(error.format_message())}{_help_hint(error)}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    return result if isinstance(result, int) else 0


def _print_json(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data, allow_nan=False, ensure_ascii=False, indent=2))


def _print_human(parts: list[Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for part in parts:
        if isinstance(part, str):
            click.echo(part)
        else:
            console.print(part)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _help_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f" See: {error.ctx.command_path} --help"
    return ""


class _OnStderr(logging.Handler):
    """Prints each warning as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"{record.levelname.capitalize()}: {_one_line(record.getMessage())}", err=True)


def _warn_on_stderr() -> None:
    logger = logging.getLogger("sepkit")
    if not logger.handlers:
        logger.addHandler(_OnStderr(logging.WARNING))
        logger.propagate = False
