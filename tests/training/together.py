"""Train in several processes that compute parts of each batch (gloo), and in one; print the loss curves as JSON.

Run as a script with a JSON list of scenarios: ``name``, ``processes``, and optionally ``settings``, ``config``, ``task``,
``kill`` (rank 0 is killed after that many epochs, then all start again). The parent never uses autograd, so that it can fork
cheap children.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

torch.set_num_threads(1)
import toys  # noqa: E402

from lacuna.corpus.statistics import fit_statistics  # noqa: E402
from lacuna.errors import TrainingError  # noqa: E402
from lacuna.missing import list_patterns  # noqa: E402
from lacuna.models import list_models  # noqa: E402
from lacuna.training import Recipe, TrainingConfig, fit  # noqa: E402

CONFIG = {"epochs": 4, "batch_size": 16, "rates": (0.0, 0.5), "device": "cpu", "learning_rate": 0.01, "checkpoint_seconds": 0}


def train(scenario: dict[str, Any], folder: Path, rank: int) -> dict[str, Any]:
    corpus = toys.make_corpus(scenario.get("task", "classification"))
    config = TrainingConfig(**{**CONFIG, **scenario.get("config", {})})
    settings = {"dropout": 0.0, **scenario.get("settings", {})}
    recipe = Recipe.of(corpus, scenario["name"], config, settings, seed=3, statistics=fit_statistics(corpus))

    def die(row: dict[str, float]) -> None:
        if rank == 0 and row["epoch"] + 1 == scenario.get("kill") and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    fitted = fit(recipe, folder / "run", watch=die if "kill" in scenario else None)
    digest = hashlib.sha256()
    for name, value in sorted(fitted.trained.model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]
    return {"weights": digest.hexdigest(), "history": history, "epoch": fitted.trained.selection.epoch}


def child(scenario: dict[str, Any], folder: Path, rank: int, attempt: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status, size = 1, scenario["processes"]
    try:
        if size > 1:
            import torch.distributed as dist

            dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{attempt}", rank=rank, world_size=size)
        result = train(scenario, folder, rank)
        (folder / f"answer-{rank}.json").write_text(json.dumps(result))
        status = 0
    except TrainingError as error:
        (folder / f"error-{rank}.txt").write_text(str(error))
    finally:
        os._exit(status)


def together(scenario: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the answer of each process."""
    folder.mkdir()
    for attempt in range(2):
        ranks = range(scenario["processes"])
        pids = [child(scenario, folder, rank, attempt) for rank in ranks]
        codes = [os.waitpid(pid, 0)[1] for pid in pids]
        if not any(codes):
            break
        assert "kill" in scenario, codes
        assert signal.SIGKILL in codes
        assert "another process of this run was lost" in (folder / "error-1.txt").read_text()
    assert ("kill" in scenario) == (folder / "killed").exists()
    return [json.loads((folder / f"answer-{rank}.json").read_text()) for rank in ranks]


def main() -> None:
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # a second of imports that the children need not repeat
    list_models(), list_patterns()
    toys.install(lambda registry, name, cls: registry.__setitem__(name, cls))
    with tempfile.TemporaryDirectory() as root:
        scenarios = json.loads(sys.argv[1])
        print(json.dumps([together(one, Path(root) / str(number)) for number, one in enumerate(scenarios)]))


if __name__ == "__main__":
    main()
