"""The model file that is shipped: the weights of a run, matrices in half precision, and what is to be known of them."""

from __future__ import annotations

from pathlib import Path

from sepkit.atomic import Commit
from sepkit.checkpoints import model_file, tensor_file

LICENCE = "CC BY-SA 4.0"
LEARNED_FROM = (
    "everythingisremixed by SEK: four songs, voices and accompaniments (CC0 1.0)",
    "PJS corpus, J. Koguchi and S. Takamichi: 88 songs of one singer (CC BY-SA 4.0)",
    "Prompts of Asterisk, read by A. Smith and J. Wallack (CC BY-SA 3.0), C. Flora and for ivrvoice.ru (CC BY 3.0)",
    "flite's voice slt, on melodies of our own (free for any use, Carnegie Mellon University)",
    "Frets on Fire songs by Sectoid, Carlos Viola Iborra: four metal songs (MIT)",
    "Music of Endgame: Singularity, Max McCracken: seven songs (CC BY-SA 3.0)",
    "Freedoom's music without choirs (BSD) through FluidR3 and MuseScore General (MIT)",
    "Groove MIDI Dataset, Gillick et al. 2019: drums (CC BY 4.0) with bass and chords of our own",
)


def pack(trained: Path, target: Path, score: str) -> None:
    """Write `target` from the model or state file of a run. Vectors, as of batch norm, stay float32."""
    loaded = model_file.load(trained)
    weights = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in loaded.weights.items()}
    manifest = loaded.manifest.model_dump(mode="json")
    manifest |= {"licence": LICENCE, "learned_from": list(LEARNED_FROM), "score": score}
    with Commit() as commit:
        tensor_file.stage(commit, target, weights, manifest)
