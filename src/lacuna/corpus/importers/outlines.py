"""Inspect a pickle without running it: read its opcodes, or its content if it is small and safe."""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lacuna.corpus.pickles import read_pickle

PICKLES = (".pkl", ".pickle", ".p", ".pk")
_SHORT = 80  # longest string that an outline keeps


@dataclass(frozen=True)
class Outline:
    """What the opcodes of a pickle tell.

    Attributes:
        strings: distinct short strings (keys, ids) in order of appearance.
        names: what loading would import, as ``module.name``.
        first: the opcode of the outermost value: ``EMPTY_DICT``, ``EMPTY_LIST``, ...
    """

    strings: tuple[str, ...]
    names: tuple[str, ...]
    first: str

    @property
    def is_dict(self) -> bool:
        """Return whether the outermost value is a dictionary, in any protocol and of any standard class."""
        if self.first in ("EMPTY_DICT", "DICT"):
            return True
        first_names = self.names[:1] == ("collections.OrderedDict",) or self.names[:1] == ("collections.defaultdict",)
        return first_names and self.first in ("GLOBAL", "SHORT_BINUNICODE", "BINUNICODE")


class _Skipping:
    """A file that skips large binary values, so that inspecting a 10 GB pickle reads little of it."""

    def __init__(self, handle: IO[bytes], size: int) -> None:
        self._handle, self._size = handle, size

    def read(self, count: int) -> bytes:
        if count < 1 << 16:
            return self._handle.read(count)
        at = self._handle.tell()
        if count > self._size - at:
            raise ValueError("truncated")
        self._handle.seek(at + count)
        return bytes(count)

    def readline(self) -> bytes:
        return self._handle.readline(1 << 16)

    def tell(self) -> int:
        return self._handle.tell()


def outline(path: Path, operations: int = 200_000) -> Outline | None:
    """Return the outline of a pickle from its opcodes; nothing is executed.

    Args:
        path: any file.
        operations: read at most this many opcodes.

    Returns:
        The outline, or ``None`` if the file is not a pickle.
    """
    strings: dict[str, None] = {}
    names: dict[str, None] = {}
    memo: list[str] = []
    recent = ["", ""]
    first = ""
    try:
        with path.open("rb") as handle:
            if handle.read(1) not in (b"\x80", b"(", b"]", b"}", b"c"):
                return None
            handle.seek(0)
            source: Any = _Skipping(handle, path.stat().st_size)
            for number, (opcode, argument, _) in enumerate(pickletools.genops(source)):
                if not first and opcode.name not in ("PROTO", "FRAME", "MARK"):
                    first = opcode.name
                if opcode.name in ("GLOBAL", "INST"):
                    names[str(argument).replace(" ", ".")] = None
                elif opcode.name == "STACK_GLOBAL":
                    names[".".join(recent)] = None
                elif opcode.name == "MEMOIZE":
                    memo.append(recent[1])
                elif opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
                    recent = [recent[1], memo[argument]]
                elif isinstance(argument, str) and len(argument) <= _SHORT:
                    strings[argument] = None
                    recent = [recent[1], argument]
                if number >= operations:
                    break
    except Exception:  # a file that breaks the opcode reader is not a pickle
        return None
    return Outline(tuple(strings), tuple(names), first)


def peek_pickle(path: Path, limit: int = 64 << 20) -> Any:
    """Return the content of a small pickle, or ``None`` if it is large, unsafe, damaged or not a pickle."""
    try:
        return read_pickle(path, limit) if path.is_file() else None
    except Exception:  # inspecting a file must never fail
        return None
