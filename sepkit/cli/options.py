"""Options that several verbs take."""

from pathlib import Path
from typing import Any

import click


class _File(click.Path):
    """A path; an empty one, such as that of an unset variable in quotes, would be the working folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty name", parameter, context)
        return super().convert(value, parameter, context)


FILE = _File(path_type=Path)

device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True,
    help="Where to compute.",
)  # fmt: skip
overrides = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True,
    help="Replace a value of the config, such as train.optimizer.lr=3e-4.",
)  # fmt: skip
data_dir = click.option(
    "--data-dir", type=FILE, metavar="DIR", help="Use this plain folder of songs instead of the config's datasets."
)


model = click.option(
    "-m", "--model", metavar="FILE|NAME", default="",
    help="Model file, or the name of a pretrained model. Default: $SEPKIT_MODEL, then "
    "checkpoints/best_model.safetensors.",
)  # fmt: skip
