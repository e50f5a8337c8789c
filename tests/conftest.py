"""What every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora beside the project; tests that need them are skipped where they are absent."""
    folder = Path(os.environ.get("LACUNA_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("real data are not here: set LACUNA_SHARED_DATA to their folder")
    return folder
