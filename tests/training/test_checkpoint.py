from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lacuna.errors import TrainingError
from lacuna.training import Fitted, checkpoint
from lacuna.training.selection import Tally

Train = Callable[..., Fitted]


class Killed(BaseException):
    """Stands in for SIGKILL where a test needs to look at the folder of a run that did not end."""


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let a run end abruptly after so many checkpoints."""

    def arm(saves: int) -> None:
        left, save = [saves], checkpoint.Checkpoints.save

        def counted(self: Any, state: Any) -> None:
            save(self, state)
            left[0] -= 1
            if not left[0]:
                monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
                raise Killed

        monkeypatch.setattr(checkpoint.Checkpoints, "save", counted)

    return arm


def same(a: Fitted, b: Fitted) -> bool:
    x, y = a.trained.model.state_dict(), b.trained.model.state_dict()
    return all(torch.equal(x[name], y[name]) for name in x)


def half_done(train: Train, stop_after: Callable[[int], None], folder: Path, **options: Any) -> None:
    stop_after(3)
    with pytest.raises(Killed):
        train(folder=folder, epochs=6, **options)


def test_a_finished_run_returns_at_once(
    train_toy: Train, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_toy(folder=tmp_path)
    assert sorted(p.name.partition("-")[0] for p in tmp_path.iterdir()) == ["best", "log.jsonl", "result.json"]
    monkeypatch.setattr(toys.Toy, "forward", lambda *_: pytest.fail("trained again"))
    again = train_toy(folder=tmp_path)
    assert same(first, again)
    assert again.history == first.history
    assert again.trained.selection == first.trained.selection


def test_a_run_goes_on_from_its_last_checkpoint(train_toy: Train, stop_after: Callable[[int], None], tmp_path: Path) -> None:
    half_done(train_toy, stop_after, tmp_path)
    assert json.loads((tmp_path / "last.json").read_text())["progress"]["epoch"] == 3
    assert json.loads((tmp_path / "previous.json").read_text())["progress"]["epoch"] == 2
    assert same(train_toy(folder=tmp_path, epochs=6), train_toy(epochs=6))


@pytest.mark.parametrize("damage", ["state gone", "state torn", "state flipped", "manifest torn", "manifest gone", "best torn"])
def test_a_damaged_checkpoint_is_passed_over(
    damage: str,
    train_toy: Train,
    stop_after: Callable[[int], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tally, "metric", property(lambda self: -self.loss))  # better at every epoch
    half_done(train_toy, stop_after, tmp_path)
    last = tmp_path / "last.json"
    content = json.loads(last.read_text())
    what, how = damage.split()
    path = last if what == "manifest" else tmp_path / content[what]["name"]
    assert content["best"] != json.loads((tmp_path / "previous.json").read_text())["best"]
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "torn" else data[:-1] + bytes([data[-1] ^ 1]))
    with caplog.at_level(logging.WARNING):
        again = train_toy(folder=tmp_path, epochs=6)
    assert ("last.json cannot be read" in caplog.text) == (damage != "manifest gone")
    assert same(again, train_toy(epochs=6))


def test_two_damaged_checkpoints_are_an_error(train_toy: Train, stop_after: Callable[[int], None], tmp_path: Path) -> None:
    half_done(train_toy, stop_after, tmp_path)
    for path in tmp_path.glob("state-*"):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"no checkpoint in .+ can be read(.|\n)+delete the folder"):
        train_toy(folder=tmp_path, epochs=6)


def test_a_killed_run_after_a_damaged_checkpoint_keeps_a_good_one(
    train_toy: Train, stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    half_done(train_toy, stop_after, tmp_path)
    (tmp_path / "last.json").write_text("{")
    stop_after(1)
    with pytest.raises(Killed):
        train_toy(folder=tmp_path, epochs=6)
    for name in ("last.json", "previous.json"):
        assert json.loads((tmp_path / name).read_text())["progress"]["epoch"] in (2, 3)


@pytest.mark.parametrize("finished", [False, True])
def test_another_run_is_refused_with_what_differs(
    finished: bool, train_toy: Train, toys: ModuleType, stop_after: Callable[[int], None], tmp_path: Path
) -> None:
    if finished:
        train_toy(folder=tmp_path, epochs=6)
    else:
        half_done(train_toy, stop_after, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for changes, message in (
        ({"learning_rate": 0.5}, "training.learning_rate: 0.01 there, 0.5 here"),
        ({"seed": 5}, "seed: 0 there, 5 here"),
        ({"settings": {"width": 9}}, "model.width: 8 there, 9 here"),
        ({"corpus": toys.make_corpus(seed=1)}, "data.train: "),
        ({"pattern": "rmfm"}, "training.pattern: "),
    ):
        with pytest.raises(TrainingError, match=message) as error:
            train_toy(folder=tmp_path, **{"epochs": 6} | changes)
        assert "use another folder" in str(error.value)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
    train_toy(folder=tmp_path, epochs=6, threads=1, checkpoint_steps=2)  # how often and where does not matter


def test_a_damaged_result_is_made_again(train_toy: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = train_toy(folder=tmp_path)
    next(tmp_path.glob("best-*")).write_bytes(b"x")
    assert same(first, train_toy(folder=tmp_path))
    assert "so the run is repeated" in caplog.text


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(train_toy: Train, tmp_path: Path) -> None:
    settings = {"bad_after": 12}  # five updates an epoch: the third of the third epoch
    with pytest.raises(TrainingError, match="epoch 3, update 3 of 5") as error:
        train_toy(folder=tmp_path, epochs=6, settings=settings)
    stopped = json.loads((tmp_path / "stopped.json").read_text())
    assert len(stopped["utterances"]) == 16
    assert stopped["utterances"] == list(error.value.utterances)
    assert {k: stopped[k] for k in ("model", "stage", "epoch", "step", "where")} == {
        "model": "toy",
        "stage": "task",
        "epoch": 2,
        "step": 2,
        "where": "epoch 3, update 3 of 5",
    }
    assert stopped["losses"]["extra"] == "nan"
    assert stopped["losses"]["task"] > 0
    assert str(error.value).endswith(f"all 16 utterances and the losses: {tmp_path / 'stopped.json'}")
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert json.loads(kept["last.json"])["progress"]["epoch"] == 2
    assert [json.loads(line)["epoch"] for line in kept["log.jsonl"].decode().splitlines()] == [0, 1]
    with pytest.raises(TrainingError):  # called anew the toy counts from the checkpoint: later, but again
        train_toy(folder=tmp_path, epochs=6, settings=settings | {"bad_after": 12}, accumulate=1)


def test_a_stop_without_a_folder_still_names_every_utterance(train_toy: Train) -> None:
    with pytest.raises(TrainingError, match="and 11 more") as error:
        train_toy(settings={"bad_after": 0})
    assert len(set(error.value.utterances)) == 16
    assert "stopped.json" not in str(error.value)


def test_what_a_stop_left_goes_when_the_run_ends_well(train_toy: Train, toys: ModuleType, tmp_path: Path) -> None:
    settings = {"bad_after": 12}  # started anew the toy counts its calls from the checkpoint after ten, and ends before 12
    with pytest.raises(TrainingError):
        train_toy(folder=tmp_path, settings=settings)
    train_toy(folder=tmp_path, settings=settings)
    assert sorted(p.name.partition("-")[0] for p in tmp_path.iterdir()) == ["best", "log.jsonl", "result.json"]


def test_a_full_disk_leaves_the_former_checkpoint(train_toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = checkpoint.save_file, [0]

    def full(tensors: Any, path: Path) -> None:
        count[0] += 1
        if count[0] > 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match=r"No space left(.|\n)+the former checkpoint is intact"):
        train_toy(folder=tmp_path, epochs=6)
    assert not list(tmp_path.glob(".partial*"))
    monkeypatch.setattr(checkpoint, "save_file", real)
    assert same(train_toy(folder=tmp_path, epochs=6), train_toy(epochs=6))


def test_quick_epochs_are_not_each_written(train_toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, epochs = checkpoint.Checkpoints.save, []
    monkeypatch.setattr(
        checkpoint.Checkpoints, "save", lambda self, state: (epochs.append(state.progress.epoch), real(self, state))
    )
    first = train_toy(folder=tmp_path, epochs=6, checkpoint_seconds=60)
    assert epochs == [1]
    assert same(first, train_toy(epochs=6))


def test_disk_space_is_bounded(train_toy: Train, stop_after: Callable[[int], None], tmp_path: Path) -> None:
    half_done(train_toy, stop_after, tmp_path, checkpoint_steps=1)
    assert len(list(tmp_path.glob("state-*"))) == 2
    assert len(list(tmp_path.glob("best-*"))) <= 2
