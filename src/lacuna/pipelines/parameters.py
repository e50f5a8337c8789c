"""The parameters in ``conf/``. A wrong setting stops a run before its first node."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationInfo, model_validator

if TYPE_CHECKING:
    from lacuna.bench import Protocol
    from lacuna.evaluation import EvaluationConfig
    from lacuna.training import TrainingConfig

Rate = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]
BEST = "best"  # `predict.model`: the variant that was best on validation
LIGHT = {"light": True}  # context of a validation that imports neither torch nor pandas, which takes two seconds


class Parameters(BaseModel):
    """Base: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: Any) -> Any:
    """Return a list of what a command line can pass: ``train.models=mlp+knn``, ``train.seeds=3``, ``evaluate.rates=[]``.

    >>> _listed("mlp + knn"), _listed(["mlp+knn", "prior"]), _listed("[]"), _listed(3)
    (['mlp', 'knn'], ['mlp', 'knn', 'prior'], [], [3])
    """
    if isinstance(value, str):
        return [part.strip() for part in value.strip("[] ").replace(",", "+").split("+") if part.strip()]
    if isinstance(value, list):
        return [part for item in value for part in (_listed(item) if isinstance(item, str) else [item])]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


Listed = BeforeValidator(_listed)


class PatternParameters(Parameters):
    """A missingness pattern with settings that differ from its defaults."""

    name: str
    settings: dict[str, Any] = {}
    rates: list[Rate] = []


class Generated(Parameters):
    """A generated corpus: a preset, and settings of its class (``Duet`` or ``Wrist``) that differ from it."""

    preset: str = "demo"
    changes: dict[str, Any] = {}


class Features(Parameters):
    """Which recordings are encoded, and how; the fields are those of :func:`lacuna.media.extract`.

    Attributes:
        path: a recording, or a folder of recordings; ``None`` = the corpus does not come from recordings.
        encode: by modality, the name of an encoder, or its settings with its ``name``, or ``None``.
        targets: label columns of the table of clips, the default target first; empty = all.
        turns: cut recordings without a table into turns, found by this detector of speech; ``None`` = do not cut.
        max_failed: share of clips that may fail.
        workers: processes; ``None`` = one for each core.
        cache: folder of the cache; ``None`` = the cache folder of the user.
        damage: done to the recordings first, e.g. ``noise:10``, see :func:`lacuna.media.damage.list_damages`.
    """

    path: Path | None = None
    encode: dict[str, Any] = Field(default_factory=dict)
    targets: Annotated[list[str], Listed] = Field(default_factory=list)
    turns: Literal["energy", "silero"] | None = None
    max_failed: Rate = 0.5
    workers: PositiveInt | None = None
    cache: Path | None = None
    damage: Annotated[list[str], Listed] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Features:
        if not _light(info):
            from lacuna.media import encoders_of
            from lacuna.media.damage import damages_of

            _told(lambda: encoders_of(self.encode))
            _told(lambda: damages_of(self.damage))
        return self


class ThinParameters(Parameters):
    """What is removed from the training and validation data for good, see :class:`lacuna.missing.Thin`."""

    pattern: str = "rmm"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.5
    seed: Seed = 0

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> ThinParameters:
        if not _light(info):
            from lacuna.missing import Thin

            _told(lambda: Thin(**self.model_dump()))
        return self


class Ingest(Parameters):
    """Where the corpus comes from, how it is split, and what is removed from training for good."""

    name: str
    path: Path | None = None
    importer: str | None = None
    options: dict[str, Any] = {}
    encode: dict[str, Any] = {}
    duet: Generated = Generated()
    wrist: Generated | None = None
    split: Literal["auto", "given", "carve", "fold", "speaker"] = "given"
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    folds: Annotated[int, Field(ge=2)] = 5
    test_fold: Seed = 0
    test_speakers: list[str] = []
    seed: Seed = 0
    thin: ThinParameters | None = None

    @model_validator(mode="after")
    def _check(self) -> Ingest:
        _told(lambda: _check_source(self))
        return self


def _check_source(ingest: Ingest) -> None:
    from lacuna.corpus.importers import list_importers
    from lacuna.errors import ConfigError, suggestion
    from lacuna.synthetic import duet, wrist

    known = list(list_importers())
    if ingest.importer is not None and ingest.importer not in known:
        hint = suggestion(ingest.importer, known)
        raise ConfigError(f"unknown importer '{ingest.importer}'{hint}; known: {', '.join(known)}")
    if ingest.path is None and ingest.wrist is not None:
        wrist.preset(ingest.wrist.preset, **ingest.wrist.changes)
    elif ingest.path is None:
        duet.preset(ingest.duet.preset, **ingest.duet.changes)


def _light(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("light"))


def _told(check: Callable[[], object]) -> None:
    """Raise an error of the library as one that pydantic reports with its key in the parameters."""
    from lacuna.errors import LacunaError

    try:
        check()
    except LacunaError as error:
        raise ValueError(str(error)) from None


