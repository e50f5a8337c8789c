"""Foreign pickles: the one place where they are read, through an unpickler that knows containers and arrays only.

A pickle is a program. Corpora of this field come as pickles all the same, so this one runs the opcodes but resolves no
name outside a short list: numpy arrays and scalars, sets and ordered dictionaries, and CPU torch tensors, whose inner
archive is read with ``weights_only=True``. Anything else stops before it is imported.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lacuna.errors import DataError, UnsafePickleError

_HINT = "if you trust the file, convert it to .npz with the tool that made it, and import that"


def read_pickle(path: Path, limit: int = 16 << 30) -> Any:
    """Read a pickle of containers, numbers, strings and arrays; Python-2 strings are decoded as latin1.

    Args:
        path: the file.
        limit: refuse larger files, in bytes.

    Raises:
        UnsafePickleError: it names anything outside the allow-list; nothing of that was imported or called.
        DataError: the file is too large, truncated or not a pickle.
    """
    size = path.stat().st_size
    if size > limit:
        raise DataError("the pickle is too large to read", corpus=path.name, expected=f"at most {limit} bytes", found=size)
    try:
        with path.open("rb") as handle:
            return _Restricted(handle, encoding="latin1").load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path.name} was not read: {error}\n  do: {_HINT}") from None
    except RecursionError:
        raise DataError("the pickle nests too deeply", corpus=path.name) from None
    except Exception as error:
        raise DataError("not a readable pickle", corpus=path.name, found=f"{type(error).__name__}: {error}") from None


def _storage(content: bytes) -> Any:
    import torch  # here: a corpus without torch pickles needs no torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(*arguments: Any) -> Any:
    import torch

    rebuilt = torch._utils._rebuild_tensor_v2(*arguments[:6])  # type: ignore[no-untyped-call]
    return rebuilt.detach().numpy()


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding="latin1": _encode(text, encoding),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
}
for _module in ("builtins", "__builtin__"):
    for _name in (
        "set",
        "frozenset",
        "bytearray",
        "complex",
        "list",
        "dict",
        "tuple",
        "int",
        "float",
        "str",
        "bool",
        "bytes",
        "slice",
    ):
        _ALLOWED[_module, _name] = getattr(__import__("builtins"), _name)
for _module in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_module}.multiarray", "_reconstruct"] = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    _ALLOWED[f"{_module}.multiarray", "scalar"] = np._core.multiarray.scalar  # type: ignore[attr-defined]
    _ALLOWED[f"{_module}.numeric", "_frombuffer"] = np._core.numeric._frombuffer  # type: ignore[attr-defined]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """What Python 2 and numpy use to write bytes; only this one codec, so no codec look-up runs."""
    if encoding.replace("-", "").lower() not in ("latin1", "iso88591"):
        raise UnsafePickleError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise UnsafePickleError(f"it asks for '{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("it refers to objects outside the file")
