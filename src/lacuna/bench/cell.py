"""A cell of the grid: one corpus, one variant, one seed. Its key is a hash of all that decides what comes out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.corpus.storage.format import MANIFEST, open_corpus
from lacuna.errors import ConfigError
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
    """What a trained recogniser is put through.

    Attributes:
        evaluation: patterns, rates, mask seeds, and the bootstrap.
        recovery_rates: at which rates what is filled in is judged.
        device: where to compute.
        threads: torch's CPU threads; ``None`` = as they are.
    """

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    recovery_rates: tuple[float, ...] = (0.5,)
    device: str = "auto"
    threads: int | None = 1


@dataclass(frozen=True)
class Cell:
    """One run of training and everything that is measured of it. It can be sent to another process or machine.

    Attributes:
        corpus: folder of the corpus in Lacuna's format, at the same place for every worker.
        target: what is predicted; ``None`` = the corpus's first target.
        checkpoints: folder of training runs, shared with whoever else trains on that corpus.
        variant: what the model is called in tables; no part of the key.
        model: registered name, or ``oracle``: the best possible answers of a generated corpus, which nobody trains.
        settings: of the model.
        training: how to train.
        seed: of training.
        protocol: how to score.
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

    @property
    def is_ceiling(self) -> bool:
        """Whether nothing is trained: the cell scores the best possible answers."""
        return self.model == CEILING

    def scene(self) -> CellData:
        """The corpus with all that training and scoring read of it."""
        return _scene(self.corpus, (self.corpus / MANIFEST).stat().st_mtime_ns, self.target)

    def recipe(self) -> Recipe:
        """What is trained."""
        at = self.scene()
        return Recipe(self.model, at.schema, at.train, at.valid, at.statistics, self.training, self.settings, self.seed)

    def plans(self) -> list[MaskPlan]:
        """Under what it is scored."""
        return self.protocol.evaluation.plans([m.name for m in self.scene().corpus.modalities])

    def identity(self) -> dict[str, Any]:
        """All that decides the result, as JSON values."""
        at, evaluation = self.scene(), self.protocol.evaluation
        made = {"train": corpus_digest(at.train, at.schema)}
        return {
            "format": FORMAT,
            "run": made | {"model": self.model} if self.is_ceiling else self.recipe().identity(),
            "test": corpus_digest(at.test, at.schema),
            "target": at.schema.target.name,
            "plans": [[p.pattern.name, p.pattern.settings(), p.rate, p.seed] for p in self.plans()],
            "recovery_rates": list(self.protocol.recovery_rates),
            "bootstrap": [evaluation.replicates, evaluation.level, evaluation.seed],
            "device": pick_device(self.protocol.device).type,
            "numpy": np.__version__,
            "code": scoring_digest(),
        }

    def key(self) -> str:
        """The name of the cell's folder."""
        return key_of(self.identity())


class CellData(NamedTuple):
    """A corpus as a cell sees it."""

    corpus: Corpus
    schema: Schema
    train: Corpus
    valid: Corpus
    test: Corpus
    statistics: Statistics


class Job(NamedTuple):
    """A cell with its place.

    Attributes:
        cell: what to do.
        key: its key, as planned; a worker that finds another one refuses.
        folder: of all cells.
        wait: if another process is at this cell, wait for it rather than come back later.
    """

    cell: Cell
    key: str
    folder: Path
    wait: bool = False


@dataclass(frozen=True)
class Contest:
    """Everything that is compared on one corpus.

    Attributes:
        name: of its pages, e.g. that of the environment.
        cells: in the order of tables.
        keys: of the cells.
    """

    name: str
    cells: tuple[Cell, ...]
    keys: tuple[str, ...]

    def jobs(self, folder: Path) -> list[Job]:
        """Every cell once: variants with equal settings share one."""
        return list({key: Job(cell, key, folder) for cell, key in zip(self.cells, self.keys, strict=True)}.values())


def plan(name: str, cells: Sequence[Cell]) -> Contest:
    """Give every cell its key. On a generated corpus the ceiling is one more cell.

    Args:
        name: of the contest.
        cells: on one corpus, under one protocol.

    Raises:
        ConfigError: no cell, or a variant and seed twice.
    """
    if not cells:
        raise ConfigError(f"'{name}' names no model and seed")
    seen = [(c.variant, c.seed) for c in cells]
    if twice := next((s for s in seen if seen.count(s) > 1), None):
        raise ConfigError(f"'{name}' names {twice[0]} with seed {twice[1]} twice")
    first, whole = cells[0], list(cells)
    at = first.scene()
    if has_ceiling(at.test, at.schema.target.name):
        parts = first.corpus, first.target, first.checkpoints, CEILING, CEILING
        whole.append(Cell(*parts, {}, TrainingConfig(), 0, first.protocol))
    return Contest(name, tuple(whole), tuple(cell.key() for cell in whole))


def key_of(identity: Mapping[str, Any]) -> str:
    """Short hash of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=_plain).encode()).hexdigest()[:16]


def scoring_digest() -> str:
    """Return the hash of the code that scores depend on beside what training depends on."""
    modules = ("sweep", "ceiling", "report_tables", "recovery.quality", "recovery.projection")
    return code_digest([f"lacuna.evaluation.{module}" for module in modules], leave_out=["lacuna.models.wrappers"])


@lru_cache(maxsize=_OPEN)
def _scene(folder: Path, stamp: int, target: str | None) -> CellData:
    """Open a corpus once a process; ``stamp`` is of its manifest, so that one that was made again is opened again."""
    corpus = open_corpus(folder, verify=True)
    learned = corpus.only("train", "valid")
    train, valid, test = (corpus.only(split) for split in ("train", "valid", "test"))
    return CellData(corpus, corpus.schema(target), train, valid, test, fit_statistics(learned))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)
