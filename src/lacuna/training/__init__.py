"""Training: one loop for every recogniser, its settings, checkpoints and logs, and what is kept."""

from lacuna.training.combine import combine
from lacuna.training.config import TrainingConfig, model_settings, training_config, training_settings
from lacuna.training.export import export_recognizer
from lacuna.training.fit import Fitted, fit
from lacuna.training.identity import Recipe, run_folder
from lacuna.training.loader import Loader
from lacuna.training.many import fit_all
from lacuna.training.trained import (
    Selection,
    TrainedRecognizer,
    load_recognizer,
    load_recognizers,
    save_recognizer,
    save_recognizers,
)

__all__ = [
    "Fitted",
    "Loader",
    "Recipe",
    "Selection",
    "TrainedRecognizer",
    "TrainingConfig",
    "combine",
    "export_recognizer",
    "fit",
    "fit_all",
    "load_recognizer",
    "load_recognizers",
    "model_settings",
    "run_folder",
    "save_recognizer",
    "save_recognizers",
    "training_config",
    "training_settings",
]
