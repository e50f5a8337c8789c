"""What a command made, as digests that leave out times of the clock, durations, and names that follow from them."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
from project import Command

NOT_COMPARED = {
    "seconds",
    "created",
    "made",
    "command",
    "sha256",
    "bytes",
    "name",
    "cells",
}  # keys of JSON files, columns of tables
CLOCK = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
HASH = re.compile(r"-[0-9a-f]{12}(?![0-9a-f])")  # in names: of contents, which may hold durations
PACKED = re.compile(r'<script type="application/octet-stream".*?</script>', re.DOTALL)  # figures of a page, with its date
LEFT = (".partial-*", ".corpus-*", "lacuna-*")


def digests(command: Command, folder: Path) -> dict[str, str]:
    """Return the digest of every result of a command, by its path without hashes."""
    names = {path for pattern in command.results for path in folder.glob(pattern) if path.is_file() and path.name != ".gitkeep"}
    return {HASH.sub("", path.relative_to(folder).as_posix()): _digest(path) for path in sorted(names)}


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        content = (
            table.drop(columns=[name for name in table.columns if name in NOT_COMPARED]).to_json(double_precision=15).encode()
        )
    elif path.suffix in (".json", ".jsonl"):
        content = json.dumps([_plain(json.loads(line)) for line in _documents(path, content.decode())]).encode()
        content = HASH.sub("", content.decode()).encode()
    elif path.suffix in (".html", ".md", ".csv", ".lock"):
        content = CLOCK.sub("", PACKED.sub("", content.decode())).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _documents(path: Path, text: str) -> list[str]:
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in NOT_COMPARED}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def differing(expected: dict[str, str], made: dict[str, str]) -> list[str]:
    """Return the paths whose digests differ, or that only one side has."""
    return sorted(path for path in expected.keys() | made.keys() if expected.get(path) != made.get(path))


def finished_trials(command: Command, folder: Path) -> dict[int, Any]:
    """Return state, value and parameters of the finished trials of a study by their numbers; empty before there is a study."""
    path = folder / command.study
    if not command.study or not path.is_file():
        return {}
    query = """select t.number, t.state, v.value, (select group_concat(param_name || param_value) from
        (select * from trial_params p where p.trial_id = t.trial_id order by param_name)) from trials t
        left join trial_values v on v.trial_id = t.trial_id where t.state in ('COMPLETE', 'PRUNED')"""
    with closing(
        sqlite3.connect(path)
    ) as connection:  # writable, so that it undoes what a kill has cut, as the next command does
        try:
            return {row[0]: list(row[1:]) for row in connection.execute(query)}
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # killed before its tables were made
                return {}
            raise


def left_behind(folder: Path) -> list[str]:
    """Return the temporary files and folders that are still there."""
    return sorted(path.relative_to(folder).as_posix() for pattern in LEFT for path in folder.rglob(pattern))
