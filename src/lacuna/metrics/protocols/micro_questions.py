"""Questions about micro-expressions (MEGC 2025, visual question answering): emotion classes, and overlap of answers in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError
from lacuna.metrics.protocols.clue_overlap import token_f1, tokens
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, class_names, share, words
from lacuna.metrics.scores import f1_by_class, ratio

KINDS = ("coarse", "fine")  # of questions whose answer is one class


def bleu(truth: Sequence[str], predicted: Sequence[str], order: int = 1) -> float:
    """Return BLEU of a set of answers with one reference each (Papineni et al., ACL 2002), without smoothing.

    Clipped n-gram matches and lengths are summed over all answers. With c predicted and r true words, BLEU is the geometric mean
    of the precisions of 1- to n-grams times min(1, exp(1 - r / c)); 0 if nothing matches, NaN without answers.

    Args:
        truth: references.
        predicted: answers.
        order: n, the longest n-grams.

    Example:
        >>> round(bleu(["the brow lowers"], ["the brow"]), 4)  # precision 1, 2 words for 3
        0.6065
    """
    if not truth:
        return float("nan")
    pairs = [(tokens(t), tokens(p)) for t, p in zip(truth, predicted, strict=True)]
    n_true, n_predicted = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    logarithms = []
    for n in range(1, order + 1):
        matches = total = 0
        for true, answer in pairs:
            found = _grams(answer, n)
            matches, total = matches + (found & _grams(true, n)).total(), total + found.total()
        if not matches:
            return 0.0
        logarithms.append(np.log(matches / total))
    return float(min(1.0, np.exp(1 - n_true / n_predicted)) * np.exp(np.mean(logarithms)))


def _grams(text: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))


@protocol(
    "micro_questions",
    title="Questions about micro-expressions",
    source="MEGC 2025, visual question answering (arXiv 2506.15298); BLEU: Papineni et al., ACL 2002; ROUGE: Lin, 2004",
    status="reconstruction",
    formula="UF1 = mean_c F1_c and UAR = mean_c recall_c on coarse and on fine emotion; BLEU and ROUGE-1 F1 of all answers; "
    "average = mean of the six",
    predictions=("id", "answer"),
    truth=("id", "answer", "kind"),
)
def score_micro_questions(predictions: pd.DataFrame, truth: pd.DataFrame, *, order: int = 1) -> list[ProtocolScore]:
    """Return UF1, UAR, BLEU and ROUGE-1; the order of BLEU and the average are a reconstruction.

    - The answer to a question of kind ``coarse`` or ``fine`` is a class, compared without regard to case. UF1 and UAR average
      over the classes of the truth; any other answer is an error. Free text is mapped to classes by ``lacuna answers`` first.
    - ``bleu`` sums over all questions of every kind, ``rouge_1`` is the mean F1 of single words over them. An empty answer has
      ROUGE 0 and adds nothing to the matches of BLEU.
    - Without a question of a kind its scores are NaN, and so is ``average``.

    Args:
        predictions: ``id``, ``answer``.
        truth: ``id``, ``answer``, ``kind``: ``coarse``, ``fine``, or any other word for a question in free text.
        order: longest n-grams of BLEU.
    """
    if order < 1:
        raise ConfigError(f"the order of BLEU is at least 1, not {order}")
    kinds, true, given = words(truth, "kind"), words(truth, "answer"), words(align(predictions, truth), "answer")
    scores = []
    for kind in KINDS:
        rows = [row for row, own in enumerate(kinds) if own == kind]
        labels, answers = ([texts[row].casefold() for row in rows] for texts in (true, given))
        counts = class_counts(labels, answers, class_names(pd.DataFrame(), labels))
        recall = ratio(counts.hits, counts.truth, 0.0)[:-1]
        for metric, values in (("uf1", f1_by_class(counts)[:-1]), ("uar", recall)):
            scores.append(ProtocolScore(metric, float(values.mean()) if rows else float("nan"), len(rows), kind))
    rouge = share(np.array([token_f1(t, g) for t, g in zip(true, given, strict=True)]))
    scores += [ProtocolScore("bleu", bleu(true, given, order), len(true)), ProtocolScore("rouge_1", rouge, len(true))]
    return [*scores, ProtocolScore("average", float(np.mean([score.value for score in scores])), len(true))]