class ModelParameters(Parameters):
    """A variant: a registered model, settings of its config, and training settings of its own."""

    model: str = ""  # registered name; empty = the same as the variant
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Train(Parameters):
    """What is trained; ``models`` lists variants, see :class:`Models` and :func:`check_variants`.

    Attributes:
        models: variants.
        seeds: of training.
        target: what is predicted; ``None`` = the corpus's first target.
        budget: settings that each variant tries on validation before it is trained, see :func:`lacuna.tuning.within_budget`;
            ``None`` = its own settings alone.
        checkpoints: folder of training runs; the trials of a budget are in ``studies`` beside it.
        workers: processes; ``None`` = one for each core, one on a GPU.
        training: settings of training.
    """

    models: Annotated[list[str], Field(min_length=1), Listed]
    seeds: Annotated[list[Seed], Field(min_length=1), Listed]
    target: str | None = None
    budget: PositiveInt | None = None
    checkpoints: Path
    workers: PositiveInt | None = None
    training: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Train:
        if len(set(self.models)) < len(self.models) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("every model and every seed may be named once")
        if not _light(info):
            _told(self.config)
        return self

    def config(self, variant: ModelParameters | None = None, utterances: int = 0) -> TrainingConfig:
        """Return how a variant is trained; without one, the settings that all models share.

        Args:
            variant: with its registered name filled in.
            utterances: number of training utterances; some models have other defaults for a large corpus.

        Raises:
            ConfigError: an unknown setting, or a value out of bounds.
        """
        from lacuna.training import training_config, training_settings

        if variant is None:
            return training_config(self.training)
        return training_config(training_settings(variant.model, self.training, variant.training, utterances=utterances))


class Models(BaseModel):
    """Settings by variant, so that a run can compare several variants of one model."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, ModelParameters] = Field(init=False)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Models:
        for variant in [] if _light(info) else self.variants:
            _told(lambda variant=variant: _check_model(variant, self.of(variant)))  # type: ignore[misc]
        return self

    @property
    def variants(self) -> list[str]:
        """Names of the variants that have an entry."""
        return list(self.__pydantic_extra__ or {})

    def of(self, variant: str) -> ModelParameters:
        """Return a variant with its registered name filled in; a registered model needs no entry.

        Members of a combination that are named by other variants are replaced by their model and settings.
        """
        own = (self.__pydantic_extra__ or {}).get(variant, ModelParameters())
        settings = dict(own.settings)
        if isinstance(settings.get("members"), list):
            settings["members"] = [self._member(member, variant) for member in settings["members"]]
        return own.model_copy(update={"model": own.model or variant, "settings": settings})

    def _member(self, member: Any, variant: str) -> Any:
        own = (self.__pydantic_extra__ or {}).get(member) if isinstance(member, str) and member != variant else None
        if own is None or "members" in own.settings:  # a combination is no member of another one
            return member
        return {"model": own.model or member, "settings": own.settings, "training": own.training}


def _check_model(variant: str, own: ModelParameters) -> None:
    from lacuna.errors import ConfigError, suggestion
    from lacuna.evaluation.tables import CEILING
    from lacuna.models import configure, list_models
    from lacuna.training import training_config
    from lacuna.training.variant import check_variant

    if own.model not in list_models():
        of = f"variant '{variant}': " if own.model != variant else ""
        hint = "; a variant names its model by `model: ...`" if own.model == variant else ""
        near = suggestion(own.model, list_models())
        raise ConfigError(f"{of}unknown model '{own.model}'{near}; known: {', '.join(list_models())}{hint}")
    if variant in (BEST, CEILING):
        raise ConfigError(f"variant '{variant}' is a reserved name; choose another one")
    check_variant(variant, own.model)
    configure(own.model, **own.settings)
    training_config(own.training)


def check_variants(train: Train, models: Models, registered: Collection[str] | None = None) -> None:
    """Check that every variant to be trained is known.

    Args:
        train: with the variants.
        models: with their settings.
        registered: names of the registered models; ``None`` = import the models and ask their registry.

    Raises:
        ConfigError: a variant is neither under ``models`` nor a registered name; the message lists both.
    """
    from lacuna.errors import ConfigError, suggestion

    if registered is None:
        from lacuna.models import list_models

        registered = list_models()
    for variant in train.models:
        if variant not in models.variants and variant not in registered:
            hint = suggestion(variant, [*models.variants, *registered])
            raise ConfigError(
                f"train.models: '{variant}' is neither a variant nor a registered model{hint}\n"
                f"  variants (under `models`): {', '.join(models.variants) or 'none'}\n"
                f"  registered models: {', '.join(registered)}"
            )


class Evaluate(Parameters):
    """How trained models are scored on the test split."""

    patterns: Annotated[list[str | PatternParameters], Field(min_length=1), Listed]
    rates: Annotated[list[Rate], Field(min_length=1), Listed]
    mask_seeds: Annotated[list[Seed], Field(min_length=1), Listed]
    recovery_rates: Annotated[list[Rate], Listed] = [0.5]
    replicates: Annotated[int, Field(ge=100)] = 500
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: Seed = 0
    past_only: bool = False
    device: str = "auto"
    threads: PositiveInt | None = None
    workers: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Evaluate:
        from lacuna.missing import pattern, pattern_class

        for spec in self.patterns:
            name, settings = (spec, {}) if isinstance(spec, str) else (spec.name, spec.settings)
            _told(lambda name=name, settings=settings: pattern(name, **settings) if settings else pattern_class(name))  # type: ignore[misc]
        if not _light(info):
            _told(self.config)
        return self

    def config(self) -> EvaluationConfig:
        """Return patterns, rates, mask seeds and bootstrap settings.

        Raises:
            ConfigError: rates or seeds out of bounds.
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
            past_only=self.past_only,
        )

    def protocol(self) -> Protocol:
        """Return everything that decides how a model is scored."""
        from lacuna.bench import Protocol

        return Protocol(self.config(), tuple(self.recovery_rates), self.device, self.threads)


class Predict(Parameters):
    """Which corpus is predicted, and by which variant."""

    path: Path
    out: Path | None = None
    importer: str | None = None
    options: dict[str, Any] = {}
    model: str = BEST
    anyway: bool = False
    error: Annotated[float, Field(ge=0.01, lt=1)] = 0.1  # accepted share of sets without the truth, and of wrong sure predictions
    batch_size: PositiveInt = 1024
    device: str = "auto"
    threads: PositiveInt | None = None
