"""A mask network that ONNX Runtime computes, in the place of the one that PyTorch would."""

import json
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from sepkit.errors import ConfigError, reason

# The key of the manifest among the properties of the file; of its keys, the one of the numbers of the mask network.
MANIFEST, NUMBERS = "sepkit", "numbers"
_FATAL = 4  # the log level; what goes wrong is raised


def available() -> bool:
    """Return whether ONNX Runtime is installed, without importing it."""
    return find_spec("onnxruntime") is not None


def require(*packages: str) -> None:
    """Raise ConfigError where a package of `sepkit[onnx]` is missing, or does not import."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(f"ONNX needs {' and '.join(missing)}: pip install 'sepkit[onnx]'")
    for name in packages:
        try:
            import_module(name)
        except Exception as error:
            raise ConfigError(
                f"{name} is installed, but does not import ({reason(error)}): pip install --force-reinstall {name}"
            ) from error


class OnnxNetwork(nn.Module):
    """Spectra [batch, ..., frames] -> masks, in float32 on the CPU; it may be called from several threads at once.

    The numbers that the exported network had as attributes, such as its `bins`, it has as well.
    """

    def __init__(self, exported: bytes, threads: int = 1) -> None:
        """`exported` is a whole file, from `sepkit.export.sealed`; `threads` is how many compute for one call.

        With a call on each core, one thread each is the fastest.
        """
        require("onnxruntime")
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        # A pattern is a block for all that a call needs, laid out beforehand: no faster here, and larger.
        options.enable_mem_pattern = False
        # A thread that waits actively would take the core of another call.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
        self._take_numbers(self._session.get_modelmeta().custom_metadata_map.get(MANIFEST, "{}"))

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return the mask. Memory is shared with ONNX Runtime, not copied."""
        samples = spectrum.detach().contiguous().numpy()
        (mask,) = self._session.run([self._output], {self._input: samples})
        return torch.from_numpy(mask)

    def _take_numbers(self, manifest: str) -> None:
        for name, number in json.loads(manifest).get(NUMBERS, {}).items():
            if not hasattr(self, name):
                setattr(self, name, number)
