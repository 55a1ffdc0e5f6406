"""A command line that stands in a page: parsed as the real one is, and not run."""

import shlex
from typing import Any

import click

from sepkit.cli.app import sepkit


def parsed(line: str) -> dict[str, Any]:
    """Return the values of what is typed after `sepkit`; what does not exist raises.

    The parent matters: click keeps the names of `--help` that a command has when it is parsed first.
    """
    command: click.Command = sepkit
    parent, words = click.Context(sepkit, **sepkit.context_settings), shlex.split(line)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    return command.make_context(line, words, parent=parent).params
