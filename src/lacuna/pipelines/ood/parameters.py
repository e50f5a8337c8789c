"""The parameters of ``conf/*/parameters_ood.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from lacuna.pipelines.parameters import Evaluate, Parameters, Seed, _told

if TYPE_CHECKING:
    from lacuna.shift import Corruption, RepartitionConfig


class Shares(Parameters):
    """How the corpus is re-split; :class:`lacuna.shift.RepartitionConfig` explains each setting."""

    kind: Literal["association", "labels", "groups", "random"] = "association"
    unit: Literal["dialogue", "utterance"] = "dialogue"
    pool: Literal["all", "test"] = "all"
    size: PositiveInt | None = None
    budget: Annotated[float, Field(ge=0, le=1)] = 0.05
    steps: NonNegativeInt = 20_000
    temperature: Annotated[float, Field(ge=0)] = 0.01
    expected: Annotated[float, Field(gt=0)] = 5.0
    prior: Annotated[float, Field(gt=0)] = 0.2
    toward: dict[str, float] = Field(default_factory=dict)
    group: Literal["speaker", "dialogue"] = "speaker"
    random_splits: Annotated[int, Field(ge=2)] = 20
    seed: Seed = 0

    @model_validator(mode="after")
    def _check(self) -> Shares:
        _told(self.config)
        return self

    def config(self) -> RepartitionConfig:
        """Return the settings of the library.

        Raises:
            ConfigError: the settings contradict each other.
        """
        from lacuna.shift import RepartitionConfig

        return RepartitionConfig(**self.model_dump())


class Compared(Parameters):
    """A repartition that is measured for comparison, and not trained on: its differences from the one in use.

    Settings that are not given are those of the repartition in use, also ``size``; ``size: null`` is the default size.
    """

    unit: Literal["dialogue", "utterance"]
    pool: Literal["all", "test"]
    size: PositiveInt | None = None
    budget: Annotated[float, Field(ge=0, le=1)] | None = None
    steps: NonNegativeInt | None = None

    def changes(self) -> dict[str, Any]:
        """Return the given settings of the library's :class:`~lacuna.shift.RepartitionConfig`."""
        settings = self.model_dump(exclude_unset=True)
        return {name: value for name, value in settings.items() if name == "size" or value is not None}


class Corrupted(Parameters):
    """A corruption of the IID test."""

    name: str
    severity: Annotated[float, Field(gt=0)]
    modalities: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> Corrupted:
        _told(self.corruption)
        return self

    def corruption(self) -> Corruption:
        """Return the corruption of the library.

        Raises:
            ConfigError: unknown, or its severity is out of bounds.
        """
        from lacuna.shift import corruption

        return corruption(self.name, severity=self.severity, modalities=tuple(self.modalities))


class Other(Parameters):
    """Another corpus as a test: how it is read, and which class of this corpus each of its classes is."""

    name: str
    path: Path
    importer: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    classes: dict[str, str]
    target: str | None = None


class Ood(Parameters):
    """The tests, and how recognisers are scored on them."""

    repartition: Shares = Shares()
    compare: list[Compared] = Field(default_factory=list)
    corruptions: list[Corrupted] = Field(default_factory=list)
    generated: bool = True  # of a generated corpus also the generator's own shifted test
    others: list[Other] = Field(default_factory=list)
    least_group: PositiveInt = 20
    evaluate: Evaluate
