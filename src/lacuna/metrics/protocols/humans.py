"""Humans as a reference: how well one rater agrees with the majority of the others, by what the raters saw and heard."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.all_inclusive import columns_of
from lacuna.metrics.protocols.files import read_table
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import share, words
from lacuna.metrics.scores import weighted_f1_of

CREMAD_CLASSES = {"A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_CREMAD_MODALITIES = {"1": "voice", "2": "face", "3": "both"}
_CREMAD_INTENDED = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_IEMOCAP_HEADING = re.compile(r"\[[\d.]+ - [\d.]+\]\s+(\S+)\s")
_IEMOCAP_VOTE = re.compile(r"C-([EFM])\d*:\s*(.*?);?\s*(?:\(|$)")


def majority_shares(votes: Array) -> Array:
    """Return the majority class of each row as one-hot shares; k tied classes have 1 / k each, a row without votes has none.

    Example:
        >>> majority_shares(np.array([[3.0, 1.0], [2.0, 2.0], [0.0, 0.0]])).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    """
    top = (votes == votes.max(axis=-1, keepdims=True)) & (votes > 0)
    return np.asarray(top / np.maximum(top.sum(axis=-1, keepdims=True), 1))


def majority_labels(votes: Array, classes: tuple[str, ...]) -> list[str]:
    """Return the class with most votes of each row; ``""`` for a tie or no vote."""
    shares = majority_shares(votes)
    return [classes[int(row.argmax())] if row.max() == 1 else "" for row in shares]


def leave_one_out(votes: Array) -> Array:
    """Return the confusion matrix of single raters against the majority of the other raters of the same item.

    Each rater is scored against the votes without his own; k tied classes count 1 / k each. Items with fewer than two votes are
    left out.

    Args:
        votes: (N, C) float64 whole numbers of votes.

    Returns:
        (C, C) float64: rows are the majority of the others, columns the rater's vote; the sum is the number of ratings.

    Example:
        >>> leave_one_out(np.array([[2.0, 1.0]])).tolist()
        [[1.0, 1.0], [1.0, 0.0]]
    """
    c = votes.shape[1]
    confusion = np.zeros((c, c))
    rated = votes[votes.sum(axis=1) >= 2]
    for vote in range(c):
        others = rated[rated[:, vote] > 0].copy()  # (N', C)
        n_raters = others[:, vote].copy()
        others[:, vote] -= 1
        confusion[:, vote] = (majority_shares(others) * n_raters[:, None]).sum(axis=0)
    return confusion


def _agreement(confusion: Array) -> float:
    return float(np.trace(confusion) / confusion.sum()) if confusion.sum() else float("nan")


@protocol(
    "humans",
    title="Human reference",
    source="leave-one-rater-out agreement; data such as CREMA-D (Cao et al., IEEE TAC 2014)",
    status="published",
    formula="mean over ratings of 1[vote = majority of the other raters of the item], k tied classes 1 / k",
    predictions=("id", "votes_*"),
    optional=("modality", "id and label (truth)"),
)
def score_humans(predictions: pd.DataFrame, truth: pd.DataFrame | None = None, *, reference: str = "both") -> list[ProtocolScore]:
    """Return how well raters agree, by the modality that they had: a row for the ceiling of a table.

    - ``agreement`` and ``agreement_weighted_f1``: a rater against the majority of the other raters with the same modality.
    - ``against_reference``: a rater against the majority of raters with the ``reference`` modality, without himself if it is
      his own modality. This is the human counterpart of a recogniser whose labels come from these raters.
    - With a truth (for example the emotion that the actor was to show): ``accuracy`` of a single rater, pooled over ratings;
      ``class_accuracy``, its mean over the classes of the truth; and ``majority_accuracy`` of the majority; k tied classes count
      1 / k.
    - Items with one vote have no others and are left out of the agreement.

    A recogniser that is scored against the majority of all raters is compared with more votes than a left-out rater is, so the
    agreement is a little below what a rater would reach against the full majority.

    Args:
        predictions: the votes: ``id``, ``votes_<class>``; optionally ``modality``, one row an id and modality.
        truth: optionally ``id``, ``label``.
        reference: modality of the raters whose majority is the reference.

    Raises:
        DataError: votes are not whole numbers, or an item is there twice for one modality.
    """
    classes, votes = columns_of(predictions, "votes_")
    if (votes != np.round(votes)).any():
        raise DataError("votes are counts of raters", expected="whole numbers", found=f"{votes[votes != np.round(votes)][0]}")
    table = pd.DataFrame(votes, columns=list(classes)).assign(_id=words(predictions, "id"))
    table["_modality"] = words(predictions, "modality") if "modality" in predictions else "all"
    if table.duplicated(["_id", "_modality"]).any():
        raise DataError(
            "an item is there twice for one modality", utterance=table["_id"][table.duplicated(["_id", "_modality"])].iloc[0]
        )
    labels = dict(zip(words(truth, "id"), words(truth, "label"), strict=True)) if truth is not None else {}
    by_modality = {str(name): part.set_index("_id") for name, part in table.groupby("_modality", sort=False)}
    scores = []
    for name, part in by_modality.items():
        own = part[list(classes)].to_numpy(np.float64)
        confusion = leave_one_out(own)
        n = round(float(confusion.sum()))
        scores.append(ProtocolScore("agreement", _agreement(confusion), n, name))
        scores.append(ProtocolScore("agreement_weighted_f1", float(weighted_f1_of(confusion)), n, name))
        if name != reference and reference in by_modality:
            others = by_modality[reference][list(classes)].reindex(part.index).fillna(0).to_numpy(np.float64)
            confusion = majority_shares(others).T @ own  # (C, N) @ (N, C) -> (C, C)
        if reference in by_modality:
            scores.append(ProtocolScore("against_reference", _agreement(confusion), round(float(confusion.sum())), name))
        if labels:
            scores += _against_labels(own, [labels.get(item, "") for item in part.index], classes, name)
    return scores


def _against_labels(votes: Array, labels: list[str], classes: tuple[str, ...], name: str) -> list[ProtocolScore]:
    known = [row for row, label in enumerate(labels) if label and votes[row].sum()]
    columns = [classes.index(labels[row]) if labels[row] in classes else -1 for row in known]
    own = np.concatenate([votes[known], np.zeros((len(known), 1))], axis=1)  # (N', C + 1): column -1 is a label without votes
    right, majority = own[np.arange(len(known)), columns], majority_shares(own)[np.arange(len(known)), columns]
    single = float(right.sum() / own.sum()) if own.sum() else float("nan")
    of_class = [np.array([labels[row] == label for row in known]) for label in sorted({labels[row] for row in known})]
    by_class = [float(right[rows].sum() / own[rows].sum()) for rows in of_class]
    return [
        ProtocolScore("accuracy", single, int(own.sum()), name),
        ProtocolScore("class_accuracy", share(np.array(by_class)), int(own.sum()), name),
        ProtocolScore("majority_accuracy", share(majority), len(known), name),
    ]


def read_iemocap_votes(folder: Path) -> pd.DataFrame:
    """Return the votes of IEMOCAP (Busso et al. 2008) from its evaluation files.

    Raters of the corpus saw and heard the dialogue (``both``); the actors rated themselves (``self``). A rater who named several
    emotions has a vote for each of them.

    Args:
        folder: the corpus, or a part of it; every ``EmoEvaluation/*.txt`` below it is read.

    Returns:
        Columns ``id``, ``modality`` (both, self), ``votes_<class>``, the classes in lower case.

    Raises:
        ConfigError: there is no such file.
    """
    votes: dict[tuple[str, str], Counter[str]] = {}
    for path in sorted(folder.rglob("EmoEvaluation/*.txt")):
        item = ""
        for line in path.read_text("utf-8", errors="replace").splitlines():
            if (heading := _IEMOCAP_HEADING.match(line)) is not None:
                item = heading[1]
            elif item and (vote := _IEMOCAP_VOTE.match(line)) is not None:
                kind = "both" if vote[1] == "E" else "self"
                names = [name.strip().lower() for name in vote[2].split(";")]
                votes.setdefault((item, kind), Counter()).update(name for name in names if name)
    if not votes:
        raise ConfigError(
            f"{folder} holds no votes of IEMOCAP; expected files EmoEvaluation/*.txt with lines such as C-E1: Neutral;"
        )
    classes = sorted({name for counted in votes.values() for name in counted})
    rows = [{f"votes_{name}": counted[name] for name in classes} for counted in votes.values()]
    return pd.DataFrame([{"id": item, "modality": kind} for item, kind in votes]).join(pd.DataFrame(rows))


def read_cremad_votes(folder: Path) -> pd.DataFrame:
    """Return the votes of CREMA-D, three rows a clip: by raters who had the voice, the face, or both.

    Args:
        folder: holds ``tabulatedVotes.csv`` of the corpus (Open Database License; research).

    Returns:
        Columns ``id``, ``modality`` (voice, face, both), ``votes_<class>`` of six classes.

    Raises:
        ConfigError: there is no such file.
    """
    table = read_table(folder / "tabulatedVotes.csv")
    keys = table[table.columns[0]].astype(str)  # 100001: voice of clip 1, 200001: its face, 300001: both
    if unknown := sorted(set(keys.str[0]) - _CREMAD_MODALITIES.keys()):
        raise ConfigError(f"{folder} holds rows of an unknown kind: {unknown[0]}")
    votes = {f"votes_{name}": table[letter].astype(np.int64) for letter, name in CREMAD_CLASSES.items()}
    return pd.DataFrame({"id": table["fileName"], "modality": keys.str[0].map(_CREMAD_MODALITIES), **votes})


def cremad_truth(votes: pd.DataFrame) -> pd.DataFrame:
    """Return the labels of CREMA-D by kind of raters, for the protocols ``humans`` and ``conflict``.

    Args:
        votes: of :func:`read_cremad_votes`.

    Returns:
        One row a clip: ``id``; ``intended``: the emotion that the actor was to show, from the file name; ``label``: the
        majority of raters who had both; ``label_voice`` and ``label_face``; each empty where classes are tied.
    """
    classes, counts = columns_of(votes, "votes_")
    wide = votes.assign(label=majority_labels(counts, classes)).pivot(index="id", columns="modality", values="label").fillna("")
    intended = [_CREMAD_INTENDED.get(name.split("_")[2], "") for name in wide.index]
    return pd.DataFrame(
        {
            "id": wide.index,
            "intended": intended,
            "label": wide["both"].to_numpy(),
            "label_voice": wide["voice"].to_numpy(),
            "label_face": wide["face"].to_numpy(),
        }
    )
