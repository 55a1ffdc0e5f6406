"""How much fits into memory, and how to tell that it did not."""

import ctypes
import sys
from collections.abc import Callable

import torch

# How torch, its MPS backend, ONNX Runtime and C++ say it; they share no class of errors.
_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate memory", "bad_alloc")
# Share of the free memory of a GPU that chunks may take.
_SHARE = 0.7
MOST_CHUNKS = 32
# Bytes from which on glibc asks the system for a block of its own. By itself it raises the limit to 32 MB, and keeps
# what threads have freed below it: half as much again as what is in use.
_OWN_BLOCK = 2**20
_M_MMAP_THRESHOLD = -3


def exhausted(error: Exception) -> bool:
    """Return whether `error` says that memory did not suffice."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(words in text for words in _WORDS)


def free_batch(run_one: Callable[[], object], device: torch.device) -> int:
    """Return how many chunks fit into the memory of a GPU, from what one of them takes."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run_one()
    taken = max(1, torch.cuda.max_memory_allocated(device) - before)
    torch.cuda.empty_cache()
    return max(1, min(MOST_CHUNKS, int(_SHARE * torch.cuda.mem_get_info(device)[0] / taken)))


def give_back_early() -> None:
    """Let this process return memory to the system as soon as it is free, where the C library is glibc."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _OWN_BLOCK)
