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
# glibc's number of a setting: how many heaps the threads of a process have.
_M_ARENA_MAX = -8


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


def share_one_heap() -> None:
    """Let all threads of this process share what they free, where the C library is glibc.

    It would give each thread a heap of its own, and what one has freed would be kept from the others.
    """
    _glibc("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Return what is freed to the system, where the C library is glibc, which would keep it."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*arguments)
