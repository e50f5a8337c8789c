"""Emotion recognisers: one file for each published system or baseline, found by name in a registry."""

from lacuna.models.base import Prediction, Recognizer, Sampler, Stage, list_models, model_class, register
from lacuna.models.build import build, configure
from lacuna.models.cards import ModelCard, model_card, model_table, models_markdown
from lacuna.models.config import Config, Maci, check_bounds
from lacuna.models.info import ModelInfo
from lacuna.models.objective import Objective, task_loss
from lacuna.models.space import Choice, Dimension, Space, Span

__all__ = [
    "Choice",
    "Config",
    "Dimension",
    "Maci",
    "ModelCard",
    "ModelInfo",
    "Objective",
    "Prediction",
    "Recognizer",
    "Sampler",
    "Space",
    "Span",
    "Stage",
    "build",
    "check_bounds",
    "configure",
    "list_models",
    "model_card",
    "model_class",
    "model_table",
    "models_markdown",
    "register",
    "task_loss",
]
