"""Identify what a file is from its first and last bytes, e.g. a Git LFS pointer or a web page instead of data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lacuna.corpus.archives import open_archive
from lacuna.errors import DataError

_HEAD = 1 << 12  # bytes read from the start
_AGAIN = "download the file again in binary mode, and compare its size with the size that the source states"
_RECORDING = "compute features first: lacuna features FOLDER --out CORPUS (extra media)"
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ""),
    (b"\x93NUMPY", "a numpy array (.npy)", ""),
    (b"PAR1", "a parquet table", ""),
    (b"ARROW1", "an Arrow table", ""),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", ""),
    (b"MATLAB 7.3 MAT-file", "a MATLAB file of version 7.3 (HDF5)", ""),
    (b"RIFF", "a recording (WAV or AVI)", _RECORDING),
    (b"\x1aE\xdf\xa3", "a recording (Matroska or WebM)", _RECORDING),
    (b"ID3", "a recording (MP3)", _RECORDING),
    (b"\xff\xfb", "a recording (MP3)", _RECORDING),
    (b"OggS", "a recording (Ogg)", _RECORDING),
    (b"fLaC", "a recording (FLAC)", _RECORDING),
    (b"\x1f\x8b", "a gzip archive", "unpack it first: gunzip -c {name} > {stem}"),
    (b"BZh", "a bzip2 archive", "unpack it first: bunzip2 -c {name} > {stem}"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it first: xz -dc {name} > {stem}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
)
_TEXT_PICKLE = re.compile(rb"\(+(?:[dl](?:p\d+)?\r?\n|dp|lp|[dl]\.)|c[\w.]+\r?\n\w+\r?\n")  # protocol 0
_TEXT_MODE = re.compile(rb"\([dl]p\d+\r\n|c[\w.]+\r\n\w+\r\n")  # protocol 0, line ends changed


@dataclass(frozen=True)
class Identity:
    """What a file is.

    Attributes:
        kind: description, e.g. ``a gzip archive``.
        action: what to do before the file can be read; empty if the file itself is not the problem.
    """

    kind: str
    action: str = ""


def identify(path: Path) -> Identity:
    """Return what a file is from its content; its name matters only for advice.

    Args:
        path: a regular file.

    Raises:
        OSError: the file cannot be opened.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(_HEAD)
        handle.seek(max(0, size - 1))
        last = handle.read(1)
    if not size:
        return Identity("an empty file")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        stated = re.search(rb"\nsize (\d+)", text)
        missing = f" of a file of {int(stated[1]):,} bytes" if stated else ""
        return Identity(
            f"a Git LFS pointer{missing}, not the data", "run `git lfs pull` in the clone, or download the file itself"
        )
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Identity(
            "a web page (HTML), not the data", "download the file itself; the link may need a sign-in or a confirmation"
        )
    for magic, kind, action in _MAGIC:
        if head.startswith(magic):
            return Identity(kind, action.format(name=path.name, stem=path.stem))
    if head[4:8] == b"ftyp":
        return Identity("a recording (MP4 or M4A)", _RECORDING)
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    if head[257:262] == b"ustar":
        return Identity("a tar archive", f"unpack it first: tar -xf {path.name}")
    return _pickle(head, last) or Identity("a binary file" if b"\x00" in head else "a text file")


def _archive(path: Path) -> Identity:
    """Return the kind of a zip archive: arrays, a torch file, or packed files."""
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
    except DataError as error:
        return Identity(f"a zip archive: {error.what}", str(error.hint))
    except Exception:  # a damaged directory breaks its reader anywhere
        return Identity("a zip archive that is cut off or damaged", _AGAIN)
    if any(name.endswith("/data.pkl") for name in names):
        return Identity("a zip archive of torch.save", "convert it to .npz with the tool that wrote it")
    if all(name.endswith(".npy") for name in names):
        return Identity("a zip archive of arrays (.npz)")
    return Identity("a zip archive", f"unpack it first: unzip {path.name}")


def _pickle(head: bytes, last: bytes) -> Identity | None:
    """Return what is known of a pickle from its first and last bytes; ``None`` if it is not a pickle."""
    if head.startswith(b"\xef\xbf\xbd"):
        return Identity("a binary file that was saved as text, so its bytes are lost", _AGAIN)
    if _TEXT_MODE.match(head):
        return Identity("a pickle (protocol 0) whose line ends were changed to CRLF", _AGAIN)
    binary = head[:1] == b"\x80" and head[1:2] <= b"\x05"
    if not binary and not _TEXT_PICKLE.match(head) and not re.match(rb"[\]}\(][\]}q]", head):
        return None
    return Identity("a pickle") if last == b"." else Identity("a pickle that is cut off", _AGAIN)
