"""`sepkit plugins list|new`"""

import shlex
from typing import Any

import click

from sepkit.cli.verb import Report, Verb
from sepkit.terminal import Column, Table, command, program


@click.group()
def plugins() -> None:
    """Look at the packages that provide components, and make a new one."""


@plugins.command("list", cls=Verb)
def list_plugins() -> Report:
    """Show every plugin: its distribution, version, what it provides, and what failed and why."""
    from sepkit.plugins import builtin, external
    from sepkit.registry import REGISTRIES

    found = [*builtin()[1], *external()[1]]
    rows: list[dict[str, Any]] = []
    for plugin in found:
        provided = [(r.kind, e.name) for r in REGISTRIES for e in r.entries() if e.plugin == plugin]
        ignored = [(r.kind, e.name) for r in REGISTRIES for e in r.shadowed() if e.plugin == plugin]
        rows.append(
            {
                "distribution": plugin.distribution,
                "version": plugin.version,
                "entry": plugin.entry,
                "provides": {
                    kind: [n for k, n in provided if k == kind] for kind in dict.fromkeys(k for k, _ in provided)
                },
                "ignored": [f"{kind} {name}: built in" for kind, name in ignored],
                "error": plugin.error or None,
            }
        )
    table = Table([Column("distribution"), Column("version"), Column("entry point"), Column("provides", "text")])
    for row, plugin in zip(rows, found, strict=True):
        lines = [f"{kind}: {', '.join(names)}" for kind, names in row["provides"].items()]
        lines += [f"ignored, {text}" for text in row["ignored"]]
        lines += [f"not loaded: {plugin.error}"] if plugin.error else []
        table.add(plugin.distribution, plugin.version, plugin.entry, "\n".join(lines) or "nothing")
    return Report({"plugins": rows}, [table])


@plugins.command(cls=Verb)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["model", "dataset", "loss", "metric", "augmentation"]),
    default="model",
    show_default=True,
    help="What the package provides.",
)
def new(name: str, kind: str) -> Report:
    """Make the folder NAME: a plugin package with one component that works, tests, and a README.

    NAME is foo or sepkit-foo; the component is called foo.
    """
    from sepkit.scaffold.new_plugin import new_plugin

    made = new_plugin(name, kind)
    following = [
        f"{shlex.join(program('pip'))} install -e './{made.folder}[test]'",
        f"{shlex.join(program('pytest'))} {made.folder}",
        command("train", "configs/vocals.toml", "--set", made.setting),
    ]
    data = {
        "folder": str(made.folder),
        "kind": made.kind,
        "component": made.component,
        "distribution": made.distribution,
        "package": made.package,
        "files": list(made.files),
        "next": following,
    }
    human = [
        f'{made.distribution}, with the {made.kind} "{made.component}", in {made.folder}:',
        *(f"  {file}" for file in made.files),
        "Next:",
        *(f"  {command}" for command in following),
    ]
    return Report(data, human)
