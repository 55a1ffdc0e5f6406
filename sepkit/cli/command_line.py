"""The command that a user typed, to be shown again with other options."""

import os
import shlex
from collections.abc import Collection

import click
from click.core import ParameterSource

from sepkit.terminal import program


def rerun_command(ctx: click.Context, without: Collection[str] = (), adding: Collection[str] = ()) -> str:
    """Return the command line of a context, without some of its parameters and with some options more.

    Where torchrun has started it on this machine, so will the command.
    """
    name, *verb = ctx.command_path.split()
    words = [*_starter(name), *verb]
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name not in without and ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            words += _typed(parameter, ctx.params.get(name, True))
    return shlex.join([*words, *adding])


def _typed(parameter: click.Parameter, value: object) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(parameter, click.Argument):
        return [str(item) for item in values]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [parameter.opts[-1]]
    return [word for item in values for word in (parameter.opts[-1], str(item))]


def _starter(name: str) -> list[str]:
    world, here = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return program(name)
    machines = ["--nnodes", str(world // here)] if world > here else []
    return [*program("torchrun", "torch.distributed.run"), *machines, "--nproc-per-node", str(here), "-m", "sepkit"]
