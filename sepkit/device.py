"""The name of the device that computes, found without importing PyTorch where only a CPU can be meant."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

from sepkit.errors import ConfigError

DEVICES = ("cuda", "mps", "cpu")

# The driver's library, which PyTorch loads first of all for CUDA; ROCm, which PyTorch calls cuda as well, has a device.
_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
_ROCM = Path("/dev/kfd")


def choose(name: str) -> str:
    """Return the device called "cpu", "cuda" or "mps"; "auto" takes the first of cuda, mps, cpu that is there.

    Raises:
        ConfigError: the device is not available here.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in DEVICES if available[device])
    if not available.get(name, False):
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise ConfigError(f'device "{name}" is not available here; available: {there}')
    return name


def may_have_gpu() -> bool:
    """Return False where PyTorch would find no GPU: no driver, and no Apple processor."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return _ROCM.exists() or _loads(_DRIVERS.get(sys.platform, ""))


def _loads(library: str) -> bool:
    try:
        return bool(library) and ctypes.CDLL(library) is not None
    except OSError:
        return False


def cpu_threads() -> int:
    """Return the number of threads that compute at the same time: $OMP_NUM_THREADS, as in PyTorch, or one a core."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isascii() and asked.isdigit() and int(asked):
        return int(asked)
    return cores()


def cores() -> int:
    """Return the number of cores that this process may use."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1
