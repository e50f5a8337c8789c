"""Code in docstrings and in the documentation runs, and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import lacuna

SOURCE = Path(lacuna.__file__).parent
ROOT = Path(__file__).parents[1]


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


WITH_EXAMPLES = sorted(_module(path) for path in SOURCE.rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_are_true(module: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "lacuna")  # after an import of Kedro, log messages go to the output of the examples
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(module), optionflags=options)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {module} print something else"


@pytest.mark.parametrize("name", ["load_corpus", "create_model", "evaluate", "list_models", "load_model", "model_card"])
def test_every_function_of_the_front_door_is_documented(name: str) -> None:
    text = getattr(lacuna, name).__doc__ or ""
    assert text.strip()
    assert "Args:" in text, f"lacuna.{name} needs a section Args"
