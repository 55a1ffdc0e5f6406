"""`sepkit export`"""

from pathlib import Path

import click

from sepkit.cli import options
from sepkit.cli.verb import Report, Verb


@click.command(cls=Verb)
@click.argument("model", metavar="MODEL")
@click.option("--format", "kind", type=click.Choice(["onnx"]), default="onnx", show_default=True)
@click.option(
    "-o", "--output", type=options.FILE, metavar="FILE", help="The file to write. Default: beside MODEL, with its name."
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
def export(model: str, kind: str, output: Path | None, overwrite: bool) -> Report:
    """Write the network of MODEL for other programs: spectra in, masks out, with a manifest. It needs no PyTorch."""
    from sepkit.checkpoints import model_file
    from sepkit.checkpoints.locate import locate
    from sepkit.export import sealed

    loaded = model_file.load(locate(model))
    file = output or loaded.path.with_suffix(f".{kind}")
    size = sealed.write(loaded, file, overwrite=overwrite)
    human = [
        f"Exported {file}, {size / 1e6:.2g} MB",
        "Spectra in, masks out; its manifest describes them. A program that uses it: docs/onnx.md",
    ]
    return Report({"file": str(file), "bytes": size, "model": str(loaded.path), "sha256": loaded.checksum}, human)
