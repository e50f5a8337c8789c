"""A repartition as a corpus: its splits, and one part of its test at a time."""

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

_SPLIT_OF = np.array([0, 1, 2, 2, 2])  # of PARTS; what is unused stays in the test as context and is never scored


def repartitioned(corpus: Corpus, made: Repartition) -> Corpus:
    """The corpus with the splits of a repartition: an ordinary corpus, whose test holds all that training must not reach.

    Those are the IID part, the OOD part and what is unused. Unused utterances stay in the test, so that dialogues keep their
    turns for models that read them; no score looks at them. Where a dialogue falls into several splits it is cut, and its pieces
    are named ``<dialogue>/<split>``.

    Args:
        corpus: the one that was dealt.
        made: of this corpus.

    Raises:
        DataError: the repartition is of another corpus.
    """
    made.check(corpus)
    u = corpus.utterances
    split = _SPLIT_OF[made.codes(corpus)]
    pairs, piece = np.unique(np.stack([u.dialogue, split], axis=1), axis=0, return_inverse=True)  # (P, 2), (N,)
    piece = piece.reshape(-1)
    dialogues, cuts = np.unique(pairs[:, 0], return_counts=True)
    cut = dict(zip(dialogues.tolist(), (cuts > 1).tolist(), strict=True))
    old = u.dialogue_names.to_pylist()
    names = [f"{old[d]}/{SPLITS[s]}" if cut[d] else old[d] for d, s in pairs.tolist()]
    order = np.lexsort((u.turn, piece, split))
    changed = replace(
        u,
        dialogue=piece.astype(np.int64),
        dialogue_names=pa.array(names, pa.large_string()),
        split=split.astype(np.int64),
    )
    notes = [*made.notes, *([f"{sum(cut.values())} dialogues were cut into pieces"] if any(cut.values()) else [])]
    provenance = corpus.provenance.noting(*notes)
    return check(replace(corpus, utterances=changed, provenance=provenance, digest=None).take(order.astype(np.int64)))


def only_part(corpus: Corpus, codes: NDArray[np.int64], part: str) -> Corpus:
    """The same utterances, of which only one part is labelled: what is scored is the part, what is seen is whole dialogues.

    Args:
        corpus: a view on a repartitioned test.
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
