"""The answer of the doctor, from another process where a library may end the process or never return.

Readers of parquet, Arrow, HDF5 and MATLAB files are written in C and C++. A damaged file can make them abort, which no
``except`` catches. The other process has limits of memory and time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NATIVE = (".parquet", ".feather", ".arrow", ".h5", ".hdf5", ".csd", ".mat")
MEMORY = "reading it needs more memory than there is"
MORE_MEMORY = "use a machine with more memory, or convert the data in parts"
_SECONDS, _SECONDS_PER_BYTE = 9.0, 1 / (20 << 20)  # limit of time: small files get an answer within ten seconds
_BYTES, _BYTES_PER_BYTE = 6 << 30, 8  # limit of address space
_PROGRAM = "from lacuna.corpus.diagnosis import answer; answer()"


@dataclass(frozen=True)
class Diagnosis:
    """The result of :func:`examine`.

    Attributes:
        path: last part of the path.
        kind: what the path is, in words.
        usable: whether it can be imported as it is.
        importer: name of the importer that reads it; ``lacuna`` for a stored corpus, ``None`` if none does.
        recognised: what each importer recognises, by name.
        summary: facts about the corpus, by heading.
        warnings: what the user should know.
        errors: why it cannot be used.
        advice: next step: settings as YAML, or a sentence.
    """

    path: str
    kind: str
    usable: bool = False
    importer: str | None = None
    recognised: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    advice: str = ""


def needs_guard(path: Path) -> bool:
    """Return whether a path, or a file in it, is read by a library that may end the process."""
    try:
        files = path.rglob("*") if path.is_dir() else [path]
        return any(file.suffix.lower() in NATIVE and file.is_file() for file in files)
    except (OSError, ValueError):
        return False


def guarded(path: Path, importer: str | None, options: Mapping[str, Any]) -> Diagnosis:
    """Return the diagnosis of another process, or what ended that process."""
    size = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    question = {"path": str(path), "importer": importer, "options": dict(options), "size": size}
    limit = _SECONDS + size * _SECONDS_PER_BYTE
    try:
        process = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=json.dumps(question, default=list).encode(),
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        error = f"reading it took longer than {limit:.0f} seconds and was stopped"
        return Diagnosis(path.name, "a file whose reader does not return", errors=(error,), advice=_AGAIN)
    if process.returncode == 0:
        content: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
        content |= {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
        return Diagnosis(**content)
    if process.returncode < 0:
        error = f"its reader was ended by {signal.Signals(-process.returncode).name}"
    else:
        error = (process.stderr.decode(errors="replace").strip().splitlines() or ["its reader ended"])[-1][:300]
    return Diagnosis(path.name, "a file that ends its reader", errors=(error,), advice=_AGAIN)


_AGAIN = "the file is probably damaged: write it again from its source, or save the arrays as .npz"


def answer() -> None:
    """Read a question from standard input, and write the diagnosis to standard output."""
    question = json.load(sys.stdin)
    _limit_memory(question["size"])
    from lacuna.corpus.doctor import examine_here  # here: the doctor imports this module

    try:
        diagnosis = examine_here(Path(question["path"]), question["importer"], question["options"])
    except MemoryError:
        diagnosis = Diagnosis(Path(question["path"]).name, "a file that does not fit", errors=(MEMORY,), advice=MORE_MEMORY)
    sys.stdout.write(f"\n{json.dumps(asdict(diagnosis))}\n")
    sys.stdout.flush()
    os._exit(0)  # a library that was given damaged data may still fail while it is unloaded


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, hard = _BYTES + _BYTES_PER_BYTE * size, resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
