"""A completed corpus as a folder that other software can read.

- ``corpus/``: the completed corpus in Lacuna's format (:func:`lacuna.corpus.open_corpus`). Its ``utterances-*.parquet`` has
  ids, dialogues, turns, speakers, labels and frame counts for any reader of parquet.
- ``features-*.npz``: the completed features for ``numpy.load``. ``ids`` (N,) are strings. For each modality ``m``, array ``m``
  (R, d) float32 holds the frames of all utterances end to end in the order of ``ids``, in the units of the original features;
  ``m.count`` (N,) int64 is the number of frames of each utterance, and ``m.filled`` (R,) bool marks frames that were filled in.
- ``recovery.json``, written last: the model, the mask, and the hashes of the other files. If nothing was completed it is the only
  file, and its ``reason`` says why.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.atomic import Stored, store, sweep_stale, write_json
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.storage.format import open_corpus, save_corpus
from lacuna.corpus.storage.tensors import read_rows
from lacuna.errors import DataError
from lacuna.evaluation.conditions import condition_of
from lacuna.evaluation.recovery.completed import completed
from lacuna.missing import Layout, MaskPlan
from lacuna.training.trained import TrainedRecognizer

MANIFEST, CORPUS = "recovery.json", "corpus"
ERROR_COLUMNS = [
    "corpus",
    "model",
    "seed",
    "pattern",
    "setting",
    "rate",
    "mask_seed",
    "modality",
    "frames",
    "mse",
    "mean_fill_mse",
]


@dataclass(frozen=True, eq=False)
class Completion:
    """A completed corpus with what was filled in.

    Attributes:
        corpus: the completed corpus; ``None`` = nothing was completed.
        filled: by modality (R,) bool, utterances end to end: the frame was missing and is filled in.
        facts: model, seed and mask as JSON values; without a corpus the ``reason``.
    """

    corpus: Corpus | None
    filled: dict[str, NDArray[np.bool_]]
    facts: dict[str, Any]


def complete(
    trained: TrainedRecognizer, corpus: Corpus, plan: MaskPlan, device: torch.device | str = "cpu"
) -> tuple[Completion, pd.DataFrame]:
    """Return the corpus as a recogniser completes it under a mask, and the error of what it fills in.

    Args:
        trained: a recogniser that recovers.
        corpus: a view on the split.
        plan: removes frames first; at rate 0 only frames are filled in that the corpus itself lacks.
        device: where to compute.

    Returns:
        The completion, and a table with a row for each modality that lost frames: number of these frames, mean squared
        error over frames and columns, and that of the training mean in their place. Columns are divided by their standard
        deviation on the training split, so the error of the mean is about 1.

    Raises:
        ConfigError: the recogniser does not recover.
        DataError: the corpus does not fit the recogniser.
    """
    layout = Layout.of(corpus)
    mask = plan.over(layout)
    condition, removed = condition_of(plan, mask.measured()), mask.missing_flat()
    result = completed(trained, corpus, plan, device=device)
    part = layout.at(np.arange(len(layout)))
    filled, rows = {}, []
    for modality in (m.name for m in result.modalities):
        original = part.original(modality)
        filled[modality] = removed[modality] if original is None else removed[modality] | ~original
        if (hidden := removed[modality]).any():
            truth, guess = (_values(c, modality)[hidden] for c in (corpus, result))  # (H, d)
            scale, mean = trained.statistics.scale[modality], trained.statistics.mean[modality]
            errors = [float(np.square((x - truth) / scale, dtype=np.float64).mean()) for x in (guess, mean)]
            rows.append([corpus.name, trained.variant, trained.seed, *condition.key, modality, int(hidden.sum()), *errors])
    facts = {"model": trained.name, "variant": trained.variant, "seed": trained.seed, "mask": json.loads(plan.to_json())}
    facts["measured_rate"] = condition.measured
    return Completion(result, filled, facts), pd.DataFrame(rows, columns=ERROR_COLUMNS)


def nothing_completed(reason: str) -> tuple[Completion, pd.DataFrame]:
    """Return an empty completion and an empty table of errors.

    Args:
        reason: why nothing was completed.
    """
    return Completion(None, {}, {"reason": reason}), pd.DataFrame(columns=ERROR_COLUMNS)


def write_completion(folder: Path, completion: Completion) -> None:
    """Write the folder; an earlier completion in it is replaced."""
    if completion.corpus is None:
        write_json(folder / MANIFEST, completion.facts)
        shutil.rmtree(folder / CORPUS, ignore_errors=True)
        sweep_stale(folder, "features", keep=())
        return
    corpus = completion.corpus
    arrays: dict[str, NDArray[Any]] = {"ids": np.array(corpus.ids)}
    for modality, filled in completion.filled.items():
        arrays |= {modality: _values(corpus, modality), f"{modality}.count": corpus.frames[modality].count}
        arrays[f"{modality}.filled"] = filled

    def write(path: Path) -> None:
        with path.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **arrays)

    stored = store(folder, "features", "npz", write)
    digest = open_corpus(save_corpus(corpus, folder / CORPUS)).digest
    write_json(folder / MANIFEST, {**completion.facts, "corpus": digest, "features": asdict(stored)})
    sweep_stale(folder, "features", keep=[stored.name])


def read_completion(folder: Path) -> Completion:
    """Return what :func:`write_completion` wrote, after comparing the files with their hashes.

    Raises:
        DataError: a file is missing, damaged, or of another completion.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            "no completed corpus", corpus=folder.name, found=str(error), hint="run `kedro run --pipelines recover`"
        ) from None
    if "features" not in facts:
        return Completion(None, {}, facts)
    corpus, digest = open_corpus(folder / CORPUS, verify=True), facts.pop("corpus")
    if corpus.digest != digest:
        raise DataError(
            "the corpus is not the one that was completed",
            corpus=folder.name,
            expected=digest,
            found=corpus.digest,
            hint="run `kedro run --pipelines recover` again",
        )
    with np.load(Stored(**facts.pop("features")).check(folder), allow_pickle=False) as arrays:
        filled = {m.name: arrays[f"{m.name}.filled"] for m in corpus.modalities}
    return Completion(corpus, filled, facts)


def _values(corpus: Corpus, modality: str) -> NDArray[np.float32]:
    """Return the frames of all utterances end to end, in row order: (R, d) float32."""
    frames = corpus.frames[modality]
    return read_rows(frames.values, np.asarray(frames.start), np.asarray(frames.count))
