"""A study whose workers are forks of this process, so that they are cheap to start; one of them is killed again and again.

Run as a script with a JSON scenario: ``folder``, ``trials``, ``kills``, ``seed``. Prints a JSON verdict.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import torch

torch.set_num_threads(1)

from lacuna.models import list_models  # noqa: E402
from lacuna.synthetic.duet import generate, preset  # noqa: E402
from lacuna.tuning import Place, StudyConfig, search, states, trials_table  # noqa: E402
from lacuna.tuning.objective import Data  # noqa: E402
from lacuna.tuning.owners import claiming, living  # noqa: E402
from lacuna.tuning.study import open_study  # noqa: E402
from lacuna.tuning.trials import Count, bury  # noqa: E402
from lacuna.tuning.worker import work  # noqa: E402


def worker(config: StudyConfig, data: Data, place: Place) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work(config, data, place, {})
        status = 0
    finally:
        os._exit(status)


def ended(study: optuna.Study) -> dict[int, tuple[str, float]]:
    table = trials_table(study)
    return {row.number: (row.state, row.value) for row in table.itertuples() if row.state in ("complete", "pruned")}


def busy(study: optuna.Study, pid: int) -> bool:
    """In the middle of a trial, or just before its end."""
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return any(t.user_attrs.get("owner", {}).get("lock", "").startswith(f"worker-{pid}-") for t in running)


def main() -> None:
    scenario: dict[str, Any] = json.loads(sys.argv[1])
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # a second of imports that the children need not repeat
    list_models()
    training = {"epochs": 6, "threads": 1, "device": "cpu", "patience": 0, "checkpoint_seconds": 0}
    found = search("mlp", {}, training, {}, {})
    given = {"trials": scenario["trials"], "rates": (0.0, 0.5), "mask_seeds": (0,), "startup": 3, "warmup": 1}
    config = StudyConfig("mlp", "mlp", found.settings, found.training, found.space, found.start, **given)
    data, place = Data.of(generate(preset("tiny")).only("train", "valid"), None), Place(Path(scenario["folder"]) / "mlp", "mlp")
    study = open_study(config, place, {})
    rng, kills, lost = random.Random(scenario["seed"]), 0, 0
    steady, victim = worker(config, data, place), worker(config, data, place)
    while kills < scenario["kills"]:
        while not busy(study, victim):
            assert not Count.of(study).over(config), f"the study was over after {kills} kills"
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        before = ended(study)
        os.kill(victim, signal.SIGKILL)
        kills += os.waitpid(victim, 0)[1] == signal.SIGKILL
        after = ended(study)
        lost += sum(after.get(number) != was for number, was in before.items())
        victim = worker(config, data, place)
    assert [os.waitpid(pid, 0)[1] for pid in (steady, victim)] == [0, 0]
    with claiming(place.folder):
        bury(study, place)
    table = trials_table(study)
    done = table[table["state"].isin(["complete", "pruned"])]
    verdict = {
        "kills": kills,
        "lost": lost,
        "finished": len(done),
        "twice": int(done["root"].duplicated().sum()),
        "died": int((table["kind"] == "died").sum()),
        "retried": int(table["retry_of"].notna().sum()),
        "left": states(study)["running"] + states(study)["waiting"],
        "alive": len(living(place.folder)),  # which sweeps the locks of the dead
        "locks": len(list(place.folder.glob("worker-*.lock"))),
        "raised": table.loc[table["kind"] == "raised", "reason"].tolist(),
    }
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
