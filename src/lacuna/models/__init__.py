"""Recognisers: one file, one system of the literature, one line in the registry."""

from lacuna.models.base import Prediction, Recognizer, Sampler, Stage, list_models, model_class, register, task_loss
from lacuna.models.build import build, configure
from lacuna.models.config import Config, Maci, check_bounds

__all__ = [
    "Config",
    "Maci",
    "Prediction",
    "Recognizer",
    "Sampler",
    "Stage",
    "build",
    "check_bounds",
    "configure",
    "list_models",
    "model_class",
    "register",
    "task_loss",
]
