"""Log of a run: its progress, a JSONL log, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lacuna.atomic import write_text
from lacuna.progress import WorkProgress, progress
from lacuna.training.state import Row

LOG = "log.jsonl"


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
        metric: name of the validation metric.
        epochs: planned.
        shown: what a person sees.
        folder: where ``log.jsonl`` and the events go; ``None`` = nowhere.
    """

    metric: str
    epochs: int
    shown: WorkProgress
    folder: Path | None = None
    _events: Any = None

    def step(self, epoch: int, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` updates of an epoch are made."""
        note = f"epoch {epoch + 1} of {self.epochs}, update {done} of {total}"
        self.shown.update(epoch + done / total, note)

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
        loss = f"loss {row['train_loss']:.4f}, " if "train_loss" in row else ""
        values = f"{loss}{self.metric} {row[self.metric]:.4f} (best {best:.4f}), {row['seconds']:.2f} s"
        note = f"epoch {number + 1} of {self.epochs}, {values}"
        self.shown.update(self.epochs if last else number + 1, note, line=last or number == 0)


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
    writer = None
    if folder is not None:
        write_text(folder / LOG, "".join(json.dumps(row, allow_nan=False) + "\n" for row in history))
        if events:
            from torch.utils.tensorboard import SummaryWriter  # a second of imports

            writer = SummaryWriter(str(folder / "events"), purge_step=len(history))
    try:
        with progress(title, epochs, len(history)) as shown:
            yield RunLog(metric, epochs, shown, folder, writer)
    finally:
        if writer is not None:
            writer.close()
