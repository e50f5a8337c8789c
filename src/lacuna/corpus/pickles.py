"""Read foreign pickles with an unpickler that knows containers and arrays only; no other module unpickles.

A pickle is a program, but corpora of this field are published as pickles. This unpickler runs the opcodes and resolves only
names on a short list: numpy arrays and scalars, containers, and CPU torch tensors, whose inner archive is read with
``weights_only=True``. Any other name stops the read before it is imported. Allowed names are wrapped, so that they can be
called and not changed. Array layouts are rebuilt from checked parts, because numpy trusts a pickled dtype.
"""

from __future__ import annotations

import collections
import io
import math
import mmap
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.identity import Identity, identify
from lacuna.corpus.pickle_work import check_work
from lacuna.errors import DataError, UnsafePickleError

_HINT = "if you trust the file, convert it to .npz with the tool that wrote it, and import the .npz"
_LEAVES = (str, float, int, bytes, bool, type(None), np.float64, np.float32, np.int64)

_FREE_PARTS, _PARTS_PER_BYTE = 10_000_000, 16  # that a pickle may hold when shared parts are counted every time


def read_pickle(path: Path, limit: int = 16 << 30) -> Any:
    """Return the content of a pickle of containers, numbers, strings and arrays; Python 2 strings are decoded as latin1.

    Args:
        path: the file.
        limit: refuse larger files, in bytes.

    Returns:
        Plain Python containers, numpy arrays and scalars; torch tensors become arrays.

    Raises:
        UnsafePickleError: it names something outside the allow-list; nothing was imported or called.
        DataError: the file is too large, truncated or not a pickle.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise DataError(
                "the pickle is too large to read",
                corpus=path.name,
                expected=f"at most {limit} bytes",
                found=size,
                hint="save the arrays as .npz instead",
            )
        with path.open("rb") as handle:
            if size:
                with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    check_work(data)
            content, parts = _plain(_Restricted(handle, encoding="latin1").load(), {})
        if parts > _FREE_PARTS + _PARTS_PER_BYTE * size:
            raise UnsafePickleError(f"its {size} bytes hold {parts:.3g} parts, because parts are shared many times")
        return content
    except DataError:
        raise
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path.name} was not read: {error}\n  do: {_HINT}") from None
    except RecursionError:
        raise DataError("the pickle nests too deeply", corpus=path.name, hint="save the arrays as .npz instead") from None
    except Exception as error:  # a broken pickle may raise anything
        identity = identify(path) if path.is_file() else Identity("no file")
        found = identity.kind if identity.action else f"{identity.kind}; {type(error).__name__}: {error}"
        raise DataError("not a readable pickle", corpus=path.name, found=found, hint=identity.action or None) from None


class _Call:
    """A wrapper of an allowed name: it can be called, and BUILD cannot change it."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise UnsafePickleError("it changes an allowed object")

    def __setstate__(self, state: object) -> None:
        raise UnsafePickleError("it changes an allowed object")


class _Kind:
    """A pickled dtype: only a code and a byte order; numpy's own ``__setstate__`` would trust any layout."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or code[:1] not in "biufcSUO?" or not (code[1:] or "0").isdigit():
            raise UnsafePickleError(f"it holds an array of the unsupported kind {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, order, *layout = state
        order = order.decode("latin1") if isinstance(order, bytes) else order
        size = layout[3] if len(layout) > 3 else -1
        text = self.dtype.kind in "SU" and isinstance(size, int) and 0 <= size < 1 << 20
        if any(part is not None for part in layout[:3]) or order not in tuple("<>|="):
            raise UnsafePickleError("it holds an array whose layout is not a plain one")
        if not text and size not in (-1, self.dtype.itemsize):
            raise UnsafePickleError("it holds an array whose items have an impossible size")
        if text:
            self.dtype = np.dtype(f"{self.dtype.kind}{size // (4 if self.dtype.kind == 'U' else 1)}")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class _Array:
    """An array while it is read: numpy's own ``__setstate__`` crashes on the state of a damaged pickle."""

    __slots__ = ("array",)
    __hash__ = None  # type: ignore[assignment]
    array: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        *_, shape, kind, fortran, data = state
        if not isinstance(kind, _Kind) or not isinstance(shape, tuple):
            raise UnsafePickleError("it holds an array of an unknown kind")
        if kind.dtype.kind == "O":
            if not isinstance(data, list):
                raise UnsafePickleError("it holds an array of objects without objects")
            flat = np.empty(len(data), object)
            for index, item in enumerate(data):  # one by one, because numpy would unpack items that are lists
                flat[index] = item
        else:
            raw = data.encode("latin1") if isinstance(data, str) else data
            flat = np.frombuffer(raw, kind.dtype) if len(raw) else np.zeros(0, kind.dtype)
        if min(shape, default=0) < 0 or math.prod(shape) != len(flat):
            raise ValueError(f"{len(flat)} items for an array of shape {shape}")
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class _Subtype:
    """A placeholder for ``numpy.ndarray``: only a checked array can be built from it."""

    __slots__ = ()


def _reconstruct(subtype: Any, shape: Any, code: Any) -> _Array:
    if not isinstance(subtype, _Subtype):
        raise UnsafePickleError("it makes an array of a foreign class")
    return _Array()


