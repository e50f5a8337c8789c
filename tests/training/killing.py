"""Train in child processes that are killed with SIGKILL again and again, and compare with a run that was left alone.

Run as a script with a JSON scenario: ``name``, ``settings``, ``config``, ``mode`` (``events`` or ``times``), ``kills``,
``folder``, ``seed``. Prints a JSON verdict. The parent never uses autograd, so that it can fork cheap children.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

torch.set_num_threads(1)
import toys  # noqa: E402

from lacuna.corpus.statistics import fit_statistics  # noqa: E402
from lacuna.missing import list_patterns  # noqa: E402
from lacuna.models import list_models  # noqa: E402
from lacuna.training import Recipe, TrainingConfig, checkpoint, fit, logs  # noqa: E402


def train(scenario: dict[str, Any], folder: Path | None, answer: Path) -> None:
    corpus = toys.make_corpus()
    config = TrainingConfig(**scenario["config"])
    fitted = fit(
        Recipe.of(corpus, scenario["name"], config, scenario["settings"], seed=3, statistics=fit_statistics(corpus)), folder
    )
    digest = hashlib.sha256()
    for name, value in sorted(fitted.trained.model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]
    answer.write_text(json.dumps({"weights": digest.hexdigest(), "history": history, "epoch": fitted.trained.selection.epoch}))


def die_at(event: int) -> None:
    """Arrange to be killed at the given file operation of a checkpoint: before or after it, or half-way through a file."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(function: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            step()
            result = function(*arguments, **named)
            step()
            return result

        return wrapped

    def torn(save: Any) -> Any:
        def wrapped(tensors: Any, path: Path) -> None:
            save(tensors, path)
            if count + 1 == event:
                os.truncate(path, path.stat().st_size // 2)
            step()

        return wrapped

    os.replace, os.fsync = wrap(os.replace), wrap(os.fsync)  # type: ignore[assignment]
    Path.unlink = wrap(Path.unlink)  # type: ignore[method-assign]
    checkpoint.save_file = torn(checkpoint.save_file)  # type: ignore[attr-defined]
    logs.write_text = wrap(logs.write_text)  # type: ignore[attr-defined]


def child(scenario: dict[str, Any], folder: Path | None, answer: Path, event: int | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if event is not None:
            die_at(event)
        train(scenario, folder, answer)
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    scenario = json.loads(sys.argv[1])
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # a second of imports that the children need not repeat
    list_models(), list_patterns()
    toys.install(lambda registry, name, cls: registry.__setitem__(name, cls))
    root = Path(scenario["folder"])
    expected, found, folder = root / "expected.json", root / "found.json", root / "run"
    started = time.monotonic()
    assert os.waitpid(child(scenario, None, expected, None), 0)[1] == 0
    length = time.monotonic() - started
    kills, attempts, rng = 0, 0, random.Random(scenario["seed"])
    while not found.exists():
        attempts += 1
        assert attempts < 1000
        dying = kills < scenario["kills"]
        events = dying and scenario["mode"] == "events"
        pid = child(scenario, folder, found, 3 * attempts // 2 if events else None)
        if dying and not events:
            time.sleep(rng.uniform(0.02, 0.4 * length))
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), f"attempt {attempts} ended with {status}"
        kills += status == signal.SIGKILL
    rows = [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text().splitlines()]
    same = json.loads(expected.read_text()) == json.loads(found.read_text())
    left = sorted(p.name.partition("-")[0] for p in folder.iterdir() if p.is_file())
    print(json.dumps({"same": same, "kills": kills, "attempts": attempts, "rows": rows, "left": left, "length": length}))


if __name__ == "__main__":
    main()
