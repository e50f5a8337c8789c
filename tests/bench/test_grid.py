"""Failures, processes at the same cell, and workers that are killed: the others go on, and nothing is said twice."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from lacuna.bench import Cell, Job, Outcome, gather, grid, local, plan, run_grid, run_job
from lacuna.errors import ConfigError, DataError
from lacuna.pipelines import bench_command
from lacuna.pipelines.bench_command import run
from lacuna.training.lock import locked

Make = Callable[..., Cell]


def here(jobs: Sequence[Job]) -> Iterator[Outcome]:
    return map(run_job, jobs)


def test_a_cell_that_fails_says_why_and_the_others_are_finished(make_cell: Make, tmp_path: Path) -> None:
    wrong = make_cell(variant="wrong", settings={"hidden": 3}, checkpoints=tmp_path / "a file")
    (tmp_path / "a file").write_text("")
    contest = plan("tiny", [make_cell(model="prior", variant="prior"), wrong])
    told: list[str] = []
    progress = run_grid(contest.jobs(tmp_path), here, lambda job, outcome, _: told.append(outcome.state))
    key = contest.keys[1]
    assert (progress.done, list(progress.failed), progress.complete) == (2, [key], False)
    assert sorted(told) == ["done", "done", "failed"]
    kept = json.loads((tmp_path / key / "failed.json").read_text())
    assert "nothing can be written to" in kept["reason"]
    assert "Traceback" in kept["where"]
    assert gather(contest, tmp_path).unfinished == ("wrong, seed 0",)

    (tmp_path / "a file").unlink()  # what was wrong is put right: only that cell runs
    told.clear()
    progress = run_grid(contest.jobs(tmp_path), here, lambda job, outcome, _: told.append(job.key))
    assert (progress.complete, told) == (True, [key])
    assert not (tmp_path / key / "failed.json").exists()
    assert {s.model for s in gather(contest, tmp_path).sweeps} == {"prior", "wrong", "oracle", "oracle (one turn)"}


def test_nothing_finished_is_no_page(make_cell: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cell of 'tiny' is finished"):
        gather(plan("tiny", [make_cell()]), tmp_path)


def test_a_cell_that_another_process_has_comes_last_and_is_waited_for(make_cell: Make, tmp_path: Path) -> None:
    contest = plan("tiny", [make_cell(model="prior", variant="prior"), make_cell(model="prior", variant="other", seed=1)])
    jobs, order = contest.jobs(tmp_path), list[str]()
    busy = threading.Event()

    def other() -> None:
        with locked(tmp_path / jobs[0].key):
            busy.set()
            while len(order) < 2:
                time.sleep(0.01)

    process = threading.Thread(target=other)  # the lock belongs to an open file: a thread stands for a process
    process.start()
    busy.wait()
    assert run_job(jobs[0]).state == "busy"
    progress = run_grid(jobs, here, lambda job, *_: order.append(job.key))
    process.join()
    assert progress.complete
    assert order == [jobs[1].key, jobs[2].key, jobs[0].key]


def _die_once(job: Job) -> Outcome:
    """As a worker that the system kills for memory in its first cell."""
    mark = job.folder / "killed"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return run_job(job)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_killed_worker_costs_no_cell(make_cell: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lacuna.bench import executors

    contest = plan("tiny", [make_cell(model="prior", variant=f"prior{s}", seed=s) for s in range(3)])
    monkeypatch.setattr(executors, "run_job", _die_once)
    warnings: list[str] = []
    progress = run_grid(contest.jobs(tmp_path), local(2), warn=warnings.append)
    assert progress.complete
    assert len(warnings) == 1
    assert "a worker was killed" in warnings[0]


@pytest.mark.parametrize("killer", [0, 1, 2])
def test_a_cell_that_always_kills_its_worker_costs_no_other(killer: int, tmp_path: Path, make_cell: Make) -> None:
    contest = plan("tiny", [make_cell(model="prior", variant="prior", seed=s) for s in range(3)])
    jobs = contest.jobs(tmp_path)
    calls: list[int] = []

    def dying(jobs_now: Sequence[Job]) -> Iterator[Outcome]:  # all at once, so that the others die with it
        calls.append(len(jobs_now))
        if jobs[killer].key in [job.key for job in jobs_now]:
            raise BrokenProcessPool
        yield from map(run_job, jobs_now)

    warnings: list[str] = []
    progress = run_grid(jobs, dying, warn=warnings.append)
    assert progress.lost == [jobs[killer].key]
    assert (progress.done, progress.left, progress.complete) == (len(jobs) - 1, 0, False)
    assert calls[: grid.RESTARTS] == [len(jobs)] * grid.RESTARTS  # together first
    assert sum("one at a time" in line for line in warnings) == 1


def test_workers_are_counted() -> None:
    with pytest.raises(ConfigError, match="at least one worker"):
        local(0)


def test_a_request_is_checked_before_anything_is_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    for names, options, message in [
        ((), {}, "name experiments or environments, e.g. lacuna bench mosi mmmo\n  environments: duet, tiny"),
        (("mars",), {}, "'mars' is neither an experiment nor an environment\n  environments: duet, tiny"),
        (("tiny", "tiny"), {}, "'tiny' is named twice"),
        (("nowhere.yml",), {}, "nowhere.yml cannot be read: No such file"),
        (("tiny",), {"models": "mlp+elsewhere"}, "'elsewhere' is neither a variant nor a registered model"),
        (("tiny",), {"seeds": "one"}, "seeds"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            run(names, print, listing=True, **options)
    lines: list[str] = []
    assert not run(("tiny",), lines.append, seeds="0", listing=True)  # nothing is done yet
    assert [line.split()[0] for line in lines[1:]] == ["open"] * 4
    assert [line.split(maxsplit=2)[2] for line in lines[1:]] == [
        "tiny prior seed 0",
        "tiny linear seed 0",
        "tiny mlp seed 0",
        "tiny oracle",
    ]
    assert not (project / "data/09_bench").exists()


def test_a_contest_that_cannot_be_read_is_named_and_the_exit_status_is_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, ingest in {"other": "{name: duet, duet: {preset: tiny, changes: {seed: 5}}}", "gone": "{path: nowhere}"}.items():
        folder = project / "conf" / name
        folder.mkdir()
        own = yaml.safe_load((project / "conf/tiny/parameters.yml").read_text()) | {"ingest": yaml.safe_load(ingest)}
        (folder / "parameters.yml").write_text(yaml.safe_dump(own))
    monkeypatch.chdir(project)
    monkeypatch.setattr(bench_command, "local", lambda workers: here)
    lines: list[str] = []
    few = {"models": "prior+linear", "seeds": "0"}
    two = ("tiny", "other")
    assert run(two, lines.append, **few)
    assert run(two, lines.append, **few, listing=True)  # and all of it is done
    lines.clear()
    key = next(path.parent for path in (project / "data/09_bench").glob("*/done.json") if is_of(path, "linear"))
    next(key.glob("sweeps-*")).write_bytes(b"half")  # of one of the two contests
    every = ("tiny", "other", "gone")
    assert not run(every, lines.append, **few)
    page = (project / "data/09_bench/leaderboard/tiny-other-gone/leaderboard.md").read_text("utf-8")
    damaged = next(name for name in ("tiny", "other") if f"{name} has no page" in "".join(lines))
    assert f"- {damaged} is missing from this page: " in page
    assert "- gone is missing from this page: " in page
    assert "gone could not be read:" in "".join(lines)
    assert not run(every, lines.append, **few, listing=True)
    assert not run(two, lines.append, **few)  # every cell is done, and yet a page is missing


def is_of(done: Path, model: str) -> bool:
    return bool(json.loads(done.read_text())["identity"]["run"].get("model.name") == model)


@pytest.mark.parametrize(
    ("device", "cuda_here", "gpus"), [("cpu", True, 0), ("auto", False, 0), ("auto", True, 1), ("cuda", False, 1)]
)
def test_a_task_asks_for_the_device_that_it_will_use(
    device: str, cuda_here: bool, gpus: int, make_cell: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lacuna.bench import executors

    job = plan("tiny", [make_cell()]).jobs(tmp_path)[0]
    job = job._replace(cell=replace(job.cell, training=replace(job.cell.training, device=device)))
    here = torch.device("cuda" if cuda_here else "cpu")
    monkeypatch.setattr(executors, "pick_device", lambda _: here)
    assert executors._needs(job) == {"num_cpus": 1, "num_gpus": gpus}
