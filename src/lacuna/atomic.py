"""Write files and folders atomically: a temporary one in the same folder, fsync, then ``os.replace``.

The name of a temporary file or folder holds the host and the process that made it. What a killed process left is deleted when
another process writes to that folder for the first time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lacuna.errors import DataError

TEMPORARY = ".partial-"
SAFETENSORS_TEMPORARY = ".tmp??????"  # what safetensors itself writes first; a folder has one writer at a time
SCRATCH = "lacuna-"  # of folders in the temporary folder of the system
_DAY = 86_400.0  # seconds; what another host or an unknown process left is deleted after so long
_OWNER = re.compile(rf"(?:{re.escape(TEMPORARY)}|{SCRATCH})([0-9a-f]{{8}})\.(\d+)-")


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


def temporary_prefix(start: str = TEMPORARY) -> str:
    """Return the first part of the name of a temporary file or folder: its kind, the host and this process."""
    return f"{start}{_host()}.{os.getpid()}-"


@lru_cache(maxsize=1)
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def sweep_partial(folder: Path, start: str = TEMPORARY) -> list[Path]:
    """Delete the temporary files and folders in ``folder`` whose process has ended, and return their paths.

    Those of running processes of this host stay; those of other hosts, and of unknown processes, stay for a day.

    Args:
        folder: only its own entries are examined, not those of folders in it.
        start: first characters of the names.
    """
    deleted = []
    for path in folder.glob(f"{start}*") if folder.is_dir() else ():
        if _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            deleted.append(path)
    return deleted


def _is_abandoned(path: Path) -> bool:
    """Return whether the process that made a temporary file or folder has ended."""
    owner = _OWNER.match(path.name)
    if owner is None and not path.name.startswith(TEMPORARY):  # of another program
        return False
    try:
        if owner is not None and owner[1] == _host() and os.name == "posix":
            os.kill(int(owner[2]), 0)
            return False
        return time.time() - path.lstat().st_mtime > _DAY
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # the process belongs to another user, or the file is gone
        return False


@lru_cache(maxsize=4096)
def _sweep_once(folder: Path) -> None:
    """Delete what killed processes left in a folder, once in this process."""
    with suppress(OSError):
        sweep_partial(folder)


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Yield a new temporary folder in ``parent``, which is made if needed; it is deleted unless it was moved.

    Files in it can be moved to a place in ``parent`` by a rename; a whole folder by :func:`replace_folder`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep_partial(parent)
    with tempfile.TemporaryDirectory(prefix=temporary_prefix(), dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        Path(folder).mkdir(exist_ok=True)  # after a move, for the deletion


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder in the temporary folder of the system; it is deleted afterwards."""
    folder = make_scratch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_scratch() -> Path:
    """Return a new folder in the temporary folder of the system, after deleting those that killed processes left there."""
    with suppress(OSError):
        sweep_partial(Path(tempfile.gettempdir()), SCRATCH)
    return Path(tempfile.mkdtemp(prefix=temporary_prefix(SCRATCH)))


def replace_folder(source: Path, target: Path) -> None:
    """Move a complete folder to ``target`` on the same file system; what was there is deleted.

    ``target`` is whole or absent at any time: all files are on disk before the rename.
    """
    for path in source.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target.parent) as old:
        if target.exists():
            os.replace(target, old)
        os.replace(source, target)
    fsync_folder(target.parent)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path. On success it is renamed to ``target``; on any failure it is removed.

    The old content of ``target`` stays intact until the new content is on disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(target.parent.absolute())
    temporary = target.parent / f"{temporary_prefix()}{secrets.token_hex(6)}-{target.name}"
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
    _sweep_once(folder.absolute())
    temporary = folder / f"{temporary_prefix()}{secrets.token_hex(6)}-{stem}"
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
    for path in [*folder.glob(f"{stem}-*"), *folder.glob(f"{TEMPORARY}*-{stem}"), *folder.glob(SAFETENSORS_TEMPORARY)]:
        if path.is_file() and path.name not in kept:
            path.unlink(missing_ok=True)
