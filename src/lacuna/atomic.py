"""Files that are whole or absent: temporary file in the same folder, fsync, ``os.replace``."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacuna.errors import DataError

TEMPORARY = ".partial-"


def fsync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut (a no-op where folders cannot be opened)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes ``target``, on any failure it is removed.

    Whatever ``target`` held before stays intact until the new content is safely on disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY}{secrets.token_hex(6)}-{target.name}"
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(target.parent)


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target`` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write UTF-8 ``content`` to ``target`` atomically."""
    write_bytes(target, content.encode("utf-8"))


def write_json(target: Path, content: Any) -> None:
    """Write ``content`` as strict JSON (a NaN is refused with ``ValueError``) to ``target`` atomically."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class Stored:
    """A file whose name carries its content's hash, as a manifest refers to it."""

    name: str
    bytes: int
    sha256: str

    def check(self, folder: Path, *, verify: bool = True) -> Path:
        """Return the file's path if it is what was stored.

        Args:
            folder: where it should be.
            verify: compare the SHA-256 too, not only the size.

        Raises:
            DataError: it is missing, truncated or changed.
        """
        path = folder / Path(self.name).name
        size = path.stat().st_size if path.is_file() else None
        if size == self.bytes and not (verify and sha256(path) != self.sha256):
            return path
        raise DataError(
            f"{path.name} is not what was written",
            corpus=folder.name,
            expected=f"{self.bytes} bytes, sha256 {self.sha256[:12]}",
            found="no such file" if size is None else f"{size} bytes" + (", another sha256" if size == self.bytes else ""),
            hint="make it again from its source",
        )


def store(folder: Path, stem: str, suffix: str, write: Callable[[Path], None]) -> Stored:
    """Write a file under a name that carries its hash; a manifest written afterwards is the moment it counts.

    Args:
        folder: made if needed.
        stem: first part of the name.
        suffix: extension without the dot.
        write: writes the content to the path that it is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{TEMPORARY}{secrets.token_hex(6)}-{stem}"
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        digest = sha256(temporary)
        stored = Stored(f"{stem}-{digest[:12]}.{suffix}", temporary.stat().st_size, digest)
        os.replace(temporary, folder / stored.name)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(folder)
    return stored


def sweep_stale(folder: Path, stem: str, keep: Iterable[str]) -> None:
    """Delete files stored under ``stem`` that no manifest names any more, and temporary files of killed processes."""
    kept = set(keep)
    for path in [*folder.glob(f"{stem}-*"), *folder.glob(f"{TEMPORARY}*-{stem}")]:
        if path.is_file() and path.name not in kept:
            path.unlink(missing_ok=True)
