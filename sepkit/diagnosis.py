"""Diagnosis packages, devices, formats and plugins of this machine, with a way to get each that is missing."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal

from sepkit.errors import reason
from sepkit.plugins import builtin, external

# Packages that must import.
_REQUIRED = ("torch", "torchaudio", "av", "soundfile", "safetensors", "pydantic", "numpy", "onnx", "onnxruntime")

_MUSEVAL = "imports only with ffmpeg; sdr and si_sdr need neither"
_TENSORBOARD = "optional, shows training: pip install 'sepkit[tensorboard]'"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check. "missing" is optional, "refused" is a plugin for another sepkit; only "broken" is a fault."""

    name: str
    state: Literal["ok", "missing", "refused", "broken"]
    detail: str


def diagnose() -> list[Diagnosis]:
    """Return all checks. An exception becomes a check that is broken."""
    return [
        Diagnosis("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Diagnosis("sepkit", "ok", version("sepkit")),
        *(_guarded(name, partial(_package, name)) for name in _REQUIRED),
        _guarded("devices", _devices),
        _guarded("formats", _formats, "soundfile av"),
        _ffmpeg(),
        _optional("museval", _MUSEVAL, found=bool(shutil.which("ffmpeg") and find_spec("museval"))),
        _optional("tensorboard", _TENSORBOARD, found=find_spec("tensorboard") is not None),
        *_plugins(),
    ]


def _guarded(name: str, check: Callable[[], Diagnosis], packages: str = "") -> Diagnosis:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  a broken package may raise anything, and that is the finding
        if name in ("torch", "torchaudio", "devices"):
            advice = "Install torch and torchaudio of one release and one build, both for the CPU or both for CUDA"
        else:
            advice = f"Reinstall it: pip install --force-reinstall {packages or name}"
        return Diagnosis(name, "broken", f"{reason(error)}. {advice}")


def _package(name: str) -> Diagnosis:
    import_module(name)
    return Diagnosis(name, "ok", version(name))


def _devices() -> Diagnosis:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = ["mps"] if torch.backends.mps.is_available() else []
    text = f"cpu ({torch.get_num_threads()} threads)"
    return Diagnosis("devices", "ok", ", ".join([*(f"cuda: {g}" for g in gpus), *found, text]))


def _formats() -> Diagnosis:
    import soundfile

    known = soundfile.available_formats()
    absent = [name for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF") if name not in known]
    detail = f"libsndfile {soundfile.__libsndfile_version__}"
    if absent:
        return Diagnosis("formats", "missing", f"{detail} cannot read {', '.join(absent)}: pip install -U soundfile")
    others = f"PyAV {version('av')}: m4a, mp4, aac, wma, mkv, webm"
    return Diagnosis("formats", "ok", f"{detail}: wav, flac, mp3, ogg, aiff; {others}")


def _ffmpeg() -> Diagnosis:
    path = shutil.which("ffmpeg")
    advice = "only the metric museval needs it: apt-get, brew or winget install ffmpeg"
    return Diagnosis("ffmpeg", "ok", path) if path else Diagnosis("ffmpeg", "missing", advice)


def _optional(name: str, advice: str, *, found: bool) -> Diagnosis:
    return Diagnosis(name, "ok", version(name)) if found else Diagnosis(name, "missing", advice)


def _plugins() -> list[Diagnosis]:
    checks = []
    for plugin in (*builtin()[1], *external()[1]):
        state = plugin.state if plugin.state in ("refused", "broken") else "ok"
        checks.append(Diagnosis(f"plugin {plugin.id}", state, plugin.error or plugin.version))
    return checks
