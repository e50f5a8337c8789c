"""Settings of a repartition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lacuna.errors import ConfigError

Kind = Literal["association", "labels", "groups", "random"]
KINDS = ("association", "labels", "groups", "random")


@dataclass(frozen=True)
class RepartitionConfig:
    """Settings of :func:`lacuna.shift.repartition`.

    Attributes:
        kind: what shifts between training and the OOD test. ``association``: which words go with which labels. ``labels``: the
            label distribution, towards ``toward``. ``groups``: whole speakers or dialogues occur nowhere else. ``random``:
            nothing, the control.
        unit: what moves as a whole. ``dialogue``: no dialogue is in two parts. ``utterance``: as in the published OOD splits of
            CLUE and CIDer; the parts then share speakers and videos.
        pool: which utterances are re-split. ``all``: all of them. ``test``: the test split of the corpus; training and
            validation do not change, which is the only valid choice if features were fitted on the training split.
        size: number of utterances of the OOD test, and of the IID test. ``None`` = half of the corpus's test split for ``all``
            (so that training keeps its size), a third of it for ``test`` (one third is left over, see
            :mod:`lacuna.shift.resplit`).
        budget: largest total variation, from 0 to 1, between the labels of the OOD test and those of the IID test, and with pool
            ``all`` those of training; for ``association``.
        steps: number of swaps that annealing proposes.
        temperature: of annealing at the start, as a share of the divergence, from 0 to 10.
        expected: a word is measured if a random part of this size would contain it in at least so many utterances.
        prior: weight of the Dirichlet prior of the log-odds, above 0, see :mod:`lacuna.shift.association`.
        toward: for ``labels``, the share of each class; classes that are left out have share 0.
        group: for ``groups``, ``speaker`` or ``dialogue``.
        random_splits: number of random splits of the same sizes that the divergence is compared with, at least 2.
        seed: all random numbers depend on it and on the ids.

    Raises:
        ConfigError: a value is out of bounds.
    """

    kind: Kind = "association"
    unit: Literal["dialogue", "utterance"] = "dialogue"
    pool: Literal["all", "test"] = "all"
    size: int | None = None
    budget: float = 0.05
    steps: int = 20_000
    temperature: float = 0.01
    expected: float = 5.0
    prior: float = 0.2
    toward: Mapping[str, float] = field(default_factory=dict)
    group: Literal["speaker", "dialogue"] = "speaker"
    random_splits: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "toward", {str(k): float(v) for k, v in self.toward.items()})
        choices = {"kind": KINDS, "unit": ("dialogue", "utterance"), "pool": ("all", "test"), "group": ("speaker", "dialogue")}
        for name, known in choices.items():
            _require(getattr(self, name) in known, name, f"one of {', '.join(known)}", getattr(self, name))
        _require(self.size is None or self.size >= 1, "size", "at least 1, or nothing", self.size)
        _require(0 <= self.budget <= 1, "budget", "from 0 to 1", self.budget)
        _require(self.steps >= 0, "steps", "at least 0", self.steps)
        _require(0 <= self.temperature <= 10, "temperature", "from 0 to 10", self.temperature)
        _require(self.expected > 0, "expected", "above 0", self.expected)
        _require(self.prior > 0, "prior", "above 0", self.prior)
        _require(self.random_splits >= 2, "random_splits", "at least 2", self.random_splits)
        _require(self.seed >= 0, "seed", "at least 0", self.seed)
        wrong = any(v < 0 for v in self.toward.values()) or (self.toward and abs(sum(self.toward.values()) - 1) > 1e-6)
        _require(not wrong, "toward", "shares from 0 to 1 that sum to 1", dict(self.toward))
        _require(self.kind != "labels" or bool(self.toward), "toward", "the share of each class, for kind labels", "nothing")

    def to_json(self) -> dict[str, Any]:
        """Return plain values; ``RepartitionConfig(**values)`` reads them back."""
        return asdict(self)


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    """Raise a ``ConfigError`` unless a setting holds what is expected."""
    if not holds:
        raise ConfigError(f"repartition: setting '{name}' must be {expected}; found {found!r}")
