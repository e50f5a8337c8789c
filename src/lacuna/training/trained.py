"""A trained recogniser as it is kept and sent around: weights, settings, statistics, and how it was selected."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lacuna.atomic import Stored, store, sweep_stale, write_json
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics
from lacuna.errors import DataError
from lacuna.models import Recognizer, build

MANIFEST = "recognizer.json"
VERSION = 1


@dataclass(frozen=True)
class Selection:
    """How the weights were chosen: on validation, never on test.

    Attributes:
        metric: name of the validation metric, averaged over the fixed masks of the training pattern.
        value: its best value.
        epoch: the epoch of the kept weights, from 0.
        epochs: how many epochs ran.
        pattern: missingness pattern of training.
        parameters: number of trainable parameters.
        seconds: wall-clock time of training.
    """

    metric: str
    value: float
    epoch: int
    epochs: int
    pattern: str
    parameters: int
    seconds: float


@dataclass(frozen=True, eq=False)
class TrainedRecognizer:
    """A recogniser ready to predict.

    Attributes:
        name: the model's registered name.
        seed: training seed.
        corpus: name of the training corpus.
        model: in evaluation mode, on the CPU.
        statistics: what its input is standardised with.
        selection: how its weights were chosen.
    """

    name: str
    seed: int
    corpus: str
    model: Recognizer
    statistics: Statistics
    selection: Selection

    @property
    def schema(self) -> Schema:
        """What the model was built for."""
        return self.model.schema


def save_recognizer(trained: TrainedRecognizer, folder: Path) -> Path:
    """Write weights and statistics (safetensors) and then the manifest (JSON) that makes them valid.

    Args:
        trained: what to write.
        folder: made if needed.

    Returns:
        The folder.
    """
    tensors = {f"model.{k}": v.detach().to("cpu", copy=True).contiguous() for k, v in trained.model.state_dict().items()}
    tensors |= {f"statistics.{k}": torch.from_numpy(v.copy()) for k, v in trained.statistics.to_tensors().items()}
    weights = store(folder, "weights", "safetensors", lambda path: save_file(tensors, path))
    manifest = {
        "format": VERSION,
        "name": trained.name,
        "seed": trained.seed,
        "corpus": trained.corpus,
        "schema": trained.schema.to_json(),
        "config": asdict(trained.model.config),
        "selection": asdict(trained.selection),
        "weights": asdict(weights),
    }
    write_json(folder / MANIFEST, manifest)
    sweep_stale(folder, "weights", [weights.name])
    return folder


def load_recognizer(folder: Path) -> TrainedRecognizer:
    """Read a recogniser back; no pickle is involved.

    Raises:
        DataError: there is none, or its files are not what was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError("no trained recogniser here", corpus=folder.name, expected=f"a folder with {MANIFEST}", hint="train one")
    manifest = json.loads(path.read_text("utf-8"))
    if manifest.get("format") != VERSION:
        raise DataError("the recogniser has another format", corpus=folder.name, expected=VERSION, found=manifest.get("format"))
    tensors = load_file(Stored(**manifest["weights"]).check(folder))
    model = build(manifest["name"], Schema.from_json(manifest["schema"]), **manifest["config"])
    state = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(state)
    statistics = {k.removeprefix("statistics."): v.numpy() for k, v in tensors.items() if k.startswith("statistics.")}
    return TrainedRecognizer(
        name=manifest["name"],
        seed=manifest["seed"],
        corpus=manifest["corpus"],
        model=model.eval(),
        statistics=Statistics.from_tensors(statistics),
        selection=Selection(**manifest["selection"]),
    )
