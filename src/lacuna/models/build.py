"""Build a recogniser from its name and settings, with the wrappers that the settings switch on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError, naming_extras
from lacuna.models.base import Recognizer, list_models, model_class
from lacuna.models.config import Config, Maci, Member, check_bounds
from lacuna.models.wrappers.calibration import Calibrated
from lacuna.models.wrappers.causal import Causal
from lacuna.models.wrappers.ensemble import Ensemble
from lacuna.models.wrappers.in_dialogue import InDialogue
from lacuna.models.wrappers.layer_weights import LayerWeighted, one_layer
from lacuna.models.wrappers.pairwise import PairwisePretraining
from lacuna.models.wrappers.recovered import Recovered
from lacuna.models.wrappers.window import Windowed
from lacuna.models.wrappers.wrapped import Wrapped
from lacuna.registry import check_settings

WRAPPERS = (Ensemble, InDialogue, PairwisePretraining, LayerWeighted, Windowed, Recovered, Causal, Calibrated)
WRAPPER_MODULES = tuple(wrapper.__module__ for wrapper in WRAPPERS)
WIDEST = 64  # turns on either side of the largest window
MEMBERS = 64  # of the largest ensemble
ENCODER = 8192  # units of the largest dialogue encoder


def configure(name: str, **settings: Any) -> Config:
    """Return all settings of a model, defaults included.

    Args:
        name: name in the registry.
        settings: fields of its ``Config`` that differ from their defaults; ``maci`` may be a mapping of fields of :class:`Maci`,
            ``recovered_by`` the name of a model or a mapping of fields of :class:`Member`.

    Raises:
        ConfigError: unknown model or setting, or a value out of bounds.
    """
    cls = model_class(name)
    check_settings("model", name, cls.Config, settings)
    config = cls.Config(**settings)
    check_bounds(name, config, window=(0, WIDEST), ensemble=(1, MEMBERS), calibrate=(False, True), layer_weights=(False, True))
    check_bounds(name, config, dialogue=(0, ENCODER), mpuc=(0, 10**6))
    return replace(config, maci=_maci(name, config.maci), recovered_by=_recovery(name, config.recovered_by))


def _maci(name: str, value: object) -> Maci | None:
    if value is None or isinstance(value, Maci):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"model '{name}': setting 'maci' must be a mapping of settings, or null; found {value!r}")
    check_settings("maci of", name, Maci, value)
    return Maci(**value)


def _recovery(name: str, value: object) -> Member | None:
    """Return the recovering model with all its settings, as plain values."""
    if value is None:
        return None
    if isinstance(value, str):
        value = Member(value)
    if isinstance(value, Mapping) and "model" in value:
        check_settings("recovered_by of", name, Member, value)
        value = Member(**value)
    if not isinstance(value, Member):
        raise ConfigError(
            f"model '{name}': setting 'recovered_by' must be the name of a model, or a mapping with model, settings and "
            f"training; found {value!r}"
        )
    if not model_class(value.model).recovers:
        able = ", ".join(known for known in list_models() if model_class(known).recovers)
        raise ConfigError(f"model '{name}': recovered_by names '{value.model}', which does not recover\n  do: use one of {able}")
    settings = configure(value.model, **value.settings)
    if value.modalities:
        raise ConfigError(f"model '{name}': the model of recovered_by reads all modalities\n  do: leave out 'modalities'")
    if settings.recovered_by is not None:
        raise ConfigError(f"model '{name}': the model of recovered_by has a recovered_by of its own\n  do: set it to null")
    return Member(value.model, asdict(settings), dict(value.training))


def build(name: str, schema: Schema, **settings: Any) -> Recognizer:
    """Return an untrained recogniser.

    Args:
        name: name in the registry.
        schema: modalities and target.
        settings: fields of its ``Config`` that differ from their defaults.

    Raises:
        ConfigError: unknown model or setting, a value out of bounds, a wrapper that does not fit the
            model, or auxiliary targets for a model without hidden vectors.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> build("mlp", generate(preset("tiny")).schema(), hidden=8).config.hidden
        8
    """
    config = configure(name, **settings)
    with naming_extras(f"model '{name}'"):
        model = model_class(name)(one_layer(schema) if config.layer_weights else schema, config)
        model.add_auxiliary_heads()
    for wrapper, setting in wrappers_of(config).items():
        part = build(setting.model, schema, **setting.settings) if isinstance(setting, Member) else setting
        part = schema if wrapper is LayerWeighted else part
        model = wrapper(model, part)
    return model


def wrappers_of(config: Config) -> dict[Callable[[Recognizer, Any], Wrapped], Any]:
    """Return the wrappers that the settings of a model switch on, innermost first, each with its setting."""
    settings: dict[Callable[[Recognizer, Any], Wrapped], Any] = {
        Ensemble: config.ensemble if config.ensemble > 1 else 0,
        InDialogue: config.dialogue,
        PairwisePretraining: config.mpuc,
        LayerWeighted: config.layer_weights,
        Windowed: config.window,
        Recovered: config.recovered_by,
        Causal: config.maci,
        Calibrated: config.calibrate,
    }
    return {wrapper: setting for wrapper, setting in settings.items() if setting}
