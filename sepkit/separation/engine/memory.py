"""Detect exhausted memory, and return memory to the system."""

import ctypes
import sys

# The words of torch, its MPS backend, ONNX Runtime and C++, which share no class of errors.
_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate memory", "bad_alloc")
MOST_CHUNKS = 32
# glibc's number of a setting: the count of heaps for the threads of a process.
_M_ARENA_MAX = -8


def exhausted(error: Exception) -> bool:
    """Return whether an error means that memory did not suffice."""
    text = str(error).lower()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(words in text for words in _WORDS)


def share_one_heap() -> None:
    """Let all threads of this process share one heap, if the C library is glibc.

    By default each thread has a heap of its own, and memory freed in one is kept from the others.
    """
    _glibc("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Return freed memory to the system, if the C library is glibc, which keeps it."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*arguments)
