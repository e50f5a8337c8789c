"""Write files atomically: a temporary file in the same folder, fsync, then ``os.replace``."""

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
    """Make a rename inside ``folder`` survive a power cut (does nothing where folders cannot be opened)."""
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
    """Yield a temporary path. On success it is renamed to ``target``; on any failure it is removed.

    The old content of ``target`` stays intact until the new content is on disk.
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
    """Write ``content`` as strict JSON to ``target`` atomically.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; the file is read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class Stored:
    """A manifest's entry for a file whose name holds a part of its hash.

    Attributes:
        name: file name.
        bytes: size of the file.
        sha256: hash of the content, in hexadecimal.
    """

    name: str
    bytes: int
    sha256: str

    def check(self, folder: Path, *, verify: bool = True) -> Path:
        """Return the path of the file after checking that its content is the stored one.

        Args:
            folder: folder of the file.
            verify: compare the SHA-256 as well as the size.

        Raises:
            DataError: the file is missing, truncated or changed.
        """
        path = folder / Path(self.name).name
        size = path.stat().st_size if path.is_file() else None
        if size == self.bytes and not (verify and sha256(path) != self.sha256):
            return path
        raise DataError(
            f"the content of {path.name} is not what was written",
            corpus=folder.name,
            expected=f"{self.bytes} bytes, sha256 {self.sha256[:12]}",
            found="no such file" if size is None else f"{size} bytes" + (", another sha256" if size == self.bytes else ""),
            hint="create it again from its source",
        )


def store(folder: Path, stem: str, suffix: str, write: Callable[[Path], None]) -> Stored:
    """Write a file under a name that holds a part of its hash; it takes effect when a manifest names it.

    Args:
        folder: created if it does not exist.
        stem: first part of the file name.
        suffix: file extension without the dot.
        write: function that writes the content to a path.

    Returns:
        The entry for the manifest.
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
    """Delete files stored under ``stem`` that are not in ``keep``, and temporary files of killed processes."""
    kept = set(keep)
    for path in [*folder.glob(f"{stem}-*"), *folder.glob(f"{TEMPORARY}*-{stem}")]:
        if path.is_file() and path.name not in kept:
            path.unlink(missing_ok=True)
