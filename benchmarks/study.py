"""A study with a worker that is killed with SIGKILL again and again: is every result kept, and nothing done twice?

Starts ``kedro run --pipelines tune``, kills the same worker whenever it runs a trial and enough others are finished, and
holds the trials before each kill against those at the end. Prints Markdown; the exit code is 1 if a promise was broken.
Usage: ``python benchmarks/study.py --env mosi --label context_gru [--trials 40] [--kills 3]``, after ``ingest,preprocess``.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import TrialState

from lacuna.tuning import Place, best_of, states, trials_table
from lacuna.tuning.owners import living
from lacuna.tuning.worker import quieten

ENDED = ("complete", "pruned")
Snapshot = dict[int, tuple[str, float]]


def read(place: Place) -> optuna.Study | None:
    """The study as it is now, if it was begun."""
    if place.journal is None or not place.journal.is_file():
        return None
    storage = place.open()
    names = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=place.name, storage=storage) if place.name in names else None


def finished(study: optuna.Study) -> Snapshot:
    """State and value of the trials that are finished."""
    table = trials_table(study)
    rows = table[table["state"].isin(ENDED)] if len(table) else table
    return {int(row.number): (row.state, float(row.value)) for row in rows.itertuples()}


def running(study: optuna.Study, pid: int) -> bool:
    """Whether a worker is in the middle of a trial."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return any(
        t.user_attrs.get("owner", {}).get("lock", "").startswith(f"worker-{pid}-") and t.intermediate_values for t in trials
    )


def kill_again_and_again(process: subprocess.Popen[bytes], place: Place, kills: int, trials: int) -> list[Snapshot]:
    """Kill one worker, and whatever is started in its place; what was finished before each kill."""
    before: list[Snapshot] = []
    others: set[int] = set()
    while process.poll() is None:
        time.sleep(0.2)
        study = read(place)
        if study is None or len(before) == kills:
            continue
        done, alive = finished(study), {int(worker["pid"]) for worker in living(place.folder)}
        victims = sorted(alive - others) if before else sorted(alive)[:1]
        if len(done) >= trials * (len(before) + 1) // (kills + 2) and victims and running(study, victims[0]):
            if not before:
                others = alive - {victims[0]}
            before.append(done)
            os.kill(victims[0], signal.SIGKILL)
            others.add(victims[0])
    return before


def report(study: optuna.Study, before: list[Snapshot], asked: int, seconds: float) -> tuple[str, bool]:
    """The counts as Markdown, and whether every promise was kept."""
    table, end = trials_table(study), finished(study)
    lost = sum(number not in end or end[number] != was for snapshot in before for number, was in snapshot.items())
    done = table[table["state"].isin(ENDED)]
    twice = sum(count > 1 for count in Counter(done["root"]).values())
    retried = set(pd.to_numeric(table["retry_of"]).dropna().astype(int))
    dead = table[table["kind"] == "died"]
    best, own = best_of(study), table[table["warm"] & (table["state"] == "complete")]["value"]
    count = states(study)
    lines = [
        "| | |",
        "|---|---:|",
        f"| trials asked for | {asked} |",
        f"| finished | {len(done)} ({count['complete']} completed, {count['pruned']} pruned) |",
        f"| kills with SIGKILL of one of the two workers and what replaced it | {len(before)} |",
        f"| trials cut off by them | {len(dead)}, of which {len(retried & set(dead['number']))} were tried again |",
        f"| finished before a kill, gone or changed at the end | {lost} |",
        f"| parameters finished twice | {twice} |",
        f"| left running or waiting | {count['running'] + count['waiting']} |",
        f"| failed with an error | {int((table['kind'] == 'raised').sum())} |",
        f"| value of the label's own settings, validation | {own.iloc[0]:.4f} |",
        f"| best value, validation | {best.value:.4f} (trial {best.number}) |",
        f"| wall clock | {seconds:.0f} s on {os.cpu_count()} cores |",
    ]
    kept = not lost and not twice and len(done) == asked and not count["running"] and not count["waiting"]
    return "\n".join(lines), kept and len(retried & set(dead["number"])) == len(dead)


def main() -> int:
    """Run, kill, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="mosi")
    parser.add_argument("--label", default="context_gru")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--params", default="", help="more parameters, as for `kedro run --params`")
    options = parser.parse_args()
    quieten()
    place = Place(Path("data/06_models") / options.env / "studies" / options.label, options.label)
    if place.journal is not None and place.journal.exists():
        sys.stderr.write(f"{place.journal} is there already: move it away to count from the start\n")
        return 2
    parameters = f"tune.label={options.label},tune.trials={options.trials},tune.workers=2" + (
        options.params and f",{options.params}"
    )
    command = [sys.executable, "-m", "kedro", "run", "--env", options.env, "--pipelines", "tune", "--params", parameters]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stderr)
    before = kill_again_and_again(process, place, options.kills, options.trials)
    study = read(place)
    if process.wait() != 0 or study is None:
        return 1
    text, kept = report(study, before, options.trials, time.monotonic() - started)
    sys.stdout.write(text + "\n")
    return 0 if kept and len(before) == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
