"""The files of a cell; ``done.json`` is written last and names the others."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.numpy import load_file, save_file

from lacuna.atomic import TEMPORARY, Stored, store, sweep_stale, write_json
from lacuna.errors import DataError, readable
from lacuna.evaluation.stored_sweeps import arrays_of, heading_of, sweeps_of
from lacuna.evaluation.sweep import Sweep
from lacuna.evaluation.tables import CEILING
from lacuna.training.trained import TrainedRecognizer, load_recognizer, save_recognizer

DONE, FAILED, RECOGNIZER = "done.json", "failed.json", "recognizer"
VERSION = 1
TABLES = ("history", "recovery", "points")


@dataclass(frozen=True, eq=False)
class CellResult:
    """The result of a cell.

    Attributes:
        sweeps: one of a trained recogniser; of the ceiling one with the whole dialogue and one without.
        trained: the recogniser; ``None`` for the ceiling.
        history: of training, one row an epoch.
        recovery: of :func:`lacuna.evaluation.score_recovery`.
        points: of :func:`lacuna.evaluation.recovered_points`.
        seconds: wall-clock time of the cell, without attempts that were killed.
    """

    sweeps: tuple[Sweep, ...]
    trained: TrainedRecognizer | None
    history: pd.DataFrame
    recovery: pd.DataFrame
    points: pd.DataFrame
    seconds: float

    def named(self, variant: str) -> CellResult:
        """Return the result under another variant name; mean fill and ceiling keep their names."""
        if self.trained is None:
            return self
        old, frames = self.trained.variant, {}
        for name in TABLES:
            table = getattr(self, name)
            frames[name] = table.assign(model=table["model"].replace(old, variant)) if "model" in table else table
        sweeps = tuple(replace(s, model=variant) if s.model != CEILING else s for s in self.sweeps)
        return replace(self, sweeps=sweeps, trained=replace(self.trained, variant=variant), **frames)


def is_done(place: Path) -> bool:
    """Return whether a cell is finished."""
    return (place / DONE).is_file()


def save_result(place: Path, result: CellResult, identity: dict[str, Any]) -> None:
    """Write all files, ``done.json`` last.

    Args:
        place: folder of the cell.
        result: of the cell.
        identity: everything that decided it.
    """
    arrays = arrays_of(result.sweeps)
    files = {"sweeps": store(place, "sweeps", "safetensors", lambda path: save_file(arrays, path))}
    for name in TABLES:
        table: pd.DataFrame = getattr(result, name)
        files[name] = store(place, name, "parquet", lambda path, table=table: table.to_parquet(path, index=False))  # type: ignore[misc]
    if result.trained is not None:
        save_recognizer(result.trained, place / RECOGNIZER)
    content = {
        "format": VERSION,
        "identity": identity,
        "seconds": round(result.seconds, 3),
        "trained": result.trained is not None,
        "sweeps": [heading_of(s) for s in result.sweeps],
        "files": {name: asdict(stored) for name, stored in files.items()},
    }
    write_json(place / DONE, json.loads(json.dumps(content, default=list)))
    for name, stored in files.items():
        sweep_stale(place, name, [stored.name])
    (place / FAILED).unlink(missing_ok=True)


def load_result(place: Path) -> CellResult:
    """Read the result of a finished cell; nothing is unpickled.

    Raises:
        DataError: the cell is not finished, or its files are not those that were written.
    """
    if not is_done(place):
        raise DataError("the cell is not finished", corpus=place.name, hint="run the same `lacuna bench` again")
    with readable("the cell cannot be read", place.name, f"delete {place} and run again"):
        content = json.loads((place / DONE).read_text("utf-8"))
        if content["format"] != VERSION:
            raise DataError(
                "the cell has another format",
                corpus=place.name,
                expected=VERSION,
                found=content["format"],
                hint="delete the folder of the cell; the same command runs it again",
            )
        files = {name: Stored(**entry).check(place) for name, entry in content["files"].items()}
        arrays = load_file(files["sweeps"])
        sweeps = sweeps_of(content["sweeps"], arrays)
        frames = {name: pd.read_parquet(files[name]) for name in TABLES}
        trained = load_recognizer(place / RECOGNIZER) if content["trained"] else None
        return CellResult(sweeps, trained, **frames, seconds=content["seconds"])


def save_failure(place: Path, reason: str, kind: str, where: str) -> None:
    """Store why a cell failed; the next run tries it again."""
    write_json(place / FAILED, {"reason": reason, "error": kind, "where": where})


def tidy(place: Path) -> None:
    """Delete temporary files of attempts that were killed; call it only while the cell is locked."""
    for path in place.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
