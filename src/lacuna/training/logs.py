"""Progress of a run: a bar on a terminal, plain lines elsewhere, a JSONL log, TensorBoard."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lacuna.atomic import write_text
from lacuna.training.state import Row

LOG = "log.jsonl"
_PAUSE = 10.0  # seconds between two plain lines
_log = logging.getLogger(__name__)


def history_table(history: Sequence[Row], variant: str, seed: int) -> pd.DataFrame:
    """Return the log of a training as a table, with epochs counted from 1.

    Args:
        history: rows of :func:`lacuna.training.fit`, with epochs counted from 0.
        variant: column ``model``.
        seed: of training.

    >>> history_table([{"epoch": 0, "train_loss": 1.5}], "mlp", 3).to_dict("records")
    [{'epoch': 1, 'train_loss': 1.5, 'model': 'mlp', 'seed': 3}]
    """
    table = pd.DataFrame(list(history)).assign(model=variant, seed=seed)
    return table.assign(epoch=table["epoch"] + 1) if "epoch" in table else table


@dataclass(eq=False)
class RunLog:
    """Log of one run.

    Attributes:
        title: e.g. ``mlp, seed 0``.
        metric: name of the validation metric.
        epochs: planned.
        folder: where ``log.jsonl`` and the events go; ``None`` = nowhere.
    """

    title: str
    metric: str
    epochs: int
    folder: Path | None = None
    _bar: Progress | None = None
    _task: Any = None
    _events: Any = None
    _spoke: float = field(default_factory=time.monotonic)

    def step(self, epoch: int, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` updates of an epoch are made."""
        if self._bar is not None:
            self._bar.update(self._task, completed=epoch + done / total)
        elif time.monotonic() - self._spoke > _PAUSE:
            self._say("%s: epoch %d of %d, update %d of %d", self.title, epoch + 1, self.epochs, done, total)

    def epoch(self, row: Row, best: float, *, last: bool) -> None:
        """Log the end of an epoch.

        Args:
            row: its numbers.
            best: best metric so far.
            last: whether it is the last epoch.
        """
        number = int(row["epoch"])
        if self.folder is not None:
            with (self.folder / LOG).open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(row, allow_nan=False) + "\n")
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(name, value, number)
        told = f"loss {row['train_loss']:.4f}, " if "train_loss" in row else ""
        told += f"{self.metric} {row[self.metric]:.4f} (best {best:.4f}), {row['seconds']:.2f} s"
        if self._bar is not None:
            self._bar.update(self._task, completed=self.epochs if last else number + 1, told=told)
        elif last or time.monotonic() - self._spoke > _PAUSE or number == 0:
            self._say("%s: epoch %d of %d, %s", self.title, number + 1, self.epochs, told)

    def _say(self, text: str, *values: object) -> None:
        self._spoke = time.monotonic()
        _log.info(text, *values)


@contextmanager
def run_log(
    title: str, metric: str, epochs: int, folder: Path | None, history: Sequence[Row], *, events: bool
) -> Iterator[RunLog]:
    """Open the log of a run that already has some history.

    Args:
        title: e.g. ``mlp, seed 0``.
        metric: name of the validation metric.
        epochs: planned.
        folder: of the run, or ``None``.
        history: rows up to the checkpoint that the run goes on from; whatever a killed attempt logged after it is dropped.
        events: also write TensorBoard events.
    """
    log = RunLog(title, metric, epochs, folder)
    if folder is not None:
        write_text(folder / LOG, "".join(json.dumps(row, allow_nan=False) + "\n" for row in history))
        if events:
            from torch.utils.tensorboard import SummaryWriter  # a second of imports

            log._events = SummaryWriter(str(folder / "events"), purge_step=len(history))
    try:
        if sys.stderr.isatty():
            from rich.console import Console

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, TextColumn("{task.fields[told]}"), console=Console(stderr=True), transient=True) as bar:
                log._bar, log._task = bar, bar.add_task(title, total=epochs, completed=len(history), told="")
                yield log
        else:
            yield log
    finally:
        if log._events is not None:
            log._events.close()
