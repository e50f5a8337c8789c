"""A cell of the grid: one corpus, one variant, one seed. Its key is a hash of everything that decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.corpus.storage.format import MANIFEST, open_corpus
from lacuna.errors import ConfigError, naming_extras
from lacuna.evaluation.ceiling import has_ceiling
from lacuna.evaluation.conditions import EvaluationConfig
from lacuna.evaluation.tables import CEILING
from lacuna.missing import MaskPlan
from lacuna.source import code_digest
from lacuna.training.config import TrainingConfig
from lacuna.training.device import pick_device
from lacuna.training.identity import Recipe, corpus_digest

FORMAT = 1
_OPEN = 2  # corpora that a process keeps open; they are memory-mapped


@dataclass(frozen=True)
class Protocol:
    """How a trained recogniser is scored.

    Attributes:
        evaluation: patterns, rates, mask seeds, and the bootstrap.
        recovery_rates: missing rates at which recovered values are scored.
        device: where to compute.
        threads: torch's CPU threads; ``None`` = no change.
    """

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    recovery_rates: tuple[float, ...] = (0.5,)
    device: str = "auto"
    threads: int | None = 1


@dataclass(frozen=True)
class Cell:
    """One training run and its scores. It can be sent to another process or machine.

    Attributes:
        corpus: folder of the corpus in Lacuna's format, at the same path for every worker.
        target: what is predicted; ``None`` = the corpus's first target.
        checkpoints: folder of training runs, shared by all commands that train on this corpus.
        variant: name of the model in tables; not part of the key.
        model: registered name, or ``oracle``: the best possible predictions on a generated corpus, which are not trained.
        settings: of the model.
        training: how to train.
        seed: of training.
        protocol: how to score it.
        budget: settings that are compared on validation before training; all seeds share the trials, in ``studies`` beside the
            checkpoints. ``None`` = those of the cell alone.
    """

    corpus: Path
    target: str | None
    checkpoints: Path
    variant: str
    model: str
    settings: Mapping[str, Any]
    training: TrainingConfig
    seed: int
    protocol: Protocol
    budget: int | None = None

    @property
    def is_ceiling(self) -> bool:
        """Whether the cell scores the best possible predictions, and trains nothing."""
        return self.model == CEILING

    def data(self) -> CellData:
        """Return the corpus and the parts that training and scoring read."""
        return _data(self.corpus, (self.corpus / MANIFEST).stat().st_mtime_ns, self.target)

    def recipe(self) -> Recipe:
        """Return what is trained without a budget."""
        data = self.data()
        parts = data.schema, data.train, data.valid, data.statistics
        return Recipe(self.model, *parts, self.training, self.settings, self.seed)

    def plans(self) -> list[MaskPlan]:
        """Return the masks under which it is scored."""
        return self.protocol.evaluation.plans([m.name for m in self.data().corpus.modalities])

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the result, as JSON values."""
        data, evaluation = self.data(), self.protocol.evaluation
        training_data = {"train": corpus_digest(data.train, data.schema)}
        view = {"past_only": True} if evaluation.past_only else {}  # cells with whole dialogues keep their key
        search = {} if self.budget is None else {"search": [self.budget, *search_versions()]}
        return (
            view
            | search
            | {
                "format": FORMAT,
                "run": training_data | {"model": self.model} if self.is_ceiling else self.recipe().identity(),
                "test": corpus_digest(data.test, data.schema),
                "target": data.schema.target.name,
                "plans": [[p.pattern.name, p.pattern.settings(), p.rate, p.seed] for p in self.plans()],
                "recovery_rates": list(self.protocol.recovery_rates),
                "bootstrap": [evaluation.replicates, evaluation.level, evaluation.seed],
                "device": pick_device(self.protocol.device).type,
                "numpy": np.__version__,
                "code": scoring_digest(),
            }
        )

    def key(self) -> str:
        """Return the name of the cell's folder."""
        return key_of(self.identity())


class CellData(NamedTuple):
    """A corpus, opened, with its splits and the statistics of its training split."""

    corpus: Corpus
    schema: Schema
    train: Corpus
    valid: Corpus
    test: Corpus
    statistics: Statistics


class Job(NamedTuple):
    """A cell with its key and folder.

    Attributes:
        cell: what to run.
        key: its key, as planned; a worker that computes another one refuses to run it.
        folder: of all cells.
        wait: if another process runs this cell, wait for it instead of returning ``busy``.
    """

    cell: Cell
    key: str
    folder: Path
    wait: bool = False


@dataclass(frozen=True)
class Contest:
    """All cells that are compared on one corpus.

    Attributes:
        name: in pages, e.g. that of the study or the corpus.
        cells: in the order of tables.
        keys: of the cells.
    """

    name: str
    cells: tuple[Cell, ...]
    keys: tuple[str, ...]

    def jobs(self, folder: Path) -> list[Job]:
        """Return a job for each cell; variants with equal settings share one."""
        return list({key: Job(cell, key, folder) for cell, key in zip(self.cells, self.keys, strict=True)}.values())


def plan(name: str, cells: Sequence[Cell]) -> Contest:
    """Give every cell its key. On a generated corpus the ceiling is one more cell.

    Args:
        name: of the contest.
        cells: on one corpus, under one protocol.

    Raises:
        ConfigError: there is no cell, or a variant and seed are named twice.
    """
    if not cells:
        raise ConfigError(f"'{name}' names no model and seed")
    runs = [(c.variant, c.seed) for c in cells]
    if twice := next((run for run in runs if runs.count(run) > 1), None):
        raise ConfigError(f"'{name}' names {twice[0]} with seed {twice[1]} twice")
    first, all_cells = cells[0], list(cells)
    data = first.data()
    if has_ceiling(data.test, data.schema.target.name):
        ceiling = replace(first, variant=CEILING, model=CEILING, settings={}, training=TrainingConfig(), seed=0, budget=None)
        all_cells.append(ceiling)
    return Contest(name, tuple(all_cells), tuple(cell.key() for cell in all_cells))


def key_of(identity: Mapping[str, Any]) -> str:
    """Return a short hash of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=_plain).encode()).hexdigest()[:16]


def scoring_digest() -> str:
    """Return the hash of the code that scores depend on beside what training depends on."""
    modules = ("sweep", "ceiling", "report_tables", "recovery.quality", "recovery.projection")
    return code_digest([f"lacuna.evaluation.{module}" for module in modules], leave_out=["lacuna.models.wrappers"])


def search_versions() -> list[str]:
    """Return the version of Optuna and the hash of the code that chooses settings within a budget.

    Raises:
        ConfigError: Optuna is not installed.
    """
    with naming_extras("a budget"):
        return [version("optuna"), code_digest(["lacuna.tuning.budget"], leave_out=["lacuna.models.wrappers"])]


@lru_cache(maxsize=_OPEN)
def _data(folder: Path, stamp: int, target: str | None) -> CellData:
    """Open a corpus once a process; ``stamp`` is the time of its manifest, so that a corpus that was replaced is opened again."""
    corpus = open_corpus(folder, verify=True)
    train, valid, test = (corpus.only(split) for split in ("train", "valid", "test"))
    return CellData(corpus, corpus.schema(target), train, valid, test, fit_statistics(train))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)
