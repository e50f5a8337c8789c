"""Multimodal emotion recognition with missing data: train, compare, report.

The names below load what they need when they are first used, so ``import lacuna`` is immediate.

Example:
    >>> import lacuna
    >>> "linear" in lacuna.list_models()
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = [
    "Evaluation",
    "Model",
    "Score",
    "create_model",
    "evaluate",
    "list_models",
    "list_patterns",
    "load_corpus",
    "load_model",
    "model_card",
]

if TYPE_CHECKING:
    from lacuna.api import Evaluation, Model, Score, create_model, evaluate, list_models, load_corpus, load_model, model_card
    from lacuna.missing import list_patterns


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lacuna' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("lacuna.missing" if name == "list_patterns" else "lacuna.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
