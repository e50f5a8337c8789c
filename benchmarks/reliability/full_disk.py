"""Run a command on a file system that fills up at a random byte, give it room, run again, and compare the results."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

from kills import finish, judge, prepare
from project import COMMANDS, Place

ROOM = 400 << 20  # bytes of the file system before and after
SAID = ("No space left on device", "disk is full")
NAMES = ("features", "ingest", "train", "evaluate", "report", "save", "bench", "tune")  # dvc only starts these


def _mount(folder: Path, size: int, *, again: bool = False) -> None:
    options = f"{'remount,' if again else ''}size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lacuna-reliability", str(folder)], check=True)


def attempt(name: str, seed: int, place: Place) -> dict[str, Any]:
    """Fill the disk while a command runs, then give it room and run the command to its end.

    Args:
        name: of the command.
        seed: of the free bytes, between none and what an undisturbed run adds.
        place: where the battery works.

    Returns:
        ``kills`` (1 if the disk was full before the end, otherwise 0), ``survived``, ``problem`` in words, ``free`` bytes.
    """
    command, rng = COMMANDS[name], random.Random(f"disk {name} {seed}")
    ready, undisturbed = prepare(name, place)
    added = max(4096, _size(place.root / "finished" / name) - _size(ready))
    free = rng.randrange(added)
    folder = place.run
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _mount(folder, ROOM)
    try:
        shutil.copytree(ready, folder, symlinks=True, dirs_exist_ok=True)
        used = shutil.disk_usage(folder).used
        _mount(folder, used + free, again=True)
        status, _ = finish(command, place)
        said = place.said()
        _mount(folder, ROOM, again=True)
        problem, row = "", {"kills": 1, "free": free}
        if status == 0:  # what it needs at once is less than what it wrote
            return row | {"kills": 0, "survived": 0, "problem": "", "seconds": 0.0}
        if status == 124:
            problem = "it hangs on a full disk"
        elif not any(text in " ".join(said[-3000:].split()) for text in SAID):
            problem, row["output"] = "the message does not say that the disk is full", said[-1500:]
        status, seconds = finish(command, place)
        if again := judge(command, folder, undisturbed, status):
            problem, row["output"] = f"{problem}; with room: {again}".strip("; "), place.said()[-1500:]
        return row | {"survived": int(not problem), "problem": problem, "seconds": round(seconds, 1)}
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
