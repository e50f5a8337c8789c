"""Settings of a training run, checked before anything is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lacuna.errors import ConfigError
from lacuna.missing import Pattern, pattern
from lacuna.models.base import Large, model_class
from lacuna.registry import check_settings
from lacuna.training.losses.base import Loss, loss_of

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class AuxiliaryTarget:
    """How a target is learned beside the main one.

    Attributes:
        weight: of its loss.
        loss: a loss that reads no hidden vectors, its name, or ``{name: ..., <setting>: ...}``.
    """

    weight: float = 1.0
    loss: Loss | str | Mapping[str, Any] = "plain"

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight < math.inf:
            raise _wrong("auxiliary_targets", "weights of at least 0", self.weight)
        object.__setattr__(self, "loss", loss := loss_of(self.loss))
        if loss.reads_hidden:
            raise ConfigError(f"training setting 'auxiliary_targets': loss '{loss.name}' is for the main target only")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        assert isinstance(self.loss, Loss)
        return {"weight": self.weight, "loss": self.loss.to_json()}


@dataclass(frozen=True)
class TrainingConfig:
    """How any recogniser is trained; nothing in here belongs to one model.

    Attributes:
        epochs: most passes over the training split.
        batch_size: utterances in a batch; models that read dialogues get whole dialogues of about that many.
        learning_rate: of AdamW, the same in every stage.
        schedule: ``constant``, or ``cosine`` down to zero at the last epoch.
        weight_decay: of AdamW.
        clip_norm: longest gradient that is stepped along; 0 = any.
        accumulate: batches whose gradients are added up before each step.
        ema: decay of a moving average of the weights, which is then what is validated and kept; 0 = none.
        loss: loss of the main target: a loss of :mod:`lacuna.training.losses`, its name, or ``{name: ..., <setting>: ...}``. For
            models that are trained by gradient descent. The validation loss is always the plain one.
        auxiliary_targets: further targets of the corpus that are learned too, by name: the weight of the loss, or ``{weight: ...,
            loss: ...}``. For models with ``gives_hidden``.
        sampling: ``natural`` = each epoch has every utterance once; ``balanced`` = utterances are drawn so that classes are
            equally frequent, or dialogues so that they are more equal (:mod:`lacuna.training.sampling`).
        mixup: parameter of the Beta distribution that two utterances are mixed with (:mod:`lacuna.training.mixup`); 0 = none.
        mixup_layer: what is mixed: the ``input``, the ``hidden`` vectors, or in each update one of the two at ``random``.
        patience: stop after so many epochs without a better validation metric; 0 = never.
        pattern: missingness of training and selection: a pattern of :mod:`lacuna.missing`, or its name.
        rates: training rates; every batch draws one of them.
        valid_rates: rates of the fixed masks under which weights are selected.
        valid_mask_seeds: seeds of those masks; each rate is used with each seed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32``, or ``bfloat16`` (autocast), which at the sizes of these models is the slower one on CUDA too
            (docs/results/cuda.md).
        threads: torch's CPU threads while training; ``None`` = as they are.
        checkpoint_steps: updates between two checkpoints inside an epoch; 0 = at the ends of epochs only.
        checkpoint_seconds: at the end of an epoch, no checkpoint if the last one is younger than that; 0 = after every epoch.
        tensorboard: write TensorBoard events beside the log.

    Raises:
        ConfigError: a value is out of bounds; the message names the field, the bound and the value.
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    accumulate: int = 1
    ema: float = 0.0
    loss: Loss | str | Mapping[str, Any] = "plain"
    auxiliary_targets: Mapping[str, Any] = field(default_factory=dict)
    sampling: Literal["natural", "balanced"] = "natural"
    mixup: float = 0.0
    mixup_layer: Literal["input", "hidden", "random"] = "input"
    patience: int = 10
    pattern: Pattern | str = "rmm"
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    valid_rates: tuple[float, ...] = (0.0, 0.3, 0.6)
    valid_mask_seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = None
    checkpoint_steps: int = 0
    checkpoint_seconds: float = 2.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("rates", "valid_rates", "valid_mask_seeds"):
            _listed(self, name)
        for name, least in _WHOLE.items():
            for value in _each(self, name):
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise _wrong(name, f"a whole number of at least {least}", value)
        for name, (bound, holds) in _REAL.items():
            for value in _each(self, name):
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and holds(value)):
                    raise _wrong(name, bound, value)
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise _wrong(name, f"one of {', '.join(map(str, known))}", getattr(self, name))
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise _wrong("device", "auto, cpu, cuda or cuda:N", self.device)
        _set_losses(self)
        if isinstance(self.pattern, str):
            object.__setattr__(self, "pattern", pattern(self.pattern))
        elif not isinstance(self.pattern, Pattern):
            raise _wrong("pattern", "a missingness pattern or the name of one", self.pattern)

    @property
    def pattern_text(self) -> str:
        """The pattern with its settings, as text."""
        return str(self.pattern)

    def result_settings(self) -> dict[str, Any]:
        """Return the settings that decide the result, as JSON values; device, threads and checkpoints are left out."""
        settings: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _INCIDENTAL}
        settings["pattern"] = self.pattern_text
        settings["loss"] = loss_of(self.loss).to_json()
        settings["auxiliary_targets"] = {name: target.to_json() for name, target in self.auxiliary_targets.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def training_settings(
    model: str, common: Mapping[str, Any], own: Mapping[str, Any] | None = None, *, utterances: int = 0
) -> dict[str, Any]:
    """Return the training settings of a variant: the common ones, then the defaults of its model, then its own.

    Args:
        model: registered name.
        common: settings of every model in a run.
        own: settings of this variant alone.
        utterances: number of training utterances; some models have other defaults from a number on.

    Example:
        >>> training_settings("sdr_gnn", {"epochs": 40, "batch_size": 256}, {"learning_rate": 0.01})
        {'epochs': 40, 'batch_size': 512, 'learning_rate': 0.01}
        >>> training_settings("evidence", {}), training_settings("evidence", {}, utterances=50_000)
        ({'ema': 0.98}, {'ema': 0.998, 'learning_rate': 0.002})
    """
    large = _large(model, utterances)
    return {**common, **model_class(model).training_defaults, **(large.training if large else {}), **(own or {})}


def model_settings(model: str, own: Mapping[str, Any], *, utterances: int) -> dict[str, Any]:
    """Return the settings of a variant that differ from those of its class: its own, above those for a large corpus.

    Args:
        model: registered name.
        own: settings of this variant alone.
        utterances: number of training utterances.

    Example:
        >>> model_settings("evidence", {"dropout": 0.3}, utterances=50_000)
        {'hidden': 96, 'dropout': 0.3, 'part_dropout': 0.1}
    """
    large = _large(model, utterances)
    return {**(large.settings if large else {}), **own}


def _large(model: str, utterances: int) -> Large | None:
    """Return the defaults of a model for a large corpus, if it has some and the corpus is one."""
    large = model_class(model).large
    return large if large and utterances >= large.utterances else None


def training_config(settings: Mapping[str, Any]) -> TrainingConfig:
    """Return the config of plain settings, as YAML holds them.

    Args:
        settings: fields of :class:`TrainingConfig`; ``pattern`` may be ``{"name": ..., "settings": {...}}``.

    Raises:
        ConfigError: an unknown setting, or a value out of bounds.
    """
    check_settings("train", "training", TrainingConfig, settings)
    chosen = settings.get("pattern", TrainingConfig.pattern)
    if isinstance(chosen, Mapping):
        if not {"name"} <= set(chosen) <= {"name", "settings"}:
            raise _wrong("pattern", "a name, or {name: ..., settings: {...}}", dict(chosen))
        chosen = pattern(chosen["name"], **chosen.get("settings", {}))
    return TrainingConfig(**{**settings, "pattern": chosen})


_INCIDENTAL = ("device", "threads", "checkpoint_steps", "checkpoint_seconds", "tensorboard")
_WHOLE = {
    "epochs": 1,
    "batch_size": 1,
    "accumulate": 1,
    "patience": 0,
    "checkpoint_steps": 0,
    "threads": 1,
    "valid_mask_seeds": 0,
}
_REAL: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("a number above 0", lambda x: x > 0),
    "weight_decay": ("a number of at least 0", lambda x: x >= 0),
    "clip_norm": ("a number of at least 0 (0 = no clipping)", lambda x: x >= 0),
    "checkpoint_seconds": ("a number of at least 0 (0 = after every epoch)", lambda x: x >= 0),
    "mixup": ("a number of at least 0 (0 = none)", lambda x: x >= 0),
    "ema": ("a number in [0, 1) (0 = none)", lambda x: 0 <= x < 1),
    "rates": ("numbers in [0, 1]", lambda x: 0 <= x <= 1),
    "valid_rates": ("numbers in [0, 1]", lambda x: 0 <= x <= 1),
}
_WORDS: dict[str, tuple[object, ...]] = {
    "schedule": ("constant", "cosine"),
    "precision": ("float32", "bfloat16"),
    "tensorboard": (True, False),
    "sampling": ("natural", "balanced"),
    "mixup_layer": ("input", "hidden", "random"),
}


