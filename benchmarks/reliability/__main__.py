"""Interrupt Lacuna in every way that a machine can, and count what survives.

    python benchmarks/reliability kills --number 200
    python benchmarks/reliability disk --number 50    (mounts a small file system: as root, or after `unshare -rm`)
    python benchmarks/reliability memory
    python benchmarks/reliability hostile
    python benchmarks/reliability table               prints what is in the journal

Finished attempts are lines of ``journal.jsonl`` in ``--folder``: the same command goes on from there until it has its number.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import full_disk
import hostile
import kills
import memory_limits
from preloaded import Preloaded
from project import COMMANDS, Place, environment_of

Row = dict[str, Any]


def read(journal: Path) -> list[Row]:
    """Return the attempts of a journal; a line that was cut by a kill is left out."""
    rows = []
    for line in journal.read_text("utf-8").splitlines() if journal.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def note(journal: Path, row: Row) -> None:
    """Append one attempt to the journal and show it."""
    with journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
    shown = {key: value for key, value in row.items() if key != "output"}
    print(json.dumps(shown), flush=True)


def interruptions(part: str, names: list[str], number: int, rows: list[Row]) -> Iterator[tuple[str, int]]:
    """Yield command and seed of the attempts that are missing, the commands in turn, until the number is reached."""
    own = [row for row in rows if row["part"] == part]
    tried = sum(row["tried"] for row in own)
    done = {(row["command"], row["seed"]) for row in own}
    seed = 0
    while tried < number:
        for name in names:
            if (name, seed) not in done and tried < number:
                yield name, seed
                tried = sum(row["tried"] for row in rows if row["part"] == part)
        seed += 1


def run_interruptions(part: str, attempt: Callable[..., Row], options: argparse.Namespace) -> None:
    """Run the missing attempts of a part and note them."""
    journal = options.folder / "journal.jsonl"
    rows, place = read(journal), Place(options.folder, Preloaded(environment_of(options.folder / "run")))
    names = [name for name in options.commands if part == "kills" or name in full_disk.NAMES]
    for name, seed in interruptions(part, names, options.number, rows):
        row = attempt(name, seed, place, **({"kills": options.kills} if part == "kills" else {}))
        row = {"part": part, "command": name, "seed": seed, "tried": row.pop("kills"), **row}
        rows.append(row)
        note(journal, row)


def run_cases(part: str, cases: Callable[[Place, set[tuple[str, int]]], Iterator[Row]], options: argparse.Namespace) -> None:
    """Run all cases of a part that are not in the journal, and note them."""
    journal = options.folder / "journal.jsonl"
    done = {(row["command"], row["seed"]) for row in read(journal) if row["part"] == part}
    for row in islice(cases(Place(options.folder), done), options.number):
        note(journal, {"part": part, **row})


def table(rows: list[Row]) -> str:
    """Return tried and survived of every part and command as Markdown."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        for name in (row["command"], "all"):
            sums[row["part"], name][0] += row["tried"]
            sums[row["part"], name][1] += row["survived"]
    lines = ["| part | command | tried | survived |", "|---|---|---|---|"]
    lines += [f"| {part} | {name} | {tried} | {survived} |" for (part, name), (tried, survived) in sorted(sums.items())]
    if repairs := sum(row.get("repairs", 0) for row in rows):
        lines.append(f"\nRepairs by hand, as the documentation says (lock file of DVC): {repairs}")
    lines += [f"\n{row['part']} {row['command']}, seed {row['seed']}: {row['problem']}" for row in rows if row["problem"]]
    return "\n".join(lines)


def main() -> None:
    """Run a part, or print the journal; the exit status is 1 if something did not survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["kills", "disk", "memory", "hostile", "table"])
    parser.add_argument("--number", type=int, default=200, help="kills, points at which the disk is full, or cases")
    parser.add_argument("--kills", type=int, default=kills.KILLS, help="kills in one attempt")
    parser.add_argument("--commands", nargs="+", choices=[*COMMANDS], default=[*COMMANDS])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "reliability", help="projects and journal")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.part == "kills":
        run_interruptions("kills", kills.attempt, options)
    elif options.part == "disk":
        run_interruptions("disk", full_disk.attempt, options)
    elif options.part == "memory":
        run_cases("memory", memory_limits.cases, options)
    elif options.part == "hostile":
        run_cases("hostile", hostile.cases, options)
    rows = read(options.folder / "journal.jsonl")
    print(table(rows))
    sys.exit(any(row["problem"] for row in rows))


if __name__ == "__main__":
    main()
