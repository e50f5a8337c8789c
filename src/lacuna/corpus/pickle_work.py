"""Bound the work and memory that a pickle asks for, from its opcodes, before it is loaded.

A few hundred bytes can ask for hours: tuples that hold the same tuple twice are hashed at a cost of two to the power of their
depth, a memo index makes the unpickler allocate a table of that length, a length of bytes makes it allocate a buffer. This
module follows the opcodes as the unpickler does, but keeps two numbers for each object only: how many objects it holds when
those that are shared are counted every time, and how deeply it nests.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from mmap import mmap

from lacuna.errors import UnsafePickleError

MAX_DEPTH = 400  # of containers in containers; hashing deeper ones can overflow the stack of the process
MAX_OPERATIONS = 100_000_000
_FREE_WORK = 10_000_000  # objects hashed or passed to constructors that any pickle may ask for
_WORK_PER_OPERATION = 64

Size = list[int]  # of an object: number of objects in it (itself too), depth; a list, because it grows with its object
_LEAF: Size = [1, 0]
_LINES = {"GLOBAL": 2, "INST": 2}
_FIXED = {
    pickletools.uint1: 1,
    pickletools.uint2: 2,
    pickletools.int4: 4,
    pickletools.uint4: 4,
    pickletools.uint8: 8,
    pickletools.float8: 8,
}
_COUNTED = {
    pickletools.string1: 1,
    pickletools.string4: 4,
    pickletools.bytes1: 1,
    pickletools.bytes4: 4,
    pickletools.bytes8: 8,
    pickletools.bytearray8: 8,  # type: ignore[attr-defined]
    pickletools.unicodestring1: 1,
    pickletools.unicodestring4: 4,
    pickletools.unicodestring8: 8,
    pickletools.long1: 1,
    pickletools.long4: 4,
}


def _layout(opcode: pickletools.OpcodeInfo) -> tuple[str, int, int, int]:
    """Return name, bytes of a fixed argument, bytes of the count of a counted argument, and lines of a text argument."""
    if opcode.arg is None:
        return opcode.name, 0, 0, 0
    fixed, counted = _FIXED.get(opcode.arg, 0), _COUNTED.get(opcode.arg, 0)
    return opcode.name, fixed, counted, 0 if fixed or counted else _LINES.get(opcode.name, 1)


class _Machine:
    """The stack and the memo of an unpickler, with sizes in place of objects."""

    def __init__(self) -> None:
        self.stack: list[Size] = []
        self.marks: list[list[Size]] = []  # the stacks below the marks
        self.memo: dict[int, Size] = {}
        self.operations = 0
        self.work = 0

    def put(self, index: int) -> None:
        if not 0 <= index <= self.operations:
            raise UnsafePickleError(f"it numbers an object {index}, after {self.operations} operations")
        self.memo[index] = self.stack[-1]

    def items(self) -> list[Size]:
        """Return what lies above the last mark, and go back to the stack below it."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def pop(self, count: int) -> list[Size]:
        """Return the topmost objects."""
        if len(self.stack) < count:
            raise IndexError
        if not count:
            return []
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def new(self, items: list[Size]) -> None:
        """Push an object that holds others."""
        self.stack.append([1, 0])
        self.grow(items)

    def grow(self, items: list[Size]) -> None:
        """Add objects to the topmost one."""
        size = self.stack[-1]
        if size is _LEAF:
            size = self.stack[-1] = [1, 0]
        for count, depth in items:
            size[0] += count
            if depth >= size[1]:
                size[1] = depth + 1
        if size[1] > MAX_DEPTH:
            raise RecursionError(f"more than {MAX_DEPTH} containers inside each other")

    def spend(self, items: list[Size]) -> None:
        """Count objects that are hashed or passed to a constructor."""
        self.work += sum(size[0] for size in items)
        if self.work > _FREE_WORK + _WORK_PER_OPERATION * self.operations:
            raise UnsafePickleError("it asks for much more work than its size explains, by parts that are shared many times")


