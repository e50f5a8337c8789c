"""Predictions for a person: one row for each utterance, with its confidence and the missing modalities."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.predict import Predictions, predict
from lacuna.evaluation.sureness import ERROR
from lacuna.training.device import reproducible
from lacuna.training.trained import TrainedRecognizer

_log = logging.getLogger(__name__)
NOT_SURE = "not sure enough"


def predict_frame(
    trained: TrainedRecognizer,
    corpus: Corpus,
    *,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    threads: int | None = 1,
    anyway: bool = False,
    error: float = ERROR,
) -> pd.DataFrame:
    """Return the prediction for every utterance of a corpus, labelled or not.

    Args:
        trained: the recogniser.
        corpus: may lack modalities of the recogniser, but not all of them.
        batch_size: utterances in a forward pass.
        device: where to compute.
        threads: CPU threads of torch; ``None`` = as they are.
        anyway: whether an utterance of which nothing was observed gets a class (or value) too. It follows from the class shares
            of training and, in models that read dialogues, from the other turns.
        error: accepted share of prediction sets without the truth, and of wrong predictions among those that are sure enough; see
            :mod:`lacuna.models.layers.sureness`.

    Returns:
        ``id``, ``dialogue``, ``turn``; for classes ``predicted``, ``confidence``, ``calibrated``, ``sureness`` (``sure enough``
        or ``not sure enough``), ``prediction_set`` (classes joined by ``+``, the most probable one first) and ``p_<class>``, for
        values ``value``, ``low`` and ``high``; ``absent``: modalities without an observed frame, joined by ``+``; ``would_help``:
        the one of these whose addition lowers the loss most, a mean over validation utterances with the same modalities, empty
        if none surely does (:class:`lacuna.models.layers.added_modality.AddedModality`); ``recovered``: modalities with missing
        frames, in place of which the model uses values that it fills in, if it recovers;
        ``nothing_observed``; ``model`` and ``seed``. ``calibrated`` says whether the confidence was fitted to validation (setting
        ``calibrate``). Models that were trained before there were prediction sets have neither these nor ``sureness``: the
        columns are empty. Where nothing was observed, ``predicted`` is empty (``value`` is NaN) unless ``anyway``; the
        probabilities are always there.

    Raises:
        DataError: the corpus shares no modality with the recogniser, or a modality has another width.
    """
    corpus.require(trained.schema)
    if unknown := [m.name for m in corpus.modalities if m.name not in trained.schema.dims]:
        _log.warning("%s does not read %s: ignored", trained.variant, ", ".join(unknown))
    if absent := [name for name in trained.schema.dims if name not in corpus.frames]:
        _log.info("absent from the whole corpus: %s", ", ".join(absent))
    with reproducible(threads):
        predictions = predict(trained, corpus, batch_size=batch_size, device=device)
    names, available = predictions.modalities, predictions.available
    table = predictions.to_frame().drop(columns=[f"has_{name}" for name in names])
    table.insert(1, "dialogue", _texts_at(corpus.utterances.dialogue_names.to_pylist(), corpus.utterances.dialogue))
    table.insert(2, "turn", corpus.utterances.turn)
    if "confidence" in table:
        table.insert(list(table.columns).index("confidence") + 1, "calibrated", trained.model.calibrated)
    _add_sets(table, trained, predictions, error)
    nothing = ~np.asarray(available.any(axis=1))
    position = np.arange(len(names))
    table["absent"] = _joined(names, np.where(available, -1, position))
    most = trained.model.sureness.added.best(torch.from_numpy(available)).numpy()  # (N,)
    table["would_help"] = _joined(names, most[:, None])  # (N,) -> (N, 1)
    filled_in = _filled_in(trained, corpus, names) & ~nothing[:, None]
    table["recovered"] = _joined(names, np.where(filled_in, position, -1))
    table["nothing_observed"] = nothing
    if not anyway and nothing.any():
        column, empty = ("predicted", "") if "predicted" in table else ("value", np.nan)
        table.loc[nothing, column] = empty
    return table.assign(model=trained.variant, seed=trained.seed)


def prediction_notes(table: pd.DataFrame) -> list[str]:
    r"""Return what a person must know to read a table of predictions, one sentence each.

    >>> table = pd.DataFrame({"predicted": ["joy", ""], "calibrated": False, "nothing_observed": [False, True]})
    >>> print(*prediction_notes(table), sep="\n")
    confidence is not calibrated: 0.9 does not mean that 9 of 10 such predictions are right
    1 of 2 utterances have no observed modality and get no prediction (column nothing_observed)
    """
    notes = []
    if "calibrated" in table and not table["calibrated"].all():
        notes.append("confidence is not calibrated: 0.9 does not mean that 9 of 10 such predictions are right")
    if "sureness" in table and (unsure := int((table["sureness"] == NOT_SURE).sum())):
        notes.append(
            f"{unsure} of {len(table)} predictions are not sure enough for the accepted share of errors (column sureness)"
        )
    nothing = table["nothing_observed"]
    if nothing.any():
        value = table["predicted"] if "predicted" in table else table["value"].isna().map({True: "", False: "value"})
        given = bool((value[nothing] != "").any())
        end = "a prediction that follows from no observation of their own" if given else "no prediction"
        notes.append(
            f"{int(nothing.sum())} of {len(table)} utterances have no observed modality and get {end} (column nothing_observed)"
        )
    return notes


def _add_sets(table: pd.DataFrame, trained: TrainedRecognizer, predictions: Predictions, error: float) -> None:
    """Insert the columns of prediction sets and abstention; empty ones if the model has no thresholds."""
    sureness, target = trained.model.sureness, trained.schema.target
    logits, available = torch.from_numpy(predictions.logits), torch.from_numpy(predictions.available)
    found = sureness.sets(target, logits, available, error, spread=torch.from_numpy(predictions.spread))
    if target.task == "regression":
        reach = found.reach.numpy() if sureness.fitted else np.nan
        for place, (name, sign) in enumerate((("low", -1), ("high", 1)), list(table.columns).index("value") + 1):
            table.insert(place, name, table["value"] + sign * reach)
        return
    order = np.argsort(-predictions.logits, axis=1, kind="stable")  # (N, C)
    inside = np.take_along_axis(found.member.numpy(), order, axis=1)
    sets = _joined(target.classes, np.where(inside, order, -1))
    sure = sureness.sure(torch.from_numpy(table["confidence"].to_numpy(copy=True)), error).numpy()
    place = list(table.columns).index("calibrated") + 1
    table.insert(place, "sureness", np.where(sure, "sure enough", NOT_SURE) if sureness.fitted else "")
    table.insert(place + 1, "prediction_set", sets if sureness.fitted else "")


def _joined(names: Sequence[str], chosen: NDArray[np.int64]) -> pd.Series:
    """Return the chosen names of each row, joined by ``+``; every different row is joined once.

    Args:
        names: K names.
        chosen: (N, S) positions in the names, in the order of the text; -1 = none.

    Returns:
        (N,) texts.
    """
    which = np.zeros(len(chosen), np.int64)  # (N,) number of the row among the different ones
    for position in chosen.T:
        which = pd.factorize(which * (len(names) + 1) + position)[0]
    first = np.zeros(which.max(initial=-1) + 1, np.int64)
    first[which] = np.arange(len(which))  # one row of each kind
    return _texts_at(["+".join(names[k] for k in row if k >= 0) for row in chosen[first].tolist()], which)


def _texts_at(texts: Sequence[str], positions: NDArray[np.int64]) -> pd.Series:
    """Return the text at each position (N,), as a column of a table."""
    return pd.Series(pd.Series(texts, dtype="str").array.take(positions))


def _filled_in(trained: TrainedRecognizer, corpus: Corpus, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return where the model fills in a modality: (N, M) bool, True where frames of it are missing and the model recovers."""
    filled = np.full((len(corpus), len(names)), trained.model.recovers)
    for m, name in enumerate(names):
        if name in corpus.frames:
            frames = corpus.frames[name]
            complete = frames.count > 0
            if frames.observed is not None:
                observed_before = np.concatenate([[0], np.cumsum(frames.observed, dtype=np.int64)])  # (R + 1,)
                complete &= observed_before[frames.start + frames.count] - observed_before[frames.start] == frames.count
            filled[:, m] &= ~complete
    return filled