def _set_losses(config: TrainingConfig) -> None:
    """Make losses and auxiliary targets of their plain values."""
    object.__setattr__(config, "loss", loss := loss_of(config.loss))
    if config.mixup and loss.reads_hidden:
        raise ConfigError(f"training setting 'mixup' cannot be combined with loss '{loss.name}': mixed vectors have no class")
    if not isinstance(config.auxiliary_targets, Mapping):
        raise _wrong("auxiliary_targets", "a mapping from names of targets to weights", config.auxiliary_targets)
    object.__setattr__(config, "auxiliary_targets", {name: _auxiliary(x) for name, x in config.auxiliary_targets.items()})


def _auxiliary(value: object) -> AuxiliaryTarget:
    """Return the settings of an auxiliary target from a weight or a mapping."""
    if isinstance(value, AuxiliaryTarget):
        return value
    if isinstance(value, Mapping):
        check_settings("training", "auxiliary_targets", AuxiliaryTarget, value)
        return AuxiliaryTarget(**value)
    return AuxiliaryTarget(weight=value)  # type: ignore[arg-type] # checked there


def _listed(config: TrainingConfig, name: str) -> None:
    """Make a tuple of a list that is not empty."""
    value = getattr(config, name)
    if isinstance(value, str) or not isinstance(value, Iterable) or not (values := tuple(value)):
        raise _wrong(name, "a list of at least one number", value)
    object.__setattr__(config, name, values)


def _each(config: TrainingConfig, name: str) -> tuple[Any, ...]:
    """The values of a setting: of a list each one, of ``None`` none."""
    value = getattr(config, name)
    if isinstance(value, tuple):
        return value
    return () if value is None and name == "threads" else (value,)


def _wrong(name: str, bound: str, found: object) -> ConfigError:
    return ConfigError(f"training setting '{name}' must be {bound}; found {found!r}")
