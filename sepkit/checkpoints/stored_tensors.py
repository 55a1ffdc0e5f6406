"""The tensors of a safetensors file as their bytes, read one at a time without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from safetensors import safe_open

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

# PyTorch's names of the format's dtypes; PyTorch has no others.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip
# All bits of the exponent, which are set in NaN and infinity alone.
_EXPONENTS = {
    "float64": (np.uint64, 0x7FF0_0000_0000_0000), "float32": (np.uint32, 0x7F80_0000),
    "float16": (np.uint16, 0x7C00), "bfloat16": (np.uint16, 0x7F80),
}  # fmt: skip


class StoredTensor(NamedTuple):
    """A tensor's dtype as PyTorch calls it, its shape, and its bytes [byte]."""

    dtype: str
    shape: tuple[int, ...]
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, tensor: Tensor) -> StoredTensor:
        """Return a tensor's bytes, which it shares; it must be contiguous and on the CPU."""
        import torch

        dtype = str(tensor.dtype).removeprefix("torch.")
        return cls(dtype, tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy())

    def tensor(self) -> Tensor:
        """Return the tensor, which shares the bytes."""
        import torch

        dtype: torch.dtype = getattr(torch, self.dtype)
        if not self.data.size:  # an empty array has no views
            return torch.empty(self.shape, dtype=dtype)
        return torch.from_numpy(self.data).view(dtype).reshape(self.shape)

    def is_finite(self) -> bool:
        """Return False for floating-point numbers with NaN or infinity among them."""
        if self.dtype not in _EXPONENTS:
            return True
        kind, exponent = _EXPONENTS[self.dtype]
        mask = kind(exponent)
        return not bool(((self.data.view(kind) & mask) == mask).any())


class StoredTensors:
    """Context manager: an open file, whose tensors are read on access, and its metadata.

    Tensors are copies: truncation of a mapped file would kill the process.

    Raises:
        SafetensorError, ValueError, OSError: not a safetensors file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with safe_open(path, "np"):  # which checks all of the header
            self._file = path.open("rb")
        try:
            size = int.from_bytes(self._file.read(8), "little")
            self._entries: dict[str, Any] = json.loads(self._file.read(size))
        except BaseException:
            self._file.close()
            raise
        self.metadata: dict[str, str] = self._entries.pop("__metadata__", {})
        self._start = 8 + size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> StoredTensor:
        entry = self._entries[name]
        first, last = entry["data_offsets"]
        self._file.seek(self._start + first)
        data = np.fromfile(self._file, np.uint8, last - first)
        if len(data) < last - first:
            raise ValueError(f"{name} ends before it should")
        return StoredTensor(_DTYPES[entry["dtype"]], tuple(entry["shape"]), data)
