"""What a worker does: train one cell, score it, and store the result or the reason why there is none."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from lacuna.bench.cell import Cell, Job, key_of
from lacuna.bench.store import CellResult, is_done, save_failure, save_result, tidy
from lacuna.errors import BusyError, DataError, naming_extras
from lacuna.evaluation import judge_recoveries, sweep, sweep_ceilings
from lacuna.training.config import training_config
from lacuna.training.device import pick_device, reproducible
from lacuna.training.fit import fit
from lacuna.training.identity import Recipe, run_folder
from lacuna.training.lock import locked
from lacuna.training.logs import history_table

State = Literal["done", "failed", "busy"]
POLL = 0.5  # seconds between two looks at a cell that another process has


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes:
        key: of the cell.
        state: ``done``; ``failed``, with a reason; or ``busy``: another process runs it.
        seconds: wall-clock time; 0 if it was finished before.
        reason: why it failed.
    """

    key: str
    state: State
    seconds: float = 0.0
    reason: str = ""


def run_job(job: Job) -> Outcome:
    """Run a cell unless it is finished, and store its result or the reason why there is none.

    A cell is run by one process: a second one returns ``busy``, or waits if the job says so. Interrupts are not caught; the next
    attempt continues from the last checkpoint.
    """
    while True:
        try:
            return _run(job)
        except BusyError as error:
            if not job.wait:
                return Outcome(job.key, "busy", reason=str(error))
        time.sleep(POLL)


def _run(job: Job) -> Outcome:
    place, began = job.folder / job.key, time.monotonic()
    if is_done(place):
        return Outcome(job.key, "done")
    with locked(place):
        if is_done(place):  # another process has finished it meanwhile
            return Outcome(job.key, "done")
        tidy(place)
        try:
            identity = job.cell.identity()
            if (key := key_of(identity)) != job.key:
                raise DataError(
                    "this worker sees another corpus, code or device than the command that planned the cell",
                    corpus=job.cell.corpus.name,
                    expected=f"cell {job.key}",
                    found=f"cell {key}",
                    hint="the same version of Lacuna, torch and numpy on every machine, and one shared folder",
                )
            result = work(job.cell)
            save_result(place, replace(result, seconds=time.monotonic() - began), identity)
        except BusyError:  # `kedro run` trains the same run now
            raise
        except Exception as error:  # whatever it is, the other cells go on
            reason = str(error) or type(error).__name__
            save_failure(place, reason, type(error).__name__, traceback.format_exc())
            return Outcome(job.key, "failed", time.monotonic() - began, reason)
    return Outcome(job.key, "done", time.monotonic() - began)


def work(cell: Cell) -> CellResult:
    """Train and score one cell: all patterns, rates and mask seeds.

    Raises:
        LacunaError: as training and scoring do.
    """
    data, protocol = cell.data(), cell.protocol
    labels = data.train.utterances.labels[data.schema.target.name]
    empty = pd.DataFrame()
    if cell.is_ceiling:
        with reproducible(protocol.threads):
            sweeps = sweep_ceilings(data.test, cell.plans(), training_labels=labels, past_only=protocol.evaluation.past_only)
        return CellResult(tuple(sweeps), None, empty, empty, empty, 0.0)
    recipe, trials = chosen_recipe(cell)
    trained, history = fit(recipe, run_folder(cell.checkpoints, recipe))
    trained = trained.after_trials(trials)
    device = pick_device(protocol.device)
    with reproducible(protocol.threads):
        past_only = protocol.evaluation.past_only
        swept = sweep(trained, data.test, cell.plans(), training_labels=labels, device=device, past_only=past_only)
        recovery, points = judge_recoveries([trained], data.test, protocol.evaluation, protocol.recovery_rates, device=device)
    rows = history_table(history, trained.variant, cell.seed)
    return CellResult((swept,), trained, rows, recovery, points, 0.0)


def chosen_recipe(cell: Cell) -> tuple[Recipe, int]:
    """Return what a cell trains, and the number of settings that were compared before.

    Raises:
        BusyError: another process chooses the settings; the cell is tried again when it has done so.
    """
    recipe = cell.recipe()
    if cell.budget is None:
        return recipe, 1
    with naming_extras("a budget"):
        from lacuna.tuning import studies_of, within_budget  # optuna is an extra, and slow to import

    chosen = within_budget(
        cell.model,
        cell.data().corpus,
        cell.budget,
        studies_of(cell.checkpoints),
        settings=cell.settings,
        training=vars(cell.training),
        target=cell.target,
    )
    return replace(recipe, settings=chosen.settings, config=training_config(chosen.training)), chosen.trials
