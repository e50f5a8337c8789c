"""The examples in docstrings give the results that they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import lacuna

SOURCE = Path(lacuna.__file__).parent
MODULES = [
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for package in ("corpus", "media", "missing", "shift", "errors.py")
    for path in sorted([SOURCE / package, *(SOURCE / package).rglob("*.py")])
    if path.suffix == ".py" and ">>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_show(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried
    assert not failed
