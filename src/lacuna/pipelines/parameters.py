"""What ``conf/*/parameters_*.yml`` may say. A wrong setting stops a run before its first node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Rate = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]


class Parameters(BaseModel):
    """Base: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PatternSpec(Parameters):
    """A missingness pattern with settings that differ from its defaults."""

    name: str
    settings: dict[str, Any] = {}
    rates: list[Rate] = []


class Generated(Parameters):
    """What duet is drawn from: a preset, and settings of :class:`lacuna.corpus.duet.Duet` that differ from it."""

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


class Model(Parameters):
    """One model's file: settings of its config, and training settings of its own."""

    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Train(Parameters):
    """What is trained."""

    models: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    target: str | None = None
    checkpoints: Path
    training: dict[str, Any] = {}


class Models(BaseModel):
    """Settings by model name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Model] = Field(init=False)

    def of(self, name: str) -> Model:
        """What the model's file says; nothing if there is none."""
        return (self.__pydantic_extra__ or {}).get(name, Model())


class Evaluate(Parameters):
    """What a trained model is put through."""

    patterns: Annotated[list[str | PatternSpec], Field(min_length=1)]
    rates: Annotated[list[Rate], Field(min_length=1)]
    mask_seeds: Annotated[list[Seed], Field(min_length=1)]
    replicates: Annotated[int, Field(ge=100)] = 500
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: Seed = 0
    device: str = "auto"
    threads: PositiveInt | None = None


class Predict(Parameters):
    """Which corpus is labelled, by which model."""

    path: Path | None = None
    importer: str | None = None
    options: dict[str, Any] = {}
    model: str = "best"
    batch_size: PositiveInt = 1024
    device: str = "auto"
    threads: PositiveInt | None = None