def _scalar(kind: Any, content: Any = b"") -> Any:
    if not isinstance(kind, _Kind) or kind.dtype.kind == "O":
        raise UnsafePickleError("it holds a scalar of an unknown kind")
    raw = content.encode("latin1") if isinstance(content, str) else bytes(memoryview(content))
    if len(raw) != kind.dtype.itemsize:
        raise ValueError(f"a scalar of {len(raw)} bytes instead of {kind.dtype.itemsize}")
    return np.frombuffer(raw, kind.dtype)[0] if raw else kind.dtype.type()


def _frombuffer(buffer: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
    if not isinstance(kind, _Kind):
        raise UnsafePickleError("it holds an array of an unknown kind")
    array = np.frombuffer(buffer, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    return array if axes is None else array.transpose(axes)


_PICKLES_OF_TORCH = 5  # in its format before archives: magic number, version, system, content, keys; then the numbers


def _storage(content: bytes) -> Any:
    import torch  # imported here: a corpus without torch pickles needs no torch

    if content[:2] == b"PK":
        raise UnsafePickleError("it holds a torch storage in an archive")
    position = 0
    for _ in range(_PICKLES_OF_TORCH):
        position = check_work(content, position)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> NDArray[Any]:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise UnsafePickleError("it makes a tensor of something else than a storage")
    flat = torch.tensor([], dtype=storage.dtype)
    raw = storage._untyped_storage
    length = raw.nbytes() // flat.element_size()
    size, stride = [int(n) for n in size], [int(n) for n in stride]
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min([offset, *size, *stride]) < 0 or (0 not in size and last >= length):
        raise ValueError("a tensor that lies outside its storage")  # torch would grow the storage
    if math.prod(size) > length + (1 << 20):
        raise UnsafePickleError("it holds a tensor that repeats its numbers many times")
    flat = flat.set_(raw, 0, (length,), (1,))
    return np.ascontiguousarray(flat.as_strided(size, stride, offset).numpy())


def _content(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a constructor that accepts content only: ``bytes(n)`` would allocate any size that a pickle asks for."""

    def build(*arguments: Any) -> Any:
        if arguments and isinstance(arguments[0], int):
            raise UnsafePickleError("it allocates memory without content")
        return make(*arguments)

    return build


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Return latin1 bytes, as Python 2 and numpy write them; other codecs are refused, so no codec look-up runs."""
    if encoding.replace("-", "").lower() not in ("latin1", "iso88591"):
        raise UnsafePickleError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


_BUILTINS: dict[str, Callable[..., Any]] = {
    "set": set,
    "frozenset": frozenset,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "slice": slice,
    "complex": complex,
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "bytes": _content(bytes),
    "bytearray": _content(bytearray),
}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Call(collections.OrderedDict),
    ("collections", "defaultdict"): _Call(lambda *_: {}),  # the factory is not kept
    ("numpy", "ndarray"): _Subtype(),
    ("numpy", "dtype"): _Call(_Kind),
    ("_codecs", "encode"): _Call(_encode),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
    ("torch.storage", "_load_from_bytes"): _Call(_storage),
    **{(module, name): _Call(make) for module in ("builtins", "__builtin__") for name, make in _BUILTINS.items()},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Call(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Call(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Call(_frombuffer) for core in ("core", "_core")},
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except (KeyError, TypeError):
            raise UnsafePickleError(f"it asks for '{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("it refers to objects outside the file")


def _plain(value: Any, done: dict[int, Any]) -> tuple[Any, int]:
    """Return the content with the helpers of this module replaced by their values, and the number of its parts.

    Shared parts stay shared, and are counted every time.

    Args:
        value: what was loaded.
        done: by identity of a part: the part, its replacement, and its number of parts (0 while it is being examined).

    Raises:
        UnsafePickleError: a part holds itself, or is a function or a class.
    """
    if type(value) in _LEAVES:
        return value, 1
    if id(value) in done:
        _, result, count = done[id(value)]
        if not count:
            raise UnsafePickleError("it holds a container that holds itself")
        return result, count
    result = value
    if isinstance(value, _Array):
        result = value.array
    elif isinstance(value, _Kind):
        result = value.dtype
    elif isinstance(value, (_Call, _Subtype)):
        raise UnsafePickleError("it holds a function or a class")
    done[id(value)] = (value, result, 0)  # keep the value too, so that its id is not reused
    count = 1
    if isinstance(result, np.ndarray) and result.dtype.kind == "O":
        for index, item in enumerate(result.flat):
            result.flat[index], parts = _plain(item, done)
            count += parts
    elif isinstance(result, (list, dict)):
        count += len(result)
        for key, item in result.items() if isinstance(result, dict) else enumerate(result):
            if type(item) not in _LEAVES:
                result[key], parts = _plain(item, done)
                count += parts
    elif isinstance(result, (tuple, set, frozenset)):
        cleaned = [_plain(item, done) for item in result]
        result, count = type(result)(item for item, _ in cleaned), count + sum(parts for _, parts in cleaned)
    done[id(value)] = (value, result, count)
    return result, count
