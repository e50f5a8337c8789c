"""The parameters of ``conf/*/parameters_tune.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from lacuna.pipelines.parameters import Listed, Models, Parameters, PatternParameters, Rate, Seed, Train

if TYPE_CHECKING:
    from lacuna.tuning import Place, StudyConfig


class TuneSpace(Parameters):
    """Changes of the search space: ``{low, high, log, step}``, ``{values: [...]}``, a fixed value, or null = not searched."""

    settings: dict[str, Any] = Field(default={})
    training: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> TuneSpace:
        from lacuna.errors import LacunaError
        from lacuna.tuning.space import dimension

        for part, changes in (("settings", self.settings), ("training", self.training)):
            for name, value in changes.items():
                try:
                    dimension(value)
                except LacunaError as error:
                    raise ValueError(f"space.{part}.{name}: {error}") from None
        return self


class Tune(Parameters):
    """Which variant is tuned, how long, and where the study is stored."""

    variant: str
    name: str | None = None
    trials: PositiveInt = 40
    workers: PositiveInt = 2
    seed: Seed = 0
    seeds: Annotated[list[Seed], Field(min_length=1), Listed] = Field(default=[0])
    pattern: str | PatternParameters | None = None
    rates: Annotated[list[Rate], Field(min_length=2), Listed]
    mask_seeds: Annotated[list[Seed], Field(min_length=1), Listed] = Field(default=[0])
    pruner: Literal["median", "halving", "none"] = "median"
    warmup: Seed = 5
    startup: Seed = 5
    failures: PositiveInt = 10
    restarts: Seed = 20
    space: TuneSpace = TuneSpace()
    folder: Path
    storage: str | None = None
    heartbeat: PositiveInt = 20
    environment: str | None = None
    compared: Annotated[list[str], Listed] = Field(default=["prior"])
    final_seeds: Annotated[list[Seed], Field(min_length=1), Listed] = Field(default=[0, 1, 2, 3, 4])

    @property
    def study_name(self) -> str:
        """Return the name of the study."""
        return self.name or self.variant

    def place(self) -> Place:
        """Return where it is stored.

        Raises:
            DataError: a name that is not safe in a path.
        """
        from lacuna.corpus.schema import check_name
        from lacuna.tuning import Place

        check_name("study", self.study_name)
        return Place(self.folder / self.study_name, self.study_name, self.storage or "", self.heartbeat)


def study_config(tune: Tune, train: Train, models: Models, utterances: int = 0) -> StudyConfig:
    """Build the study of a variant from its own settings, the common ones, and the search space.

    Args:
        tune: which variant is tuned, and how.
        train: the training settings of all variants, and the target.
        models: by variant, its model and its settings.
        utterances: number of training utterances; some models have other defaults for a large corpus.

    Raises:
        ConfigError: an unknown variant, or a search space that does not fit it.
    """
    from lacuna.errors import ConfigError
    from lacuna.models import list_models
    from lacuna.training import model_settings, training_settings
    from lacuna.tuning import StudyConfig, search
    from lacuna.tuning.space import dimension

    if tune.variant not in models.variants and tune.variant not in list_models():
        known = ", ".join(dict.fromkeys([*models.variants, *list_models()]))
        raise ConfigError(f"tune.variant: '{tune.variant}' is neither a variant nor a registered model\n  known: {known}")
    tune.place()
    variant = models.of(tune.variant)
    changed = [{name: dimension(v) for name, v in part.items()} for part in (tune.space.settings, tune.space.training)]
    common = training_settings(variant.model, train.training, variant.training, utterances=utterances)
    settings = model_settings(variant.model, variant.settings, utterances=utterances)
    searched = search(variant.model, settings, common, *changed)
    pattern = (
        tune.pattern.model_dump(include={"name", "settings"}) if isinstance(tune.pattern, PatternParameters) else tune.pattern
    )
    return StudyConfig(
        variant=tune.variant,
        model=variant.model,
        settings=searched.settings,
        training=searched.training,
        space=searched.space,
        start=searched.start,
        target=train.target,
        trials=tune.trials,
        workers=tune.workers,
        seed=tune.seed,
        seeds=tuple(tune.seeds),
        pattern=pattern,
        rates=tuple(tune.rates),
        mask_seeds=tuple(tune.mask_seeds),
        pruner=tune.pruner,
        warmup=tune.warmup,
        startup=tune.startup,
        failures=tune.failures,
        restarts=tune.restarts,
    )
