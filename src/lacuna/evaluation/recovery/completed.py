"""A corpus whose missing frames are filled in by a recogniser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.errors import ConfigError
from lacuna.evaluation.predict import inference, loader_of, observe
from lacuna.missing import Layout, MaskPlan
from lacuna.training.trained import TrainedRecognizer


def completed(
    trained: TrainedRecognizer,
    corpus: Corpus,
    plan: MaskPlan | None = None,
    *,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
) -> Corpus:
    """Return the corpus as a recogniser completes it: observed frames as they are, missing ones filled in.

    Args:
        trained: a recogniser that recovers.
        corpus: what is to be completed; modalities that the recogniser does not read are left out of the result.
        plan: removes frames first, so that what is filled in can be compared with the truth; ``None`` = fill in only what
            the corpus itself lacks (frames inside a recording that are not observed).
        batch_size: utterances in a forward pass; whole dialogues are kept together for models that read them.
        device: where to compute.

    Returns:
        A corpus in memory with the same utterances and splits, in the units of the original features. A modality that an
        utterance lacks altogether has no frames to fill in, so it stays absent. ``provenance.notes`` says what was done.

    Raises:
        ConfigError: the recogniser does not recover.
        DataError: the corpus does not fit the recogniser.
    """
    if not trained.model.recovers:
        hint = "lacuna.list_models(recovers=True) names those that do"
        raise ConfigError(f"'{trained.variant}' does not recover missing values; {hint}")
    loader = loader_of(trained, corpus, batch_size, device)
    mask = None if plan is None else plan.over(Layout.of(corpus))
    names = [m.name for m in corpus.modalities if m.name in trained.schema.dims]
    pieces: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    order = [np.zeros(0, np.int64)]
    with inference(trained.model, device):
        for rows in loader.rows():
            batch = loader.read(rows)
            if mask is not None:
                batch = observe(batch, mask.present(rows))
            recovered = trained.model(batch).recovered
            order.append(rows)
            for name in names:
                values = recovered[name].float().cpu().numpy()  # (U, T, d), standardised
                inside = np.arange(values.shape[1]) < corpus.frames[name].count[rows][:, None]  # (U, T)
                pieces[name].append(values[inside] * trained.statistics.scale[name] + trained.statistics.mean[name])
    frames = {name: _frames(pieces[name], corpus.frames[name].count, np.concatenate(order)) for name in names}
    told = f"missing frames filled in by {trained.variant}, seed {trained.seed}" + (f", after {plan}" if plan else "")
    return replace(
        corpus,
        modalities=tuple(m for m in corpus.modalities if m.name in names),
        frames=frames,
        provenance=corpus.provenance.noting(told),
        digest=None,
    )


def _frames(pieces: list[NDArray[np.float32]], count: NDArray[np.int64], order: NDArray[np.int64]) -> Frames:
    """Frames in the order of the batches, with the place of each utterance."""
    start = np.zeros(len(count), np.int64)
    start[order] = np.cumsum(count[order]) - count[order]
    return Frames(np.concatenate(pieces), start, count)
