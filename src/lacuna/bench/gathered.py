"""The results of the cells of a contest, put together: the same tables and report as one run of all pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lacuna.bench.cell import Contest, Protocol
from lacuna.bench.store import CellResult, is_done, load_result
from lacuna.errors import DataError
from lacuna.evaluation import Sweep, tabulate
from lacuna.evaluation.recovery.projection import POINT_COLUMNS
from lacuna.evaluation.recovery.quality import COLUMNS, MEAN_FILL
from lacuna.evaluation.tables import CEILING
from lacuna.reporting import composed, run_facts, write_report
from lacuna.training import TrainedRecognizer

_SHARED = (MEAN_FILL, CEILING)  # in the table of every cell, and once in the whole table
_CONDITION = ["pattern", "setting", "rate", "mask_seed"]


@dataclass(frozen=True, eq=False)
class Gathered:
    """The finished cells of a contest.

    Attributes:
        name: of the contest.
        protocol: how all cells were scored.
        sweeps: of every model and seed, the ceiling's last.
        recognizers: in the order of the contest.
        history: one row an epoch.
        recovery: scores of recovered values; mean fill and oracle once.
        points: recovered vectors of the first seed of each model that recovers.
        unfinished: ``variant, seed`` of cells that are not finished, so that a page can say so.
    """

    name: str
    protocol: Protocol
    sweeps: tuple[Sweep, ...]
    recognizers: tuple[TrainedRecognizer, ...]
    history: pd.DataFrame
    recovery: pd.DataFrame
    points: pd.DataFrame
    unfinished: tuple[str, ...] = ()


def gather(contest: Contest, folder: Path) -> Gathered:
    """Read every finished cell of a contest.

    Args:
        contest: as planned.
        folder: of all cells.

    Raises:
        DataError: no model is finished, or a cell cannot be read.
    """
    found: list[CellResult] = []
    unfinished = []
    for cell, key in zip(contest.cells, contest.keys, strict=True):
        if is_done(folder / key):
            found.append(load_result(folder / key).named(cell.variant))
        else:
            unfinished.append(f"{cell.variant}, seed {cell.seed}")
    trained = tuple(r.trained for r in found if r.trained is not None)
    if not trained:
        raise DataError(f"no cell of '{contest.name}' is finished", hint="run the same `lacuna bench` again")
    return Gathered(
        name=contest.name,
        protocol=contest.cells[0].protocol,
        sweeps=tuple(s for r in found for s in r.sweeps),
        recognizers=trained,
        history=_concat([r.history for r in found]),
        recovery=_recovery([r.recovery for r in found]),
        points=_points([r.points for r in found]),
        unfinished=tuple(unfinished),
    )


def write_report_of(
    gathered: Gathered, folder: Path, corpus_facts: Mapping[str, Any], parameters: Mapping[str, Any], command: str | None = None
) -> Path:
    """Write the report of a contest, as the report pipeline does; ``results.md`` is one of its files.

    Args:
        gathered: finished cells.
        folder: gets ``report.html``, ``results.md``, tables and cards.
        corpus_facts: the facts about the corpus, from the ingest pipeline.
        parameters: all settings of the environment.
        command: that makes the same report.

    Returns:
        Path of ``report.html``.
    """
    evaluation = gathered.protocol.evaluation
    sizes = {"level": evaluation.level, "resamples": evaluation.replicates}
    facts = run_facts(gathered.recognizers, corpus_facts, parameters, **sizes, command=command)  # type: ignore[arg-type]
    tables = tabulate(gathered.sweeps, evaluation)
    long = {"history": gathered.history, "recovery": gathered.recovery, "points": gathered.points}
    return write_report(folder, composed(facts, tables, gathered.recognizers, **long))


def _concat(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    there = [t for t in tables if len(t)]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()


def _recovery(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one table in the order of conditions: mean fill and oracle once, then the models."""
    whole = _concat(tables)
    if whole.empty:
        return pd.DataFrame(columns=COLUMNS)
    whole = whole[~(whole["model"].isin(_SHARED) & whole.duplicated(COLUMNS))]
    condition = whole.groupby(_CONDITION, sort=False).ngroup().to_numpy()
    return whole.iloc[np.argsort(condition, kind="stable")].reset_index(drop=True)


def _points(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one table in the order of modalities: the first seed of each model, then the oracle once."""
    whole = _concat(tables)
    if whole.empty:
        return pd.DataFrame(columns=POINT_COLUMNS)
    oracle = whole["model"] == CEILING
    own = whole[~oracle]
    own = own[own["seed"] == own.groupby("model")["seed"].transform("min")]
    once = whole[oracle].drop_duplicates(["modality", "unit", "pair"])
    whole = pd.concat([own, once], ignore_index=True)
    place = whole.groupby(["modality", "unit"], sort=False).ngroup().to_numpy()
    return whole.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)
