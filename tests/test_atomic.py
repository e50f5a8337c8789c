"""Files and folders are whole or absent, and what killed processes left is deleted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lacuna import atomic
from lacuna.atomic import TEMPORARY, make_scratch, partial_folder, replace_folder, sweep_partial, sweep_stale, temporary_prefix


@pytest.fixture(scope="module")
def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def _left_by(pid: int, folder: Path, start: str = TEMPORARY) -> Path:
    path = folder / temporary_prefix(start).replace(str(os.getpid()), str(pid))
    path.mkdir()
    (path / "half").write_bytes(b"x")
    return path


def test_only_what_ended_processes_left_is_deleted(tmp_path: Path, ended_process: int) -> None:
    left, mine = _left_by(ended_process, tmp_path), _left_by(os.getpid(), tmp_path)
    unknown = tmp_path / f"{TEMPORARY}0123-state"
    unknown.write_bytes(b"x")
    assert sweep_partial(tmp_path) == [left]
    assert sorted(tmp_path.iterdir()) == sorted([mine, unknown])
    os.utime(unknown, (time.time() - 2 * 86_400,) * 2)
    assert sweep_partial(tmp_path) == [unknown]


def test_writing_deletes_leftovers_of_the_folder(tmp_path: Path, ended_process: int) -> None:
    _left_by(ended_process, tmp_path)
    atomic.write_text(tmp_path / "a", "1")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_scratch_folders_of_ended_processes_are_deleted(
    tmp_path: Path, ended_process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _left_by(ended_process, tmp_path, atomic.SCRATCH)
    (tmp_path / "lacuna-of-another-program").mkdir()
    assert sorted(tmp_path.iterdir()) != sorted([new := make_scratch(), tmp_path / "lacuna-of-another-program"])
    assert sorted(tmp_path.iterdir()) == sorted([new, tmp_path / "lacuna-of-another-program"])


@pytest.mark.parametrize("before", [None, "old"])
def test_a_folder_is_replaced_whole(tmp_path: Path, before: str | None) -> None:
    target = tmp_path / "variant" / "seed-0"
    if before:
        target.mkdir(parents=True)
        (target / before).write_text("x")
    with partial_folder(tmp_path) as new:
        (new / "content").write_text("y")
        replace_folder(new, target)
    assert [p.name for p in target.iterdir()] == ["content"]
    assert [p.name for p in tmp_path.iterdir()] == ["variant"]
    assert [p.name for p in target.parent.iterdir()] == ["seed-0"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "old").write_text("x")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with partial_folder(tmp_path) as new:
        (new / "content").write_text("y")
        with pytest.raises(OSError, match="no space"):
            replace_folder(new, tmp_path / "target")
    assert [p.name for p in tmp_path.rglob("*")] == ["target", "old"]


def test_what_safetensors_leaves_when_it_is_killed_is_deleted_with_the_stale_files(tmp_path: Path) -> None:
    for name in (".tmp3qe0Ky", "state-old.safetensors", "state-new.safetensors", "other.json"):
        (tmp_path / name).write_text("x")
    sweep_stale(tmp_path, "state", ["state-new.safetensors"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "state-new.safetensors"]
