"""Checkpoints that are whole or absent: a killed run resumes from the last one, or from the one before if that is damaged.

A checkpoint is a state file, the best weights so far, and ``last.json``, which names both and is replaced last; the former
``last.json`` becomes ``previous.json``. A finished run keeps ``result.json`` and the best weights only. The folder is locked
while a run trains in it; the lock ends with the process, also after SIGKILL.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lacuna.atomic import TEMPORARY, Stored, store, sweep_stale, write_json
from lacuna.errors import DataError, TrainingError
from lacuna.training.identity import Identity, differences
from lacuna.training.lock import LOCK, locked
from lacuna.training.state import RunState

VERSION = 1
LAST, PREVIOUS, RESULT, STOPPED = "last.json", "previous.json", "result.json", "stopped.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A finished run.

    Attributes:
        weights: of the kept epoch, by the names of the model's state.
        progress: where the run ended, as JSON values.
    """

    weights: dict[str, Tensor]
    progress: dict[str, Any]


@dataclass(eq=False)
class Checkpoints:
    """The folder of one run.

    Attributes:
        folder: made when the first checkpoint is written; ``None`` = nothing is kept on disk.
        identity: of the run; see :func:`lacuna.training.identity.Recipe.identity`.
        best: weights of the best epoch so far.
    """

    folder: Path | None
    identity: Identity
    best: dict[str, Tensor] | None = None
    _best: Stored | None = None
    _good: dict[str, Any] | None = None  # content of the newest commit file that is known to be whole

    def keep(self, weights: dict[str, Tensor]) -> None:
        """Remember new best weights; they are written with the next checkpoint."""
        self.best, self._best = weights, None

    def save(self, state: RunState) -> None:
        """Write a checkpoint. The former one stays valid until the new one is whole."""
        if self.folder is None:
            return
        try:
            self._store_best(self.folder)
            tensors = state.tensors()
            stored = store(self.folder, "state", "safetensors", lambda path: save_file(tensors, path))
            if self._good is not None:  # never a copy of a damaged file
                write_json(self.folder / PREVIOUS, self._good)
            content = {**self._head(), "progress": state.progress_json(), "state": asdict(stored)}
            write_json(self.folder / LAST, content)
            for kind in ("state", "best"):
                sweep_stale(self.folder, kind, [c[kind]["name"] for c in (content, self._good or {}) if c.get(kind)])
            self._good = content
        except (OSError, SafetensorError) as error:
            raise TrainingError(_unwritten(self.folder, error)) from error

    def finish(self, state: RunState) -> FinishedRun:
        """Write the result of the run and delete its checkpoints."""
        assert self.best is not None
        if self.folder is not None:
            try:
                self._store_best(self.folder)
                write_json(self.folder / RESULT, {**self._head(), "progress": state.progress_json()})
                self._forget(self.folder)
            except (OSError, SafetensorError) as error:
                raise TrainingError(_unwritten(self.folder, error)) from error
        return FinishedRun(self.best, state.progress_json())

    def result(self) -> FinishedRun | None:
        """Return the result of a finished run, or ``None`` if there is none or it is damaged.

        Raises:
            TrainingError: it is the result of another run.
        """
        if self.folder is None or not (self.folder / RESULT).is_file():
            return None
        try:
            content = self._read(self.folder / RESULT)
            self._load_best(content)
        except DataError as error:
            _log.warning("the result of a finished run cannot be read, so the run is repeated: %s", error)
            return None
        assert self.best is not None
        self._clear(self.folder)
        return FinishedRun(self.best, content["progress"])

    def resume(self, state: RunState) -> bool:
        """Restore the newest intact checkpoint; return False if there is no checkpoint.

        Raises:
            TrainingError: the checkpoint belongs to another run, or none can be read.
        """
        if self.folder is None:
            return False
        self._tidy(self.folder)
        failures: list[str] = []
        for name in (LAST, PREVIOUS):
            if not (self.folder / name).is_file():
                continue
            try:
                content = self._read(self.folder / name)
                tensors = _load(self.folder, content.get("state"))
                self._load_best(content)
            except DataError as error:
                failures.append(str(error))
                _log.warning("checkpoint %s cannot be read: %s", name, error)
                continue
            try:
                state.restore(tensors, content["progress"])
            except Exception as error:  # an edited file may hold anything
                raise TrainingError(
                    f"the checkpoint in {self.folder} was written by other code\n  found: {error}\n"
                    "  do: delete the folder to train from the start"
                ) from error
            self._good = content
            return True
        if failures:
            raise TrainingError(
                f"no checkpoint in {self.folder} can be read\n  found: {failures[0]}\n"
                "  do: delete the folder to train from the start"
            )
        return False

    def _head(self) -> dict[str, Any]:
        return {"format": VERSION, "run": self.identity, "best": None if self._best is None else asdict(self._best)}

    def _store_best(self, folder: Path) -> None:
        if self.best is not None and self._best is None:
            best = self.best
            self._best = store(folder, "best", "safetensors", lambda path: save_file(best, path))

    def _load_best(self, content: dict[str, Any]) -> None:
        assert self.folder is not None
        self._best = None if content["best"] is None else Stored(**content["best"])
        self.best = None if content["best"] is None else _load(self.folder, content["best"])

    def _read(self, path: Path) -> dict[str, Any]:
        """Return the content of a JSON file of this run."""
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            stored = content["run"]
            if content["format"] != VERSION or not isinstance(stored, dict):
                raise ValueError(f"format {content['format']}")
            content["progress"], content["best"]
        except Exception as error:  # an edited file may hold anything
            raise DataError(
                f"{path.name} is not a commit file",
                corpus=path.parent.name,
                found=repr(error),
                hint="delete the folder of the checkpoint, and train again",
            ) from None
        if lines := differences(stored, self.identity):
            raise TrainingError(
                f"{path.parent} holds another run\n  "
                + "\n  ".join(lines[:8])
                + f"{f'{chr(10)}  and {len(lines) - 8} more' if len(lines) > 8 else ''}"
                + "\n  do: restore these settings to resume that run, use another folder, or delete this one"
            )
        return content

    def stopped(self, error: TrainingError) -> None:
        """Write the facts of an error to ``stopped.json`` and name the file in its message, if the error concerns utterances."""
        if self.folder is None or not error.utterances:
            return
        path = self.folder / STOPPED
        content = {"model": self.identity.get("model.name"), **error.facts, "utterances": list(error.utterances)}
        try:
            write_json(path, _jsonable(content))
        except OSError as failure:
            _log.warning("%s could not be written: %s", path, failure)
            return
        error.args = (f"{error}\n  all {len(error.utterances)} utterances and the losses: {path}",)

    def _clear(self, folder: Path) -> None:
        """Delete the files of a run that was killed while it finished, unless another process uses the folder."""
        best = None if self._best is None else self._best.name
        left = (TEMPORARY, LAST, PREVIOUS, LOCK, STOPPED, "state-", "best-")
        if any(path.name.startswith(left) and path.name != best for path in folder.iterdir()):
            with suppress(TrainingError), locked(folder):
                self._tidy(folder)
                self._forget(folder)

    def _tidy(self, folder: Path) -> None:
        """Delete the temporary files of killed attempts."""
        for path in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _forget(self, folder: Path) -> None:
        """Delete the checkpoints of a finished run."""
        for name in (LAST, PREVIOUS, STOPPED):
            (folder / name).unlink(missing_ok=True)
        sweep_stale(folder, "state", [])
        sweep_stale(folder, "best", [] if self._best is None else [self._best.name])


def _jsonable(value: Any) -> Any:
    """Return a value with NaN and infinities as text, because JSON has none."""
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _load(folder: Path, entry: Any) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(Stored(**entry).check(folder))
    except DataError:
        raise
    except Exception as error:  # an edited file may hold anything
        raise DataError(
            "a checkpoint file cannot be read",
            corpus=folder.name,
            found=repr(error),
            hint="delete the folder of the checkpoint, and train again",
        ) from None
    return tensors


def _unwritten(folder: Path, error: Exception) -> str:
    return (
        f"a checkpoint could not be written to {folder}\n  found: {error}\n"
        "  do: make room there, then run again; the former checkpoint is intact"
    )