def check_work(data: bytes | mmap, start: int = 0) -> int:
    """Check one pickle.

    Args:
        data: bytes, or a memory-mapped file.
        start: where the pickle begins.

    Returns:
        Where it ends.

    Raises:
        UnsafePickleError: it asks for more memory or work than its size explains.
        RecursionError: it nests deeper than :data:`MAX_DEPTH`.
        pickle.UnpicklingError: it is cut off or damaged.
    """
    machine, position, length = _Machine(), start, len(data)
    try:
        while True:
            step, name, fixed, counted, lines = _OPCODES[data[position]]
            position += 1
            argument = b""
            if fixed:
                argument = data[position : position + fixed]
                position += fixed
            elif counted:
                size = int.from_bytes(data[position : position + counted], "little")
                position += counted + size
            for _ in range(lines):
                end = data.find(b"\n", position)
                if end < 0:
                    raise IndexError
                argument, position = data[position:end] if end - position < 32 else b"", end + 1
            if position > length:
                raise IndexError
            machine.operations += 1
            if name == "STOP":
                return position
            if name == "FRAME" and int.from_bytes(argument, "little") > length - position:
                raise IndexError
            step(machine, argument)
            if machine.operations > MAX_OPERATIONS:
                raise UnsafePickleError(f"it has more than {MAX_OPERATIONS:,} parts")
    except (IndexError, KeyError, ValueError):
        raise pickle.UnpicklingError("the pickle is cut off or damaged") from None


def _push(machine: _Machine, argument: bytes) -> None:
    machine.stack.append(_LEAF)


def _keep(machine: _Machine, argument: bytes) -> None:
    """Leave the sizes as they are."""


def _put(machine: _Machine, argument: bytes) -> None:
    machine.put(int.from_bytes(argument, "little"))


def _get(machine: _Machine, argument: bytes) -> None:
    machine.stack.append(machine.memo[int.from_bytes(argument, "little")])


def _mark(machine: _Machine, argument: bytes) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: _Machine, argument: bytes) -> None:
    if machine.stack:
        machine.stack.pop()
    else:  # the topmost thing is a mark
        machine.items()


def _pop_mark(machine: _Machine, argument: bytes) -> None:
    machine.items()


def _set_item(machine: _Machine, argument: bytes) -> None:
    pair = machine.pop(2)
    machine.spend(pair[:1])
    machine.grow(pair)


def _gather(*, spent: slice = slice(0), new: bool) -> Step:
    """Return the step of an opcode that takes what lies above the last mark.

    Args:
        spent: which of the objects are hashed.
        new: whether they become a new object; otherwise they are added to the one below the mark.
    """

    def step(machine: _Machine, argument: bytes) -> None:
        items = machine.items()
        machine.spend(items[spent])
        (machine.new if new else machine.grow)(items)

    return step


def _call(count: int) -> Step:
    def step(machine: _Machine, argument: bytes) -> None:
        items = machine.pop(count)
        machine.spend(items)
        machine.new(items)

    return step


def _replace(count: int) -> Step:
    def step(machine: _Machine, argument: bytes) -> None:
        machine.pop(count)
        machine.stack.append(_LEAF)

    return step


Step = Callable[[_Machine, bytes], None]
_ALL, _KEYS = slice(None), slice(None, None, 2)
_STEPS: dict[str, Step] = {  # of the opcodes that do more than push a plain value
    "PROTO": _keep,
    "FRAME": _keep,
    "READONLY_BUFFER": _keep,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GET": lambda machine, argument: machine.stack.append(machine.memo[int(argument)]),
    "MEMOIZE": lambda machine, argument: machine.put(len(machine.memo)),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "PUT": lambda machine, argument: machine.put(int(argument)),
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": lambda machine, argument: machine.stack.append(machine.stack[-1]),
    **{f"EMPTY_{kind}": lambda machine, argument: machine.new([]) for kind in ("LIST", "DICT", "SET", "TUPLE")},
    **{f"TUPLE{n}": lambda machine, argument, n=n: machine.new(machine.pop(n)) for n in (1, 2, 3)},  # type: ignore[misc]
    "TUPLE": _gather(new=True),
    "LIST": _gather(new=True),
    "DICT": _gather(spent=_KEYS, new=True),
    "FROZENSET": _gather(spent=_ALL, new=True),
    "OBJ": _gather(spent=_ALL, new=True),
    "INST": _gather(spent=_ALL, new=True),
    "APPENDS": _gather(new=False),
    "SETITEMS": _gather(spent=_KEYS, new=False),
    "ADDITEMS": _gather(spent=_ALL, new=False),
    "APPEND": lambda machine, argument: machine.grow(machine.pop(1)),
    "BUILD": lambda machine, argument: machine.grow(machine.pop(1)),
    "SETITEM": _set_item,
    "REDUCE": _call(2),
    "NEWOBJ": _call(2),
    "NEWOBJ_EX": _call(3),
    "STACK_GLOBAL": _replace(2),
    "BINPERSID": _replace(1),
}
_OPCODES = {ord(opcode.code): (_STEPS.get(opcode.name, _push), *_layout(opcode)) for opcode in pickletools.opcodes}
