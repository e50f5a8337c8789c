"""A trained recogniser as it is stored: weights, settings, statistics, and how it was selected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from lacuna.atomic import Stored, partial_folder, replace_folder, sha256, store, sweep_partial, sweep_stale, write_json
from lacuna.corpus.contents import dialogue_contents
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics
from lacuna.errors import DataError, readable
from lacuna.models import Recognizer, build
from lacuna.training.variant import check_variant

MANIFEST, INDEX = "recognizer.json", "recognizers.json"
VERSION = 2
READABLE = (1, VERSION)  # 1 had no variants: there the registered name stands for it


@dataclass(frozen=True)
class Selection:
    """How the weights were chosen on the validation split.

    Attributes:
        metric: name of the validation metric, averaged over the fixed masks of the training pattern.
        value: its best value over epochs, before the model settles further choices (such as CIDer's tau).
        epoch: the epoch of the kept weights, from 0.
        epochs: how many epochs ran.
        pattern: missingness pattern of training.
        parameters: number of trainable parameters.
        seconds: wall-clock time of training.
        device: where it was trained.
        threads: torch's CPU threads.
        versions: of torch and of this package.
        training: the training settings that decide the result, as JSON values.
        trials: number of settings that were compared on validation before this training; 1 = no search.
    """

    metric: str
    value: float
    epoch: int
    epochs: int
    pattern: str
    parameters: int
    seconds: float
    device: str = "cpu"
    threads: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    trials: int = 1


def _nothing() -> NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


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
        dialogues: (D,) uint64 sorted keys of the dialogues of training and validation; it is never scored on one of them.
        contents: (D,) uint64 sorted hashes of the content of these dialogues (:func:`lacuna.corpus.contents.dialogue_contents`),
            so that they are recognised in a corpus of another name; empty in recognisers of earlier versions.
        data: digest of the training corpus on disk, empty if it was in memory.
        variant: what it is called in tables, figures and folders, for several variants of one model side by side; by default
            its registered name. ``dataclasses.replace(trained, variant=...)`` gives it another.

    Raises:
        DataError: the variant is not safe in a path.
        ConfigError: the variant is the registered name of another model.
    """

    name: str
    seed: int
    corpus: str
    model: Recognizer
    statistics: Statistics
    selection: Selection
    dialogues: NDArray[np.uint64] = field(default_factory=_nothing)
    contents: NDArray[np.uint64] = field(default_factory=_nothing)
    data: str = ""
    variant: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "variant", check_variant(self.variant, self.name))

    @property
    def schema(self) -> Schema:
        """The modalities and the target that the model was built for."""
        return self.model.schema

    def after_trials(self, trials: int) -> TrainedRecognizer:
        """Return the recogniser with the number of settings that were compared before its own were chosen."""
        return replace(self, selection=replace(self.selection, trials=trials))

    def check_unseen(self, corpus: Corpus) -> None:
        """Check that no dialogue of a corpus was used for training or selection, whatever the corpus is called.

        Raises:
            DataError: the corpus shares a dialogue with training or validation.
        """
        renamed = corpus.name != self.corpus
        if renamed and not (self.data and corpus.digest == self.data):
            seen = np.isin(dialogue_contents(corpus, self.schema.dims), self.contents)
        else:
            seen = np.isin(corpus.dialogue_keys, self.dialogues)
        if seen.any():
            code = int(np.unique(corpus.utterances.dialogue)[int(np.argmax(seen))])
            first = corpus.utterances.dialogue_names[code].as_py()
            raise DataError(
                f"'{self.variant}' (seed {self.seed}) was trained on dialogues that it is to be scored on",
                corpus=corpus.name,
                expected="no dialogue of training or validation",
                found=f"{int(seen.sum())} of {len(seen)} dialogues, first '{first}'",
                hint=f"score the test split of '{self.corpus}', or train again"
                if renamed
                else "the splits changed after training: train again",
            )


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
    tensors["dialogues"] = torch.from_numpy(trained.dialogues.view(np.int64).copy())
    tensors["contents"] = torch.from_numpy(trained.contents.view(np.int64).copy())
    weights = store(folder, "weights", "safetensors", lambda path: save_file(tensors, path))
    manifest = {
        "format": VERSION,
        "name": trained.name,
        "variant": trained.variant,
        "seed": trained.seed,
        "corpus": trained.corpus,
        "data": trained.data,
        "schema": trained.schema.to_json(),
        "config": asdict(trained.model.config),
        "selection": asdict(trained.selection),
        "weights": asdict(weights),
    }
    write_json(folder / MANIFEST, manifest)
    sweep_stale(folder, "weights", [weights.name])
    return folder


