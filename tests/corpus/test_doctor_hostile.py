"""The doctor answers within ten seconds, whatever a small file asks for; no file ends it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hostile_files import HOSTILE, MARKER
from lacuna.corpus import diagnosis as module
from lacuna.corpus.doctor import examine, render


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_an_answer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(HOSTILE[name]())
    for path in (tmp_path / name, tmp_path):
        start = time.perf_counter()
        diagnosis = examine(path)
        assert time.perf_counter() - start < 10
        assert not diagnosis.usable
        assert all(diagnosis.errors)
        assert diagnosis.errors
        assert render(diagnosis)
    assert not (tmp_path / MARKER).exists()  # nothing was executed


def test_a_reader_that_ends_its_process_does_not_end_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(module, "_PROGRAM", f"import os; os.kill(os.getpid(), {int(signal.SIGABRT)})")
    assert "ended by SIGABRT" in examine(tmp_path / "a.parquet").errors[0]
    monkeypatch.setattr(module, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    assert "longer than 0 seconds" in examine(tmp_path).errors[0]
    assert os.listdir(tmp_path) == ["a.parquet"]
