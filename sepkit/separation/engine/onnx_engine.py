"""Compute masks in ONNX Runtime and the rest in numpy: on the CPU alone, without PyTorch."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np

from sepkit.arrays import Samples
from sepkit.component import SpectralFront
from sepkit.device import cpu_threads
from sepkit.errors import ConfigError, reason
from sepkit.separation.engine.engine import MOST_THREADS, Engine
from sepkit.separation.overlap_add import Chunking

_FATAL = 4  # the log level; errors are raised


def require(*packages: str) -> None:
    """Raise ConfigError if a package of ONNX is missing, or does not import."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(f"ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    for name in packages:
        try:
            import_module(name)
        except Exception as error:
            raise ConfigError(
                f"{name} is installed, but does not import ({reason(error)}): pip install --force-reinstall {name}"
            ) from error


class MaskNetwork:
    """An exported mask network: spectra [batch, ..., frames] -> masks, float32. Several threads may call it at once."""

    def __init__(self, exported: bytes) -> None:
        """`exported` is the content of a whole file, see `sepkit.export.sealed`.

        The calls share the cores: with a call on each core, one thread each is the fastest.
        """
        require("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, cpu_threads() // calls_at_once())
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        # A pattern is a block for all that a call needs, laid out beforehand: no faster here, and larger.
        options.enable_mem_pattern = False
        # A thread that waits actively would take the core of another call.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name

    def __call__(self, spectra: Samples) -> Samples:
        """Return the masks. Memory is shared with ONNX Runtime, not copied."""
        masks: Samples
        (masks,) = self._session.run([self._output], {self._input: np.ascontiguousarray(spectra)})
        return masks


def calls_at_once() -> int:
    """Return the number of calls that share the cores: each works on a chunk of its own, as it does in PyTorch."""
    return min(cpu_threads(), MOST_THREADS)


class OnnxEngine(Engine):
    """A spectral front in numpy around a mask network in ONNX Runtime."""

    def __init__(
        self, front: SpectralFront, masks: MaskNetwork, sample_rate: int, channels: int, chunking: Chunking
    ) -> None:
        super().__init__(sample_rate, channels, chunking)
        self._front = front
        self.masks = masks

    @property
    def threads(self) -> int:
        """The number of chunks to compute at the same time: one on each core."""
        return calls_at_once()

    def _run(self, inputs: Samples) -> Samples:
        return self._front(inputs, self.masks)