def load_recognizer(folder: Path) -> TrainedRecognizer:
    """Return the recogniser of a folder; no pickle is involved.

    Raises:
        DataError: there is none, or its files are not what was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            "no trained recogniser here",
            corpus=folder.name,
            expected=f"a folder with {MANIFEST}",
            hint="name the folder of a saved model or of a finished run",
        )
    with readable("the recogniser cannot be read", folder.name, _AGAIN):
        manifest = json.loads(path.read_text("utf-8"))
        if (found := manifest.get("format")) not in READABLE:
            raise DataError(
                "the recogniser has another format",
                corpus=folder.name,
                expected=VERSION,
                found=found,
                hint="train it again with this version of Lacuna",
            )
        tensors = load_file(_weights(folder, manifest))
        model = build(manifest["name"], Schema.from_json(manifest["schema"]), **manifest["config"])
        thresholds = {name: value for name, value in model.state_dict().items() if "sureness." in name}  # format 1 had none
        model.load_state_dict({**thresholds, **_part(tensors, "model.")})
        return TrainedRecognizer(
            name=manifest["name"],
            seed=manifest["seed"],
            corpus=manifest["corpus"],
            model=model.eval(),
            statistics=Statistics.from_tensors({k: v.numpy() for k, v in _part(tensors, "statistics.").items()}),
            selection=Selection(**manifest["selection"]),
            dialogues=tensors["dialogues"].numpy().view(np.uint64),
            contents=tensors["contents"].numpy().view(np.uint64) if "contents" in tensors else _nothing(),
            data=manifest["data"],
            variant=manifest.get("variant", manifest.get("label", "")),
        )


def _weights(folder: Path, manifest: dict[str, Any]) -> Path:
    try:
        return Stored(**manifest["weights"]).check(folder)
    except DataError as error:
        raise DataError(
            "the recogniser is damaged", corpus=folder.name, found=f"{error.what}: {error.found}", hint=_AGAIN
        ) from None


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def save_recognizers(recognizers: Sequence[TrainedRecognizer], folder: Path) -> Path:
    """Write several recognisers: each in a folder named after its content, then the index that makes them valid.

    Recognisers written before stay until the index is replaced, and are deleted afterwards.

    Args:
        recognizers: what to write; no variant and seed twice.
        folder: made if needed.

    Returns:
        The folder.

    Raises:
        DataError: two of them have the same variant and seed.
    """
    keys = [(trained.variant, trained.seed) for trained in recognizers]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise DataError(f"two recognisers are called '{twice[0][0]}', seed {twice[0][1]}", hint="give each variant a variant")
    names = []
    for trained in recognizers:
        with partial_folder(folder) as scratch:
            save_recognizer(trained, scratch)
            digest = sha256(scratch / MANIFEST)[:12]
            names.append(f"{trained.variant}/seed-{trained.seed}-{digest}")
            sweep_partial((folder / names[-1]).parent)  # also where nothing is to be replaced
            if not _is_whole(folder / names[-1], digest):
                replace_folder(scratch, folder / names[-1])
    write_json(folder / INDEX, names)
    for old in folder.glob("*/seed-*"):
        if old.relative_to(folder).as_posix() not in names:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def load_recognizers(folder: Path) -> list[TrainedRecognizer]:
    """Return all recognisers of a folder, in the order in which they were saved.

    Raises:
        DataError: there are none, or one is not what was written.
    """
    if not (folder / INDEX).is_file():
        raise DataError("no trained recognisers here", corpus=folder.name, expected=f"a folder with {INDEX}", hint="train some")
    with readable(f"{INDEX} cannot be read", folder.name, _AGAIN):
        names = json.loads((folder / INDEX).read_text("utf-8"))
        if not isinstance(names, list) or not all(isinstance(name, str) and not _is_outside(name) for name in names):
            raise ValueError("not a list of folders")
    return [load_recognizer(folder / name) for name in names]


_AGAIN = "repeat the command that trained it: finished training is taken from its checkpoints, and the folder is written again"


def _is_outside(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _is_whole(folder: Path, digest: str) -> bool:
    """Return whether a folder holds the manifest with that digest, and its weights as they were written."""
    try:
        if sha256(folder / MANIFEST)[:12] != digest:
            return False
        Stored(**json.loads((folder / MANIFEST).read_text("utf-8"))["weights"]).check(folder)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return False
    return True
