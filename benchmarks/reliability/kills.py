"""Kill a command with SIGKILL at random moments, run it to its end, and compare its results with an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from project import COMMANDS, Command, Place, make_project
from results import differing, digests, finished_trials, left_behind

KILLS = 4  # in one attempt
LOOK = 0.02  # seconds between two looks at the files
DVC_LOCK = ".dvc/tmp/rwlock"  # DVC empties it before it writes it; a kill in between leaves an empty file
LONGEST = 600.0  # seconds after which an undisturbed command counts as one that hangs


def finish(command: Command, place: Place, **options: Any) -> tuple[int, float]:
    """Run a command to its end; exit status and seconds. One that hangs is killed, its status is 124."""
    began = time.monotonic()
    process = place.start(command, **options)
    try:
        status = process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        status = 124
    kill_group(process)
    return status, time.monotonic() - began


def kill_group(process: Any) -> None:
    """Kill a command with all its processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def files_of(folder: Path) -> set[tuple[str, int]]:
    """Return all files that commands write, with their sizes: each change is a moment at which one may be killed."""
    sizes = set()
    for place in ("data", "saved", "cache", "tmp", "conf", ".dvc"):
        for parent, _, names in os.walk(folder / place):
            for name in names:
                with suppress(OSError):
                    sizes.add((f"{parent}/{name}", os.stat(f"{parent}/{name}").st_size))
    return sizes


def prepare(name: str, place: Place) -> tuple[Path, dict[str, Any]]:
    """Return a project in which a command can start, and what an undisturbed run of it made; both are made once.

    Args:
        name: of the command.
        place: where the battery works.

    Returns:
        The folder of the project, to be copied; ``digests``, ``seconds`` and ``changes`` (of files) of the undisturbed run.

    Raises:
        RuntimeError: the undisturbed run failed.
    """
    command, root = COMMANDS[name], place.root
    ready, facts = root / "ready" / name, root / "ready" / f"{name}.json"
    if not facts.is_file():
        shutil.rmtree(ready, ignore_errors=True)
        folder = fresh(place, _finished(command.after, place) if command.after else None)
        shutil.copytree(folder, ready, symlinks=True)
        began, seen, changes = time.monotonic(), files_of(folder), 0
        process = place.start(command)
        while process.poll() is None:
            time.sleep(LOOK)
            now = files_of(folder)
            changes, seen = changes + len(now - seen), now
        seconds = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"{name} failed undisturbed:\n{place.said()[-3000:]}")
        content = {"digests": digests(command, folder), "seconds": round(seconds, 2), "changes": changes}
        content["trials"] = len(finished_trials(command, folder))
        shutil.copytree(folder, root / "finished" / name, symlinks=True, dirs_exist_ok=True)
        facts.write_text(json.dumps(content, indent=1))
    return ready, json.loads(facts.read_text())


def _finished(name: str, place: Place) -> Path:
    prepare(name, place)
    return place.root / "finished" / name


def fresh(place: Place, source: Path | None) -> Path:
    """Return the folder of runs with a copy of a project, or with an untouched one."""
    folder = place.run
    shutil.rmtree(folder, ignore_errors=True)
    if source is None:
        make_project(folder)
    else:
        shutil.copytree(source, folder, symlinks=True)
    return folder


def attempt(name: str, seed: int, place: Place, kills: int = KILLS) -> dict[str, Any]:
    """Kill a command several times, then run it to its end and compare.

    A kill comes at a random time, or right after a random number of changes of files.

    Args:
        name: of the command.
        seed: of the moments.
        place: where the battery works.
        kills: how often it is killed, unless it ends before.

    Returns:
        ``kills``, ``survived`` (all of them or none), ``problem`` in words, and ``repairs``: see :func:`repair`.
    """
    command, rng = COMMANDS[name], random.Random(f"{name} {seed}")
    ready, undisturbed = prepare(name, place)
    folder, done, ended, trials = fresh(place, ready), 0, False, dict[int, Any]()
    lost: list[str] = []
    repairs = 0
    while done < kills and not ended:
        repairs += repair(folder)
        process = place.start(command)
        _wait_for_moment(process, folder, rng, undisturbed, kills)
        ended = process.poll() is not None
        kill_group(process)
        done += not ended
        now = finished_trials(command, folder)
        lost += [f"trial {number}" for number in trials if now.get(number) != trials[number]]
        trials = now
    repairs += repair(folder)
    status, seconds = finish(command, place)
    problem = judge(command, folder, undisturbed, status)
    now = finished_trials(command, folder)
    lost += [f"trial {number}" for number in trials if now.get(number) != trials[number]]
    if lost:
        problem = f"lost or changed: {', '.join(lost)}"
    row = {
        "kills": done,
        "survived": 0 if problem else done,
        "problem": problem,
        "seconds": round(seconds, 1),
        "repairs": repairs,
    }
    if problem:
        row["output"] = place.said()[-1500:]
    return row


def repair(folder: Path) -> bool:
    """Delete the lock file of DVC if a kill has cut it, as docs/how-to/versions.md says; return whether it was cut."""
    path = folder / DVC_LOCK
    if not path.is_file():
        return False
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError:
        path.unlink()
        return True
    return False


def judge(command: Command, folder: Path, undisturbed: dict[str, Any], status: int) -> str:
    """Return what is wrong after a run to the end, in words; empty if nothing is."""
    if status:
        return "the last run hangs" if status == 124 else f"the last run failed with status {status}"
    if different := differing(undisturbed["digests"], digests(command, folder)):
        return f"{len(different)} results differ: {', '.join(different[:5])}"
    if len(finished_trials(command, folder)) < undisturbed["trials"]:
        return "too few finished trials"
    return f"left behind: {', '.join(left[:5])}" if (left := left_behind(folder)) else ""


def _wait_for_moment(process: Any, folder: Path, rng: random.Random, undisturbed: dict[str, Any], kills: int) -> None:
    """Wait until the random moment of a kill, or until the command ends."""
    if rng.random() < 0.3:
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, undisturbed["seconds"]))
        return
    wanted = rng.randint(1, max(1, 2 * undisturbed["changes"] // kills))
    seen, changes = files_of(folder), 0
    while changes < wanted and process.poll() is None:
        time.sleep(LOOK)
        now = files_of(folder)
        changes, seen = changes + len(now - seen), now
    time.sleep(rng.uniform(0, 0.03))
