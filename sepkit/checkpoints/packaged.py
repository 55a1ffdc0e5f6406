"""The trained model that comes with sepkit, which separates where no other one is named."""

from pathlib import Path
from typing import Any

from sepkit.cache.speeds import speed_of
from sepkit.checkpoints import model_file
from sepkit.terminal import command

NAME = "vocals"
PATH = Path(__file__).parent.parent / "models" / "vocals.safetensors"


def notice() -> str:
    """Return a line for users who have named no model: the score of this one, and a better one.

    Raises:
        ModelFileError: the file is damaged.
    """
    score = model_file.load(PATH).manifest.score
    better = command("models", "info", "spleeter")
    return f"No model is named, so the built-in {NAME} separates ({score}). Better: -m spleeter ({better})"


def summary() -> dict[str, Any]:
    """Return a row of a listing, as JSON values, like those of pretrained models.

    Raises:
        ModelFileError: the file is damaged.
    """
    loaded = model_file.load(PATH)
    manifest = loaded.manifest
    return {
        "distribution": manifest.provider.distribution,
        "version": manifest.sepkit,
        "name": NAME,
        "summary": "comes with sepkit, and separates where no model is named",
        "licence": manifest.licence,
        "score": manifest.score,
        "model": manifest.model.name,
        "sample_rate": manifest.audio.sample_rate,
        "channels": manifest.audio.channels,
        "sources": list(manifest.audio.sources),
        "bytes": PATH.stat().st_size,
        "files": [],
        "on_disk": str(PATH),
        "speed": speed_of(loaded.checksum),
    }
