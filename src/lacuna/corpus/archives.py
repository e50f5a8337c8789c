"""Open zip archives whose directory is small: an archive of a few megabytes can name a hundred thousand files."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lacuna.errors import DataError

MAX_ENTRIES = 10_000
_DIRECTORY = MAX_ENTRIES * 512  # bytes of a directory that is read
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_UNKNOWN = 0xFFFFFFFF  # the size is in the record of large archives


def open_archive(path: Path) -> zipfile.ZipFile:
    """Return an open zip archive of at most :data:`MAX_ENTRIES` entries.

    Raises:
        DataError: it has more.
        zipfile.BadZipFile: it is damaged.
    """
    if (size := _directory_size(path)) > _DIRECTORY:
        raise _too_many(path, f"a directory of {size:,} bytes")
    archive = zipfile.ZipFile(path)
    if (count := len(archive.namelist())) > MAX_ENTRIES:
        archive.close()
        raise _too_many(path, f"{count:,} entries")
    return archive


def unpacked_size(path: Path) -> int:
    """Return the number of bytes of a file; of a ``.npz`` those of its arrays, as its directory states them."""
    size = path.stat().st_size
    if path.suffix.lower() != ".npz":
        return size
    try:
        with open_archive(path) as archive:
            return max(size, sum(entry.file_size for entry in archive.infolist()))
    except Exception:  # its importer explains what is wrong
        return size


def _too_many(path: Path, found: str) -> DataError:
    return DataError(
        "the archive has too many entries",
        corpus=path.name,
        expected=f"at most {MAX_ENTRIES:,}",
        found=found,
        hint="put all utterances into one array for each modality, or unpack the archive into a folder",
    )


def _directory_size(path: Path) -> int:
    """Return the number of bytes of the directory, from the records at the end of the archive; 0 if there is none."""
    with path.open("rb") as handle:
        start = max(0, handle.seek(0, 2) - (1 << 16) - 256)
        handle.seek(start)
        tail = handle.read()
    end = tail.rfind(_END)
    if end < 0:
        return 0
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    large = tail.rfind(_END64, 0, end)
    return int.from_bytes(tail[large + 40 : large + 48], "little") if size == _UNKNOWN and large >= 0 else size
