"""Settings of a training run, checked before anything is read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal

from lacuna.errors import ConfigError

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


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
        patience: stop after so many epochs without a better validation metric; 0 = never.
        pattern: missingness of training and selection: a pattern of :mod:`lacuna.missing`, or its name.
        rates: training rates; every batch draws one of them.
        valid_rates: rates of the fixed masks under which weights are selected.
        valid_mask_seeds: seeds of those masks; each rate is used with each seed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32``, ``bfloat16`` (autocast), or ``auto``: the latter on CUDA only.
        threads: torch's CPU threads while training; ``None`` = as they are.
        checkpoint_steps: updates between two checkpoints inside an epoch; 0 = at the ends of epochs only.
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
    patience: int = 10
    pattern: Any = "modalities"
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    valid_rates: tuple[float, ...] = (0.0, 0.3, 0.6)
    valid_mask_seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = None
    checkpoint_steps: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("rates", "valid_rates", "valid_mask_seeds"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise _wrong(name, "a list of numbers", value)
            object.__setattr__(self, name, tuple(value))
        for name, low in (("epochs", 1), ("batch_size", 1), ("accumulate", 1), ("patience", 0), ("checkpoint_steps", 0)):
            _whole(name, getattr(self, name), low)
        if self.threads is not None:
            _whole("threads", self.threads, 1)
        _real("learning_rate", self.learning_rate, lambda x: x > 0, "a number above 0")
        _real("weight_decay", self.weight_decay, lambda x: x >= 0, "a number of at least 0")
        _real("clip_norm", self.clip_norm, lambda x: x >= 0, "a number of at least 0 (0 = no clipping)")
        _real("ema", self.ema, lambda x: 0 <= x < 1, "a number in [0, 1) (0 = none)")
        for name in ("rates", "valid_rates"):
            if not getattr(self, name):
                raise _wrong(name, "at least one rate", ())
            for rate in getattr(self, name):
                _real(name, rate, lambda x: 0 <= x <= 1, "rates in [0, 1]")
        if not self.valid_mask_seeds:
            raise _wrong("valid_mask_seeds", "at least one seed", ())
        for seed in self.valid_mask_seeds:
            _whole("valid_mask_seeds", seed, 0)
        for name, known in (("schedule", ("constant", "cosine")), ("precision", ("auto", "float32", "bfloat16"))):
            if getattr(self, name) not in known:
                raise _wrong(name, f"one of {', '.join(known)}", getattr(self, name))
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise _wrong("device", "auto, cpu, cuda or cuda:N", self.device)
        if not isinstance(self.tensorboard, bool):
            raise _wrong("tensorboard", "true or false", self.tensorboard)

    def result_settings(self) -> dict[str, Any]:
        """The settings that decide what comes out, as JSON values; where and how often it is computed is left out."""
        settings: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _INCIDENTAL}
        settings["pattern"] = self.pattern if isinstance(self.pattern, str) else repr(self.pattern)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


_INCIDENTAL = ("device", "threads", "checkpoint_steps", "tensorboard")


def _wrong(name: str, bound: str, found: object) -> ConfigError:
    return ConfigError(f"training setting '{name}' must be {bound}; found {found!r}")


def _whole(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise _wrong(name, f"a whole number of at least {low}", value)


def _real(name: str, value: object, holds: Any, bound: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not holds(value):
        raise _wrong(name, bound, value)
