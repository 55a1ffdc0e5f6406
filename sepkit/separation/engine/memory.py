"""How to tell that memory did not suffice, and how to give it back."""

import ctypes
import sys

# How torch, its MPS backend, ONNX Runtime and C++ say it; they share no class of errors.
_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate memory", "bad_alloc")
MOST_CHUNKS = 32
# glibc's number of a setting: how many heaps the threads of a process have.
_M_ARENA_MAX = -8


def exhausted(error: Exception) -> bool:
    """Return whether `error` says that memory did not suffice."""
    text = str(error).lower()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(words in text for words in _WORDS)


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
