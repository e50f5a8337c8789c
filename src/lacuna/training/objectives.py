"""From the settings `loss` and `auxiliary_targets` to the objective that a model has while it is trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lacuna.corpus.corpus import Labels, has_label
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, list_models, model_class
from lacuna.training.identity import Recipe
from lacuna.training.losses.base import LabelCounts, Loss, Plain, loss_of


def give_objective(model: Recognizer, recipe: Recipe) -> None:
    """Give a model, and those that it wraps, the objective of its training; with default settings there is none.

    Raises:
        ConfigError: a setting does not fit the model or a target, or an auxiliary target has no label in training.
    """
    config, schema = recipe.config, recipe.schema
    main = loss_of(config.loss)
    _check(model, recipe, main)
    if isinstance(main, Plain) and not config.auxiliary_targets:
        return
    width = max(part.hidden_width for part in _recognizers(model))
    labels = recipe.train.utterances.labels
    main.check(schema.target)
    objective = main.objective(LabelCounts.of(schema.target, _tensor(labels[schema.target.name])), schema, width)
    for target in schema.auxiliary:
        settings = config.auxiliary_targets[target.name]
        settings.loss.check(target)
        if not has_label(target, np.asarray(labels[target.name])).any():
            raise ConfigError(
                f"auxiliary target '{target.name}' has no label in the training split of corpus '{recipe.train.name}'; "
                "do: remove it from auxiliary_targets"
            )
        other = settings.loss.objective(LabelCounts.of(target, _tensor(labels[target.name])), schema, 0)
        other.weight = float(settings.weight)
        objective.others.append(other)
    for part in _recognizers(model):
        part.objective = objective


def take_objective(model: Recognizer) -> None:
    """Remove what :func:`give_objective` gave: a trained model does not need it."""
    for part in _recognizers(model):
        part.objective = None


def _recognizers(model: Recognizer) -> list[Recognizer]:
    """Return the model and those inside it."""
    return [part for part in model.modules() if isinstance(part, Recognizer)]


def _tensor(labels: Labels) -> Tensor:
    return torch.from_numpy(np.array(labels))


def _check(model: Recognizer, recipe: Recipe, main: Loss) -> None:
    """Check that the settings of the objective fit the model and the main target."""
    config, target = recipe.config, recipe.schema.target
    changed = {"loss": not isinstance(main, Plain), "sampling": config.sampling != "natural", "mixup": bool(config.mixup)}
    if not model.learns and (names := [name for name, value in changed.items() if value]):
        raise ConfigError(
            f"model '{model.name}' is fitted in closed form, so training setting '{names[0]}' cannot change it; "
            f"do: give the setting to the variants that learn only (models.<variant>.training)"
        )
    giving = [part for part in _recognizers(model) if part.gives_hidden]
    if main.reads_hidden and not giving:
        able = ", ".join(name for name in list_models() if model_class(name).gives_hidden)
        raise ConfigError(
            f"loss '{main.name}' reads hidden vectors, which model '{model.name}' does not give; do: choose one of {able}"
        )
    if config.mixup and config.mixup_layer != "input" and not any(hasattr(part, "head") for part in giving):
        raise ConfigError(
            f"training setting 'mixup_layer' is '{config.mixup_layer}', but model '{model.name}' has no last layer that reads "
            "hidden vectors; do: set mixup_layer: input"
        )
    if config.sampling == "balanced" and target.task == "regression":
        raise ConfigError(f"training setting 'sampling' is balanced, but target '{target.name}' is a value; do: set natural")
