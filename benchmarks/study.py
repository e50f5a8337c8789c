"""Run a study whose workers are killed with SIGKILL, and check that no result is lost and none is counted twice.

Starts ``kedro run --pipelines tune``, kills a worker in the middle of a trial several times, and compares the trials before
each kill with those at the end. Prints Markdown; the exit code is 1 if a promise was broken. Run ``ingest,preprocess`` first.
Usage: ``python benchmarks/study.py --env mosi --variant context_gru [--trials 40] [--kills 3]``
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import TrialState

from lacuna.tuning import Place, best_of, states, trials_table

FINISHED = ("complete", "pruned")
Snapshot = dict[int, tuple[str, float]]


def finished(study: optuna.Study) -> Snapshot:
    """Return state and value of the finished trials."""
    table = trials_table(study)
    rows = table[table["state"].isin(FINISHED)] if len(table) else table
    return {int(row.number): (row.state, float(row.value)) for row in rows.itertuples()}


def kill_workers(process: subprocess.Popen[bytes], place: Place, kills: int, trials: int) -> list[Snapshot]:
    """Kill a worker in the middle of a trial, evenly over the study; return what was finished before each kill."""
    snapshots: list[Snapshot] = []
    database, study = Path(place.url.removeprefix("sqlite:///")), None
    while process.poll() is None and len(snapshots) < kills:
        time.sleep(0.2)
        if study is None:
            if not list(place.folder.glob("worker-*.log")) or not database.is_file():
                continue  # the command has not created the study yet
            study = optuna.load_study(study_name=place.name, storage=place.open())
        done = finished(study)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if len(done) >= trials * (len(snapshots) + 1) // (kills + 2) and trial.intermediate_values:
                snapshots.append(done)
                os.kill(trial.user_attrs["worker"]["pid"], signal.SIGKILL)
                break
    return snapshots


def report(study: optuna.Study, snapshots: list[Snapshot], trials: int, workers: int, seconds: float) -> tuple[str, bool]:
    """Return the counts as Markdown, and whether every promise was kept."""
    table, end, count = trials_table(study), finished(study), states(study)
    lost = sum(end.get(number) != result for snapshot in snapshots for number, result in snapshot.items())
    done = table[table["state"].isin(FINISHED)]
    twice = int(done["root"].duplicated().sum())
    died = set(table.loc[table["kind"] == "died", "number"])
    tried_again = died & set(pd.to_numeric(table["retry_of"]).dropna().astype(int))
    own_values, best = table.loc[table["warm"] & (table["state"] == "complete"), "value"], best_of(study)
    lines = [
        "| | |",
        "|---|---:|",
        f"| trials to finish | {trials} |",
        f"| finished | {len(done)} ({count['complete']} completed, {count['pruned']} pruned) |",
        f"| workers killed with SIGKILL | {len(snapshots)} |",
        f"| trials of killed workers | {len(died)}, of which {len(tried_again)} were tried again |",
        f"| results before a kill that were lost or changed | {lost} |",
        f"| parameters finished twice | {twice} |",
        f"| left running or waiting | {count['running'] + count['waiting']} |",
        f"| failed with an error | {int((table['kind'] == 'raised').sum())} |",
        f"| value of the variant's own settings, validation | {own_values.iloc[0]:.4f} |",
        f"| best value, validation | {best.value:.4f} (trial {best.number}) |",
        f"| wall clock | {seconds:.0f} s on {os.cpu_count()} cores |",
    ]
    kept = not lost and not twice and trials <= len(done) < trials + workers and tried_again == died
    return "\n".join(lines), kept


def main() -> int:
    """Run, kill, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="mosi")
    parser.add_argument("--variant", default="context_gru")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--params", default="", help="more parameters, as for `kedro run --params`")
    options = parser.parse_args()
    place = Place(Path("data/06_models") / options.env / "studies" / options.variant, options.variant)
    if Path(place.url.removeprefix("sqlite:///")).exists():
        sys.stderr.write(f"{place} exists: move it away to count from the start\n")
        return 2
    parameters = f"tune.variant={options.variant},tune.trials={options.trials},tune.workers=2"
    parameters += f",{options.params}" if options.params else ""
    command = [sys.executable, "-m", "kedro", "run", "--env", options.env, "--pipelines", "tune", "--params", parameters]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stderr)
    snapshots = kill_workers(process, place, options.kills, options.trials)
    if process.wait() != 0:
        return 1
    study = optuna.load_study(study_name=place.name, storage=place.open())
    text, kept = report(study, snapshots, options.trials, 2, time.monotonic() - started)
    sys.stdout.write(text + "\n")
    return 0 if kept and len(snapshots) == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
