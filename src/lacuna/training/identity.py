"""What makes two runs the same: model, settings, seed and data. A checkpoint of another run is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lacuna
from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics, frame_rows
from lacuna.corpus.tensors import blocks
from lacuna.models import configure
from lacuna.training.config import TrainingConfig
from lacuna.training.device import pick_device

Identity = dict[str, Any]


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
            "made": {
                "device": pick_device(self.config.device).type,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "code": code_digest(),
            },
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
    """Hash of a split: which utterances, and all that training may read of them.

    Of a corpus on disk the hash of its files stands for the content; one in memory is read through, in blocks.
    """
    u = corpus.utterances
    if corpus.digest is not None:
        return _digest(corpus.keys) + "-" + corpus.digest
    parts: list[Any] = [corpus.keys, u.dialogue, u.turn, keys_of(u.speaker_names.to_pylist())[u.speaker], corpus.dialogue_keys]
    if schema.target.name in u.labels:
        parts.append(u.labels[schema.target.name])
    for name in schema.dims:
        if name in corpus.frames:
            frames = corpus.frames[name]
            rows = frame_rows(frames.start, frames.count)
            parts += [frames.count, *(part[rows] for part in (frames.values, frames.observed, frames.tokens) if part is not None)]
    return _digest(*parts)


def digest_of_code(package: Path) -> str:
    """Hash of the modules that a result of training depends on: a change to them is another run.

    Args:
        package: folder of Lacuna's source.
    """
    files = [package / f"corpus/{name}.py" for name in ("batch", "corpus", "statistics", "tensors")]
    files += [f for room in ("models", "missing", "training") for f in sorted((package / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


_CODE = digest_of_code(Path(lacuna.__file__).parent)


def code_digest() -> str:
    """:func:`digest_of_code` of this process: of the files as they were when it began, whoever edits them while it runs."""
    return _CODE


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
