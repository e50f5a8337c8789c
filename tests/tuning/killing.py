"""Run a study with two workers, and kill one of them with SIGKILL again and again, in the middle of its trials.

The workers are forks of this process, so that they start quickly. Usage: ``killing.py FOLDER TRIALS KILLS``; prints JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import optuna
import torch

torch.set_num_threads(1)

from lacuna.models import list_models  # noqa: E402
from lacuna.synthetic.duet import generate, preset  # noqa: E402
from lacuna.training import Recipe  # noqa: E402
from lacuna.tuning import Place, StudyConfig, search, trials_table  # noqa: E402
from lacuna.tuning.study import Count, open_study  # noqa: E402
from lacuna.tuning.worker import quiet_optuna, run_trials  # noqa: E402


def start(config: StudyConfig, base: Recipe, place: Place) -> int:
    """Fork a worker and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run_trials(config, base, place)
        status = 0
    finally:
        os._exit(status)


def finished(study: optuna.Study) -> dict[int, tuple[str, float]]:
    table = trials_table(study)
    return {row.number: (row.state, row.value) for row in table.itertuples() if row.state in ("complete", "pruned")}


def busy(study: optuna.Study, pid: int) -> bool:
    """Return whether a process has trained an epoch of a trial that it has not finished."""
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return any(t.intermediate_values and t.user_attrs["worker"]["pid"] == pid for t in running)


def main() -> None:
    folder, n_trials, n_kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    quiet_optuna()
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # import now what every fork needs
    list_models()
    training = {"epochs": 12, "threads": 1, "device": "cpu", "patience": 0, "checkpoint_seconds": 0}
    searched = search("mlp", {}, training, {}, {})
    config = StudyConfig(
        "mlp", "mlp", searched.settings, searched.training, searched.space, searched.start,
        trials=n_trials, rates=(0.0, 0.5), mask_seeds=(0,), startup=3, warmup=1,
    )  # fmt: skip
    base, place = Recipe.of(generate(preset("tiny")), "mlp"), Place(folder / "mlp", "mlp", heartbeat=1)
    study = open_study(config, place, {})
    rng, before_kills = random.Random(0), []
    steady, victim = start(config, base, place), start(config, base, place)
    for _ in range(n_kills):
        while not busy(study, victim):
            assert not Count.of(study).over(config), f"the study was over after {len(before_kills)} kills"
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        before_kills.append(finished(study))
        os.kill(victim, signal.SIGKILL)
        assert os.waitpid(victim, 0)[1] == signal.SIGKILL
        victim = start(config, base, place)
    assert [os.waitpid(pid, 0)[1] for pid in (steady, victim)] == [0, 0]
    table, end = trials_table(study), finished(study)
    verdict = {
        "finished": len(end),
        "lost": sum(end.get(number) != result for snapshot in before_kills for number, result in snapshot.items()),
        "twice": int(table.loc[table["number"].isin(list(end)), "root"].duplicated().sum()),
        "warm": table.loc[table["warm"], "state"].tolist()[-1],
        "died": table.loc[table["kind"] == "died", "number"].tolist(),
        "tried_again": table["retry_of"].dropna().astype(int).tolist(),
        "same_parameters": all(
            table.loc[row.retry_of].filter(like="param_").equals(table.loc[row.number].filter(like="param_"))
            for row in table[table["retry_of"].notna()].itertuples()
        ),
        "raised": table.loc[table["kind"] == "raised", "reason"].tolist(),
    }
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
