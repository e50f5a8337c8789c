"""The identity of a run: model, settings, seed, data and code. A checkpoint of another run is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics, fit_statistics, frame_rows
from lacuna.corpus.storage.tensors import blocks
from lacuna.models import Config, configure, model_class
from lacuna.models.build import WRAPPER_MODULES, wrappers_of
from lacuna.source import code_digest
from lacuna.training.config import TrainingConfig, training_config, training_settings
from lacuna.training.device import pick_device
from lacuna.training.distributed import Processes

Identity = dict[str, Any]
REPEATED = 1000  # added to the seed of a member for each equal member before it


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that decides the result of a training run.

    Attributes:
        model: name of a registered model.
        schema: the modalities and the target that the model is built for.
        train: view on the training split.
        valid: view on the validation split.
        statistics: of the training split.
        config: how to train.
        settings: of the model, where they differ from its defaults.
        seed: of initial weights, batch order, masks and dropout.
    """

    model: str
    schema: Schema
    train: Corpus
    valid: Corpus
    statistics: Statistics
    config: TrainingConfig = field(default_factory=TrainingConfig)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Add the auxiliary targets that the training settings name to the schema."""
        names = tuple(self.config.auxiliary_targets)
        if names != tuple(target.name for target in self.schema.auxiliary):
            auxiliary = tuple(self.train.target(name) for name in names)
            object.__setattr__(self, "schema", replace(self.schema, auxiliary=auxiliary))

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        model: str,
        config: TrainingConfig | None = None,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        *,
        target: str | None = None,
        statistics: Statistics | None = None,
    ) -> Recipe:
        """Return the recipe that trains a model on the splits ``train`` and ``valid`` of a corpus.

        Args:
            corpus: with both splits; a test split is not looked at.
            model: name of a registered model.
            config: how to train; ``None`` = the defaults of :class:`TrainingConfig` and of the model's class.
            settings: of the model, where they differ from its defaults.
            seed: of everything random.
            target: what is predicted; ``None`` = the corpus's first target.
            statistics: of the training split; computed if not given.
        """
        train, valid = corpus.only("train"), corpus.only("valid")
        statistics = statistics or fit_statistics(train)
        config = config or training_config(training_settings(model, {}))
        return cls(model, corpus.schema(target), train, valid, statistics, config, settings or {}, seed)

    def members(self) -> tuple[Recipe, ...]:
        """Return the recipes of the models that are trained first: those that it combines, then that of ``recovered_by``.

        A member has the training settings of this recipe (defaults of this recipe's model included), then the defaults of its
        model, then its own. An equal member that is repeated has the seed plus 1000, plus 2000 and so on. A member has no other
        defaults for a large corpus, because a combination is built from settings alone.

        Raises:
            ConfigError: a training setting is wrong, or the corpus lacks a modality of a member.
        """
        recipes: list[Recipe] = []
        config = configure(self.model, **self.settings)
        members = [*model_class(self.model).members_of(config), *([config.recovered_by] if config.recovered_by else [])]
        for number, member in enumerate(members):
            recipe = replace(
                self,
                model=member.model,
                schema=self.schema.only(member.modalities),
                config=training_config(training_settings(member.model, vars(self.config), member.training)),
                settings=member.settings,
                seed=self.seed + REPEATED * members[:number].count(member),
            )
            recipes.append(recipe)
        return tuple(recipes)

    def identity(self) -> Identity:
        """Return the recipe as flat JSON values by dotted names, with every setting of the model."""
        config = configure(self.model, **self.settings)
        nested: dict[str, Any] = {
            "model": {"name": self.model, **asdict(config)},
            "training": self.config.result_settings(),
            "seed": self.seed,
            "made": {
                "device": pick_device(self.config.device).type,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "code": self.code(config),
            },
            "schema": self.schema.to_json(),
            "data": {
                "train": corpus_digest(self.train, self.schema),
                "valid": corpus_digest(self.valid, self.schema),
                "statistics": _digest(*(v for _, v in sorted(self.statistics.to_tensors().items()))),
            },
        }
        if (size := Processes.current().size) > 1:  # sums over processes are rounded in another order
            nested["made"]["processes"] = size
        if members := self.members():
            nested["members"] = [run_key(member) for member in members]
        flat: Identity = json.loads(json.dumps(dict(_flat("", nested))))  # tuples become lists
        return flat

    def code(self, config: Config) -> str:
        """Return the hash of the code that this run executes: the loop, this model, its wrappers, pattern and losses."""
        modules = ["lacuna.training.fit", model_class(self.model).__module__, type(self.config.pattern).__module__]
        losses = [self.config.loss, *(target.loss for target in self.config.auxiliary_targets.values())]
        modules += [type(loss).__module__ for loss in losses]
        wrappers = sorted({wrapper.__module__ for wrapper in wrappers_of(config)})
        unused = [module for module in WRAPPER_MODULES if module not in wrappers]
        return code_digest([*modules, *wrappers], leave_out=unused)


def run_key(recipe: Recipe) -> str:
    """Return a short hash of a run's identity: another setting, seed or corpus has another key, and so another folder."""
    return hashlib.sha256(json.dumps(recipe.identity(), sort_keys=True).encode()).hexdigest()[:12]


def run_folder(checkpoints: Path, recipe: Recipe) -> Path:
    """Return the folder of a run among all runs; variants with equal settings share it, whatever command trains them."""
    return checkpoints / recipe.model / f"seed-{recipe.seed}-{run_key(recipe)}"


def differences(stored: Identity, here: Identity) -> list[str]:
    """Return what differs between two identities, one line for each setting."""
    names = sorted(set(stored) | set(here))
    return [
        f"{name}: {stored.get(name)!r} there, {here.get(name)!r} here" for name in names if stored.get(name) != here.get(name)
    ]


def corpus_digest(corpus: Corpus, schema: Schema) -> str:
    """Return the hash of a split: which utterances, and everything that training may read of them.

    Of a corpus on disk the hash of its files stands for the content; one in memory is read through, in blocks.
    """
    u = corpus.utterances
    if corpus.digest is not None:
        return _digest(corpus.keys) + "-" + corpus.digest
    parts: list[Any] = [corpus.keys, u.dialogue, u.turn, keys_of(u.speaker_names.to_pylist())[u.speaker], corpus.dialogue_keys]
    parts += [u.labels[target.name] for target in (schema.target, *schema.auxiliary) if target.name in u.labels]
    for name in schema.dims:
        if name in corpus.frames:
            frames = corpus.frames[name]
            rows = frame_rows(frames.start, frames.count)
            parts += [
                frames.count,
                *(part[rows] for part in (frames.values, frames.observed, frames.tokens, frames.times) if part is not None),
            ]
    return _digest(*parts)


def _digest(*arrays: Any) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        for _, (values,) in blocks([array]):
            digest.update(values.data)
    return digest.hexdigest()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries by dotted names."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value
