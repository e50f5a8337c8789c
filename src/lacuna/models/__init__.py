"""Recognisers: one file, one system of the literature, one line in the registry."""

from lacuna.models.base import (
    Config,
    Prediction,
    Recognizer,
    Stage,
    build,
    check_bounds,
    configure,
    list_models,
    model_class,
    register,
    task_loss,
)

__all__ = [
    "Config",
    "Prediction",
    "Recognizer",
    "Stage",
    "build",
    "check_bounds",
    "configure",
    "list_models",
    "model_class",
    "register",
    "task_loss",
]
