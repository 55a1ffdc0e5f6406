"""The pickle inside a file of PyTorch, followed with stand-ins: nothing is imported, called or allocated.

Every opcode, call and number in it must be one that a state dict needs and that the storages beside it cover.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from pickletools import genops
from typing import Any

import torch

from sepkit.errors import ModelFileError, reason

ADVICE = 'Nothing in it was run. Get the weights alone: torch.save(model.state_dict(), "weights.pth")'
_MOST_DIMENSIONS = 16

_STORAGES = {
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
_GLOBALS = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *_STORAGES,
    *(str(dtype).replace(".", " ") for dtype in _STORAGES.values()),
}


def check_pickle(path: Path, content: bytes, sizes: Mapping[str, int]) -> None:
    """Raise ModelFileError unless unpickling `content` makes plain data, and tensors within entries of these sizes."""
    _check_globals(path, content)
    _Outline(path, sizes).follow(content)


def storages(path: Path, content: bytes) -> dict[str, tuple[torch.dtype, int]]:
    """As `check_pickle`, if only the pickle has the sizes: return the dtype and count of numbers of each storage.

    Raises:
        ModelFileError: unpickling `content` would make more than plain data, and tensors within these storages.
    """
    _check_globals(path, content)
    outline = _Outline(path, None)
    outline.follow(content)
    return outline.storages


def _check_globals(path: Path, content: bytes) -> None:
    """Refuse a pickle with a global that no state dict needs, before any other check."""
    for name in _globals(path, content):
        if name not in _GLOBALS:
            raise ModelFileError(
                f"{path}: its pickle asks for {name.replace(' ', '.')[:100]}, which weights do not. {ADVICE}"
            )


def _globals(path: Path, content: bytes) -> Iterator[str]:
    """Yield every global as "module name". One from the stack is guessed from the last values pushed."""
    pushed: deque[Any] = deque([None, None], maxlen=2)
    memo: dict[Any, Any] = {}
    for name, argument in _opcodes(path, content):
        if name in ("GLOBAL", "INST"):
            yield argument
        elif name == "STACK_GLOBAL":
            yield " ".join(text if isinstance(text, str) else "<computed>" for text in pushed)
        elif name.startswith("EXT"):
            yield f"copyreg extension {argument}"
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = pushed[-1]
        elif name != "FRAME":
            pushed.append(memo.get(argument) if "GET" in name else argument)


def _opcodes(path: Path, content: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for opcode, argument, _ in genops(content):
            yield opcode.name, argument
    except ValueError as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: its pickle is broken ({reason(error)[:200]}). {ADVICE}")


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: torch.dtype
    numel: int


class _Weight:
    """Stands for a tensor."""


class _Outline:
    """Follows a pickle with stand-ins for storages and tensors, and refuses steps that a state dict does not need."""

    def __init__(self, path: Path, sizes: Mapping[str, int] | None) -> None:
        """`sizes` of the entries in bytes; None if the pickle itself holds them."""
        self._path = path
        self._sizes = sizes
        self._storages: dict[str, _Storage] = {}
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def follow(self, content: bytes) -> None:
        """Raise ModelFileError unless unpickling `content` makes plain data and tensors within their storages."""
        try:
            for name, argument in _opcodes(self._path, content):
                self._step(name, argument)
        except (ValueError, LookupError, TypeError) as error:
            raise _broken(self._path, error) from None

    @property
    def storages(self) -> dict[str, tuple[torch.dtype, int]]:
        """The dtype and count of numbers of each storage in use."""
        return {key: (storage.dtype, storage.numel) for key, storage in self._storages.items()}

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                self._push(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                self._push({"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}[name]())
            case "MARK":
                self._below.append(self._stack)
                self._stack = []
            case "TUPLE":
                self._push(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._push(tuple(self._last(int(name[-1]))))
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "BINGET" | "LONG_BINGET":
                self._push(self._memo[argument])
            case "APPEND" | "APPENDS":
                self._extend(self._since_mark() if name == "APPENDS" else self._last(1))
            case "SETITEM" | "SETITEMS":
                self._fill(self._since_mark() if name == "SETITEMS" else self._last(2))
            case "GLOBAL":
                self._push(_Global(argument))
            case "BINPERSID":
                self._push(self._storage(*self._last(1)))
            case "REDUCE":
                self._push(self._called(*self._last(2)))
            case "BUILD":
                self._check_attributes(*self._last(1))
            case "PROTO":
                self._check_protocol(argument)
            case "STOP":
                self._last(1)
            case _:
                raise self._refused(f"the opcode {name}")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _check_protocol(self, number: int) -> None:
        if number != 2:
            raise self._refused(f"pickle protocol {number}, where torch.save writes 2 unless told otherwise")

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("an empty stack")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        taken, self._stack = self._stack, self._below.pop()
        return taken

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise self._refused("an addition to something else than a list")
        self._stack[-1].extend(items)

    def _fill(self, items: list[Any]) -> None:
        """Set the items of a dict. Keys that are nested too deeply would end the process as they are hashed."""
        if type(self._stack[-1]) not in (dict, OrderedDict) or not all(type(key) in (str, int) for key in items[::2]):
            raise self._refused("a dict whose keys are neither text nor numbers")
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _check_attributes(self, state: Any) -> None:
        if type(self._stack[-1]) is not OrderedDict or type(state) is not dict or set(state) != {"_metadata"}:
            raise self._refused("attributes of an object")

    def _storage(self, asked: Any) -> _Storage:
        match asked:
            # Before 1.6 a storage could be a view of another one; None says that it is not.
            case ("storage", _Global(kind), str(key), str(), int(numel), *view) if kind in _STORAGES and (
                view == ([None] if self._sizes is None else [])
            ):
                storage = _Storage(key, _STORAGES[kind], numel)
            case _:
                raise self._refused("something stored that is no tensor")
        if self._sizes is not None and storage.dtype.itemsize * numel != self._sizes.get(f"data/{key}"):
            raise self._refused(f"{numel} numbers of the entry data/{key[:20]}, which has another size")
        if self._storages.setdefault(key, storage) != storage:
            raise self._refused(f"the entry data/{key} as two kinds of numbers")
        return storage

    def _called(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case _Global("collections OrderedDict"), ():
                return OrderedDict()
            case _Global("torch Size"), (tuple(size),) if _is_shape(size):
                return size
            case (
                _Global("torch._utils _rebuild_tensor_v2"),
                (_Storage() as storage, int(offset), tuple(size), tuple(stride), bool(), OrderedDict() as hooks),
            ) if not hooks:
                self._check_extent(storage, offset, size, stride)
                return _Weight()
            case _Global("torch._utils _rebuild_parameter"), (_Weight() as data, bool(), OrderedDict() as hooks) if (
                not hooks
            ):
                return data
        raise self._refused("a call that makes no weights")

    def _check_extent(self, storage: _Storage, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]) -> None:
        """Refuse a tensor that reaches beyond its storage, or shows numbers of it more than once (stride 0)."""
        if not _is_shape(size) or not _is_shape(stride) or len(size) != len(stride) or offset < 0:
            raise self._refused("a tensor whose shape is none")
        if prod(size) > storage.numel:
            raise self._refused(f"a tensor of the shape {size}, larger than its {storage.numel} numbers in the file")
        reach = offset + sum((s - 1) * step for s, step in zip(size, stride, strict=True))
        if prod(size) and reach >= storage.numel:
            raise self._refused("a tensor that reaches beyond its numbers in the file")

    def _refused(self, part: str) -> ModelFileError:
        return ModelFileError(f"{self._path}: its pickle asks for {part}. {ADVICE}")


def _is_shape(numbers: tuple[Any, ...]) -> bool:
    return len(numbers) <= _MOST_DIMENSIONS and all(type(n) is int and 0 <= n < 1 << 62 for n in numbers)
