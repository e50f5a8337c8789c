"""Data-parallel training: parts of a batch, and the curve of one process with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.training.distributed import Processes

Scenario = dict[str, Any]
SCENARIOS: dict[str, Scenario] = {
    "utterances": {"name": "toy", "processes": 2},
    "dialogues": {"name": "talk", "processes": 2},
    "three": {"name": "toy", "processes": 3, "config": {"accumulate": 2, "ema": 0.9}},
    "kept gradient": {"name": "kept", "processes": 2},
    "value": {"name": "toy", "processes": 2, "task": "regression"},
    "more processes than dialogues": {"name": "talk", "processes": 3, "config": {"batch_size": 5, "epochs": 2}},
}


def trained(scenarios: list[Scenario]) -> list[list[dict[str, Any]]]:
    """Return the answers of the processes of each scenario."""
    script = Path(__file__).with_name("together.py")
    command = [sys.executable, str(script), json.dumps(scenarios)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


@pytest.mark.slow
def test_several_processes_have_the_loss_curve_of_one_with_the_joined_batch() -> None:
    """Each process reads half (or a third) of a batch, so one process has the double (or triple) batch."""
    both = [{**one, "processes": n} for one in SCENARIOS.values() for n in (1, one["processes"])]
    answers = iter(trained(both))
    for name, (alone,), processes in zip(SCENARIOS, answers, answers, strict=True):
        assert len({one["weights"] for one in processes}) == 1, name
        assert [one["history"] for one in processes] == [processes[0]["history"]] * len(processes), name
        expected, history = alone["history"], processes[0]["history"]
        assert len(history) == len(expected), name
        for row, expected_row in zip(history, expected, strict=True):
            assert row.keys() == expected_row.keys(), name
            assert row == pytest.approx(expected_row, rel=1e-4, abs=1e-5), name
        assert history[-1]["train_loss"] < history[0]["train_loss"], name


@pytest.mark.slow
def test_processes_that_are_killed_continue_with_equal_bits() -> None:
    scenario = {"name": "toy", "processes": 2, "settings": {"dropout": 0.3}, "config": {"checkpoint_steps": 2}}
    whole, killed = trained([scenario, {**scenario, "kill": 2}])
    assert killed == whole


@given(
    n_rows=st.integers(1, 30),
    size=st.integers(1, 5),
    turns=st.integers(1, 6),
    unlabelled=st.sets(st.integers(0, 59)),
)
def test_parts_are_whole_dialogues_and_cover_the_batch_once(n_rows: int, size: int, turns: int, unlabelled: set[int]) -> None:
    labelled = ~np.isin(np.arange(60), sorted(unlabelled))
    dialogue = np.arange(60) // turns
    batches = [np.arange(n_rows), np.arange(59, 59 - n_rows // 2 - 1, -1)]
    for codes in (None, dialogue):
        parts = [Processes(rank, size).parts(batches, labelled, codes) for rank in range(size)]
        assert sum(share for _, shares in parts for share in shares) == pytest.approx(1)
        for number, batch in enumerate(batches):
            computed = [(rows[number], shares[number]) for rows, shares in parts]
            assert all(len(rows) for rows, _ in computed)  # a forward pass of nothing is not defined
            counted = [rows for rows, share in computed if share or not labelled[rows].any()]
            covered = np.concatenate([rows for rows, share in computed if share])
            in_order = covered[np.argsort(covered)]
            assert len(np.unique(covered)) == len(covered)
            kept = batch[labelled[batch]] if labelled[batch].any() else batch
            assert set(kept) <= set(in_order)
            assert counted
            if codes is not None:
                for rows, _ in computed:
                    in_batch = batch[np.isin(codes[batch], codes[rows])]
                    assert set(in_batch) == set(rows)


def test_a_process_alone_needs_no_process_group() -> None:
    alone = Processes.current()
    assert alone == Processes(0, 1)
    assert alone.of_first("value") == "value"
    assert alone.gathered("value") == ["value"]


@pytest.mark.slow
def test_torchrun_starts_the_command_in_several_processes(tmp_path: Path) -> None:
    """One run folder, one history, and the curve of the command without torchrun."""
    words = ["train", "duet", "--preset", "tiny", "--models", "linear", "--epochs", "3", "--set", "device=cpu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    histories = []
    for name, start in (("alone", ["-m"]), ("together", [*launcher, "-m"])):
        command = [sys.executable, *start, "lacuna", *words, "--name", name]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f"run: runs/{name}") == 1  # process 0 alone writes
        histories.append(pd.read_parquet(tmp_path / "runs" / name / "history.parquet").drop(columns="seconds"))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["alone", "together"]
    pd.testing.assert_frame_equal(*histories, rtol=1e-4, atol=1e-5)
    assert not histories[0].equals(histories[1])  # sums over two processes are rounded in another order
