"""What makes two runs the same: model, settings, seed and data. A checkpoint of another run is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics
from lacuna.corpus.tensors import blocks, gather, read_rows
from lacuna.models import configure
from lacuna.training.config import TrainingConfig

Identity = dict[str, Any]
_SAMPLED = 256  # utterances whose frames are read


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that decides the result of a run.

    Attributes:
        name: a registered model.
        settings: of the model, where they differ from its defaults.
        schema: what it is built for.
        train: view on the training split.
        valid: view on the validation split.
        statistics: of the training split.
        config: how to train.
        seed: of everything random.
    """

    name: str
    settings: dict[str, Any]
    schema: Schema
    train: Corpus
    valid: Corpus
    statistics: Statistics
    config: TrainingConfig
    seed: int

    def identity(self) -> Identity:
        """The recipe as flat JSON values by dotted names, with every setting of the model."""
        nested = {
            "model": {"name": self.name, **asdict(configure(self.name, **self.settings))},
            "training": self.config.result_settings(),
            "seed": self.seed,
            "schema": self.schema.to_json(),
            "data": {
                "train": corpus_digest(self.train, self.schema),
                "valid": corpus_digest(self.valid, self.schema),
                "statistics": _digest(*(v for _, v in sorted(self.statistics.to_tensors().items()))),
            },
        }
        flat: Identity = json.loads(json.dumps(dict(_flat("", nested))))  # tuples become lists
        return flat


def run_key(recipe: Recipe) -> str:
    """Short hash of a run's identity: another setting, seed or corpus has another key, and so another folder."""
    return hashlib.sha256(json.dumps(recipe.identity(), sort_keys=True).encode()).hexdigest()[:12]


def differences(stored: Identity, here: Identity) -> list[str]:
    """What differs, one line a setting."""
    names = sorted(set(stored) | set(here))
    return [
        f"{name}: {stored.get(name)!r} there, {here.get(name)!r} here" for name in names if stored.get(name) != here.get(name)
    ]


def corpus_digest(corpus: Corpus, schema: Schema) -> str:
    """Hash of a split: ids, dialogues, labels, frame counts, and the frames of a fixed sample of utterances.

    Reading every frame of a large corpus to start a run would be too slow; the training statistics cover the rest.
    """
    u = corpus.utterances
    parts: list[Any] = [corpus.keys, u.dialogue, u.turn, u.speaker]
    if schema.target.name in u.labels:
        parts.append(u.labels[schema.target.name])
    sample = np.unique(np.linspace(0, max(0, len(corpus) - 1), min(_SAMPLED, len(corpus))).astype(np.int64))
    for name in schema.dims:
        if name in corpus.frames:
            frames = corpus.frames[name]
            parts += [frames.count, read_rows(frames.values, *gather([frames.start, frames.count], sample))]
    return _digest(*parts)


def _digest(*arrays: Any) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        for _, (values,) in blocks([array]):
            digest.update(values.data)
    return digest.hexdigest()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted names."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value
