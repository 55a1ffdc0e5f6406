"""The precision and threads of PyTorch."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from sepkit.errors import ConfigError


class _Threads:
    """torch's one number of threads, lent to those who need another at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._own = 0

    def lend(self, count: int) -> None:
        with self._lock:
            if not self._users:
                self._own = torch.get_num_threads()
            self._users += 1
            self._set(count)

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._set(self._own)

    def _set(self, count: int) -> None:
        if torch.get_num_threads() != count:  # each setting makes torch's pools of threads anew
            torch.set_num_threads(count)


_THREADS = _Threads()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let each thread that computes with torch from here on use `count` threads.

    It is one number for the process: of several users at a time the last one has it, and after all it is as before.
    """
    _THREADS.lend(count)
    try:
        yield
    finally:
        _THREADS.give_back()


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Let numbers below 1e-38 count as zero on the CPU: gradients are full of them, and each takes a hundred times as
    long as another number.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True, slots=True)
class Precision:
    """The number format of the network's arithmetic; weights and losses stay in float32."""

    device: str
    dtype: torch.dtype

    @classmethod
    def of(cls, setting: str, device: torch.device) -> "Precision":
        """Resolve the config's "auto", "fp32", "bf16" or "fp16" for a device.

        Raises:
            ConfigError: fp16 without CUDA: it needs a gradient scaler, which other devices lack.
        """
        if setting == "auto":
            setting = "fp16" if device.type == "cuda" else "bf16" if _computes_in_bf16(device) else "fp32"
        if setting == "fp16" and device.type != "cuda":
            raise ConfigError(f'precision "fp16" needs CUDA; on {device.type} use "auto", "bf16" or "fp32"')
        return cls(device.type, {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[setting])

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network runs."""
        return torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32)

    def scaler(self) -> torch.amp.GradScaler:
        """Return the gradient scaler: active for fp16, whose small gradients would vanish, else a no-op."""
        return torch.amp.GradScaler(self.device, enabled=self.dtype == torch.float16)


def _computes_in_bf16(device: torch.device) -> bool:
    """Return whether a CPU multiplies bfloat16 matrices by itself; where it cannot, bf16 is slower than fp32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(capabilities.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))
