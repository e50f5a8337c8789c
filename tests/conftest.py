"""What every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
settings.register_profile("lacuna", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.load_profile("lacuna")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora beside the project; tests that need them are skipped where they are absent."""
    folder = Path(os.environ.get("LACUNA_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("real data are not here: set LACUNA_SHARED_DATA to their folder")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's configuration in a folder of its own, so that a test leaves nothing behind."""
    from kedro.framework.startup import bootstrap_project  # here, so that other tests do not wait for Kedro

    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    (tmp_path / ".telemetry").write_text("consent: false\n")
    bootstrap_project(tmp_path)
    return tmp_path
