"""What ``conf/*/parameters_*.yml`` may say. A wrong setting stops a run before its first node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

if TYPE_CHECKING:
    from lacuna.evaluation import EvaluationConfig
    from lacuna.training import TrainingConfig

Rate = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]
BEST = "best"  # `predict.model`: whichever was best on validation


class Parameters(BaseModel):
    """Base: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: Any) -> Any:
    """A list, as a command line can say it: ``--params train.models=mlp+knn``, ``train.seeds=3``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split("+")]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Listed = BeforeValidator(_listed)


class PatternParameters(Parameters):
    """A missingness pattern with settings that differ from its defaults."""

    name: str
    settings: dict[str, Any] = {}
    rates: list[Rate] = []


class Generated(Parameters):
    """What duet is drawn from: a preset, and settings of :class:`lacuna.synthetic.duet.Duet` that differ from it."""

    preset: str = "demo"
    changes: dict[str, Any] = {}


class Ingest(Parameters):
    """Where the corpus comes from and how it is split."""

    name: str
    path: Path | None = None
    importer: str | None = None
    options: dict[str, Any] = {}
    duet: Generated = Generated()
    split: Literal["given", "carve", "fold"] = "given"
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    folds: Annotated[int, Field(ge=3)] = 5
    test_fold: Seed = 0
    seed: Seed = 0


def _told(check: Callable[[], object]) -> None:
    """Turn an error of the library into one that pydantic reports with its place in the parameters."""
    from lacuna.errors import LacunaError

    try:
        check()
    except LacunaError as error:
        raise ValueError(str(error)) from None


def training_config(options: Mapping[str, Any]) -> TrainingConfig:
    """Training settings from YAML, where a pattern is a name or a name with settings.

    Raises:
        ConfigError: an unknown setting, or a value out of bounds.
    """
    from lacuna.missing import pattern
    from lacuna.registry import check_settings
    from lacuna.training import TrainingConfig

    check_settings("train", "training", TrainingConfig, options)
    chosen = options.get("pattern", TrainingConfig.pattern)
    if isinstance(chosen, dict):
        spec = PatternParameters.model_validate(chosen)
        chosen = pattern(spec.name, **spec.settings)
    return TrainingConfig(**{**options, "pattern": chosen})


class Model(Parameters):
    """What a variant stands for: a registered model, settings of its config, and training settings of its own."""

    model: str = ""  # empty = the variant is the registered name
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Train(Parameters):
    """What is trained; ``models`` are variants, see :class:`Models` and :func:`check_variants`."""

    models: Annotated[list[str], Field(min_length=1), Listed]
    seeds: Annotated[list[Seed], Field(min_length=1), Listed]
    target: str | None = None
    checkpoints: Path
    training: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check(self) -> Train:
        if len(set(self.models)) < len(self.models) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("every model and every seed may be named once")
        _told(lambda: training_config(self.training))
        return self


class Models(BaseModel):
    """Models by variant, so that a run can hold variants of one model side by side."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Model] = Field(init=False)

    @model_validator(mode="after")
    def _check(self) -> Models:
        for variant in self.variants:
            _told(lambda variant=variant: _check_model(variant, self.of(variant)))  # type: ignore[misc]
        return self

    @property
    def variants(self) -> list[str]:
        """All that have a file or an entry."""
        return list(self.__pydantic_extra__ or {})

    def of(self, variant: str) -> Model:
        """What is said of a variant, with the registered name filled in; a registered name needs no file."""
        own = (self.__pydantic_extra__ or {}).get(variant, Model())
        return own.model_copy(update={"model": own.model or variant})


def _check_model(variant: str, own: Model) -> None:
    from lacuna.errors import ConfigError
    from lacuna.evaluation.tables import CEILING
    from lacuna.models import configure, list_models
    from lacuna.training.variant import check_variant

    if own.model not in list_models():
        of = f"variant '{variant}': " if own.model != variant else ""
        hint = "; a variant of your own says which one it is by `model: ...`" if own.model == variant else ""
        raise ConfigError(f"{of}unknown model '{own.model}'; known: {', '.join(list_models())}{hint}")
    if variant in (BEST, CEILING):
        raise ConfigError(f"variant '{variant}' has a meaning of its own; choose another variant")
    check_variant(variant, own.model)
    configure(own.model, **own.settings)
    training_config(own.training)


def check_variants(train: Train, models: Models) -> None:
    """Check that everything that is to be trained is known.

    Raises:
        ConfigError: a variant is neither under ``models`` nor a registered name; the message lists both.
    """
    from lacuna.errors import ConfigError
    from lacuna.models import list_models

    for variant in train.models:
        if variant not in models.variants and variant not in list_models():
            raise ConfigError(
                f"train.models: '{variant}' is neither a variant nor a registered model\n"
                f"  variants (under `models`): {', '.join(models.variants) or 'none'}\n"
                f"  registered models: {', '.join(list_models())}"
            )


class Gather(Parameters):
    """Which parts, trained apart, become one run, and where they lie."""

    parts: Annotated[list[str], Field(min_length=1), Listed]
    recognizers: Path
    histories: Path


class Evaluate(Parameters):
    """What a trained model is put through."""

    patterns: Annotated[list[str | PatternParameters], Field(min_length=1), Listed]
    rates: Annotated[list[Rate], Field(min_length=1), Listed]
    mask_seeds: Annotated[list[Seed], Field(min_length=1), Listed]
    recovery_rates: Annotated[list[Rate], Listed] = [0.5]
    replicates: Annotated[int, Field(ge=100)] = 500
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: Seed = 0
    device: str = "auto"
    threads: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Evaluate:
        from lacuna.missing import pattern, pattern_class

        for spec in self.patterns:
            name, settings = (spec, {}) if isinstance(spec, str) else (spec.name, spec.settings)
            _told(lambda name=name, settings=settings: pattern(name, **settings) if settings else pattern_class(name))  # type: ignore[misc]
        _told(self.config)
        return self

    def config(self) -> EvaluationConfig:
        """The protocol.

        Raises:
            ConfigError: rates or seeds that make none.
        """
        from lacuna.evaluation import EvaluationConfig
        from lacuna.evaluation import PatternSpec as Spec

        given = [PatternParameters(name=p) if isinstance(p, str) else p for p in self.patterns]
        return EvaluationConfig(
            patterns=tuple(Spec(p.name, p.settings, tuple(p.rates)) for p in given),
            rates=tuple(self.rates),
            mask_seeds=tuple(self.mask_seeds),
            replicates=self.replicates,
            level=self.level,
            seed=self.seed,
        )


class Predict(Parameters):
    """Which corpus is labelled, by which model: its variant."""

    path: Path
    importer: str | None = None
    options: dict[str, Any] = {}
    model: str = BEST
    batch_size: PositiveInt = 1024
    device: str = "auto"
    threads: PositiveInt | None = None
