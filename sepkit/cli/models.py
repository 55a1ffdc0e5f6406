"""`sepkit models list|info|fetch|import`"""

from pathlib import Path
from typing import Any

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb
from sepkit.terminal import Column, Table, command


@click.group()
def models() -> None:
    """Look at models, registered ones and files, and bring weights from elsewhere."""


@models.command("list", cls=Verb)
def list_models() -> Report:
    """Show the registered models and their settings, and the pretrained ones: size, licence, whether they are here."""
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
    table = Table([Column("network"), Column("from"), Column("description", "text")])
    for row in rows:
        table.add(row["name"], f"{row['distribution']} {row['version']}", row["summary"])
    pretrained = _pretrained()
    more = f"All settings of one: {command('models', 'info', 'NAME')}. Train one: model.name of a config"
    return Report({"models": rows, "pretrained": pretrained}, [*_pretrained_table(pretrained), table, more])


def _pretrained() -> list[dict[str, Any]]:
    """Return a row for each trained model: the one that comes with sepkit, and those that plugins offer."""
    from sepkit.checkpoints import packaged
    from sepkit.checkpoints.pretrained import summary
    from sepkit.registry import PRETRAINED

    rows = [packaged.summary()] if packaged.PATH.is_file() else []
    rows += [
        {"distribution": e.plugin.distribution, "version": e.plugin.version, **summary(e.component)}
        for e in PRETRAINED.entries()
    ]
    return rows


def _pretrained_table(rows: list[dict[str, Any]]) -> list[Any]:
    if not rows:
        from sepkit.plugins import install

        return [f"Pretrained models come with plugin packages: {install('sepkit-spleeter')}"]
    headings = Column("stems", "text"), Column("MB", "number"), Column("licence", "text"), Column("score", "text")
    table = Table([Column("pretrained"), *headings, Column("speed", "number"), Column("here")])
    for row in rows:
        table.add(
            row["name"], ", ".join(row["sources"]), f"{row['bytes'] / 1e6:.0f}", row["licence"],
            row["score"] or "not stated", f"{row['speed']:.3g}x" if row["speed"] else "",
            "yes" if row["on_disk"] else "no",
        )  # fmt: skip
    return [
        table,
        "speed: seconds of audio a second, as measured on this machine",
        f"More of one: {command('models', 'info', 'NAME')}. Use it: {command('separate', 'song.mp3', '-m', 'NAME')}",
    ]


@models.command(cls=Verb)
@click.argument("subject", metavar="FILE|NAME")
def info(subject: str) -> Report:
    """Show what a model file holds, a pretrained model, or a registered one with its defaults: parameters and FLOPs
    included.
    """
    from sepkit.checkpoints import packaged
    from sepkit.checkpoints.info import describe
    from sepkit.checkpoints.locate import is_here, locate
    from sepkit.checkpoints.pretrained import describe as describe_pretrained
    from sepkit.registry import PRETRAINED

    if not is_here(subject) and subject == packaged.NAME and packaged.PATH.is_file():
        data = describe(packaged.PATH)
    elif not is_here(subject) and subject in {entry.name for entry in PRETRAINED.entries()}:
        data = describe_pretrained(subject)
    else:
        is_file = is_here(subject) or Path(subject).suffix or Path(subject).exists()
        data = describe(locate(subject) if is_file else subject)
    width = max(len(key) for key in data) + 2
    lines = []
    for key, value in data.items():
        several = isinstance(value, list) and any(isinstance(item, dict) for item in value)
        for number, item in enumerate(value if several else [value]):
            lines.append(f"{'' if number else key.replace('_', ' '):<{width}}{_text(item)}")
    return Report(data, lines)


@models.command(cls=Verb)
@click.argument("name", metavar="NAME")
@click.option(
    "--sha256", metavar="HEX", default="",
    help="Checksum that you trust of a file without a published one.",
)  # fmt: skip
def fetch(name: str, sha256: str) -> Report:
    """Download a pretrained model now, to use it later without a network. `-m NAME` does it at the first use."""
    from sepkit.checkpoints.pretrained import fetch as fetch_model

    path = fetch_model(name, sha256)
    return Report(
        {"name": name, "model": str(path)}, [f"Model: {path}", f"Next: {command('separate', 'song.mp3', '-m', name)}"]
    )


@models.command("import", cls=Verb)
@click.argument("file", type=options.FILE)
@click.option(
    "--config", type=options.FILE, metavar="CONFIG", required=True, help="Describes the network: [audio] and [model]."
)
@options.overrides
@click.option(
    "-o", "--output", type=options.FILE, metavar="FILE", required=True, help="The model file to write (.safetensors)."
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
def import_weights(file: Path, config: Path, overrides: tuple[str, ...], output: Path, overwrite: bool) -> Report:
    """Make a model file of weights from elsewhere: FILE is PyTorch's own, such as .pth, .pt or .ckpt.

    The weights must be those of the network that CONFIG describes. Nothing in FILE is run: what holds more than
    weights is refused.
    """
    from sepkit import config as configs
    from sepkit.checkpoints.import_weights import convert

    done = convert(file, output, configs.load(config, overrides), overwrite=overwrite)
    data = {
        "file": str(file),
        "model": str(done.path),
        "tensors": done.tensors,
        "parameters": done.parameters,
        "notes": list(done.notes),
    }
    human = [
        f"Imported {done.tensors} tensors, {done.parameters} parameters, from {file}",
        *done.notes,
        f"Model: {done.path}",
        f"Next: {command('separate', 'song.mp3', '-m', done.path)}",
    ]
    return Report(data, human)


def _text(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{key}={_text(item)}" for key, item in value.items())
        case list():
            return ", ".join(map(_text, value))
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
