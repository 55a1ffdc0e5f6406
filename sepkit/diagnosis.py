"""Check packages, devices, formats and plugins of this machine, with a way to get each that is missing."""

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


@dataclass(frozen=True, slots=True)
class Check:
    """One check. "missing" is optional, "refused" is a plugin for another sepkit; only "broken" is a fault."""

    name: str
    state: Literal["ok", "missing", "refused", "broken"]
    detail: str


def diagnose() -> list[Check]:
    """Return all checks. An exception becomes a check that is broken."""
    return [
        Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check("sepkit", "ok", version("sepkit")),
        *(_guarded(name, partial(_package, name)) for name in _REQUIRED),
        _guarded("devices", _devices),
        _guarded("formats", _formats, "soundfile av"),
        _ffmpeg(),
        _guarded("museval", _museval),
        _tensorboard(),
        *_plugins(),
    ]


def _tensorboard() -> Check:
    if find_spec("tensorboard") is None:
        return Check("tensorboard", "missing", "optional, shows training: pip install 'sepkit[tensorboard]'")
    return Check("tensorboard", "ok", version("tensorboard"))


def _guarded(name: str, check: Callable[[], Check], packages: str = "") -> Check:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  a broken package may raise anything, and that is the finding
        if name in ("torch", "torchaudio", "devices"):
            advice = "Install torch and torchaudio of one release and one build, both for the CPU or both for CUDA"
        else:
            advice = f"Reinstall it: pip install --force-reinstall {packages or name}"
        return Check(name, "broken", f"{reason(error)}. {advice}")


def _package(name: str) -> Check:
    import_module(name)
    return Check(name, "ok", version(name))


def _devices() -> Check:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = ["mps"] if torch.backends.mps.is_available() else []
    text = f"cpu ({torch.get_num_threads()} threads)"
    return Check("devices", "ok", ", ".join([*(f"cuda: {g}" for g in gpus), *found, text]))


def _formats() -> Check:
    import soundfile

    known = soundfile.available_formats()
    absent = [name for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF") if name not in known]
    detail = f"libsndfile {soundfile.__libsndfile_version__}"
    if absent:
        return Check("formats", "missing", f"{detail} cannot read {', '.join(absent)}: pip install -U soundfile")
    others = f"PyAV {version('av')}: m4a, mp4, aac, wma, mkv, webm"
    return Check("formats", "ok", f"{detail}: wav, flac, mp3, ogg, aiff; {others}")


def _ffmpeg() -> Check:
    path = shutil.which("ffmpeg")
    if path:
        return Check("ffmpeg", "ok", path)
    return Check(
        "ffmpeg", "missing",
        "only the metric museval needs it: apt-get, brew or winget install ffmpeg",
    )  # fmt: skip


def _museval() -> Check:
    if not shutil.which("ffmpeg"):
        return Check("museval", "missing", "imports only where ffmpeg is installed; sdr and si_sdr do without it")
    return Check("museval", "ok", version("museval"))


def _plugins() -> list[Check]:
    checks = []
    for plugin in (*builtin()[1], *external()[1]):
        state = plugin.state if plugin.state in ("refused", "broken") else "ok"
        checks.append(Check(f"plugin {plugin.id}", state, plugin.error or plugin.version))
    return checks
