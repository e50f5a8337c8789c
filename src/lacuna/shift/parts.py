"""The corpus of a repartition, and views of one part of its test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.validate import check
from lacuna.shift.division import PARTS
from lacuna.shift.repartition import Repartition

_SPLIT_OF = np.array([0, 1, 2, 2, 2])  # of PARTS; unused utterances are context of the test and are not scored


def repartitioned(corpus: Corpus, parts: Repartition) -> Corpus:
    """Return the corpus with the splits of a repartition.

    Its test split has the IID part, the OOD part and the unused utterances. The latter are not scored; they keep dialogues
    complete for models that read them. A dialogue in several splits is cut, and its pieces are named ``<dialogue>/<split>``.

    Args:
        corpus: the corpus that the repartition was made of.
        parts: the repartition.

    Raises:
        DataError: the repartition was made of another corpus.
    """
    parts.check(corpus)
    u = corpus.utterances
    split = _SPLIT_OF[parts.codes(corpus)]
    pairs, piece = np.unique(np.stack([u.dialogue, split], axis=1), axis=0, return_inverse=True)  # (P, 2), (N,)
    piece = piece.reshape(-1)
    dialogues, n_pieces = np.unique(pairs[:, 0], return_counts=True)
    is_cut = dict(zip(dialogues.tolist(), (n_pieces > 1).tolist(), strict=True))
    old_names = u.dialogue_names.to_pylist()
    names = [f"{old_names[d]}/{SPLITS[s]}" if is_cut[d] else old_names[d] for d, s in pairs.tolist()]
    order = np.lexsort((u.turn, piece, split))
    changed = replace(
        u,
        dialogue=piece.astype(np.int64),
        dialogue_names=pa.array(names, pa.large_string()),
        split=split.astype(np.int64),
    )
    n_cut = sum(is_cut.values())
    notes = [*parts.notes, *([f"{n_cut} dialogues were cut into pieces"] if n_cut else [])]
    provenance = corpus.provenance.noting(*notes)
    return check(replace(corpus, utterances=changed, provenance=provenance, digest=None).take(order.astype(np.int64)))


def only_part(corpus: Corpus, codes: NDArray[np.int64], part: str) -> Corpus:
    """Return the corpus with the labels of one part only, so that this part is scored and models see whole dialogues.

    Args:
        corpus: a view of a repartitioned test.
        codes: (N,) int64 of :meth:`lacuna.shift.Repartition.codes`.
        part: one of ``PARTS``.
    """
    outside = codes != PARTS.index(part)
    labels: dict[str, Labels] = {}
    for target in corpus.targets:
        values = corpus.utterances.labels[target.name].copy()
        values[outside] = -1 if target.task == "classification" else np.nan
        labels[target.name] = values
    return replace(corpus, utterances=replace(corpus.utterances, labels=labels), digest=None)
