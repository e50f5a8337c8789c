"""Micro-expressions in long videos: spot intervals, then recognise their emotion (MEGC 2025)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.errors import DataError
from lacuna.metrics.counts import Array
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import class_counts, class_names, numbers, quotient, words
from lacuna.metrics.scores import f1_by_class, ratio


def interval_iou(first: Array, second: Array, inclusive: bool = True) -> Array:
    """Return the intersection over union of intervals, pair by pair.

    Args:
        first: (N, 2) float64 onset and offset.
        second: (M, 2) float64 likewise.
        inclusive: intervals are frame numbers, and the offset belongs to the interval; ``False`` for seconds.

    Returns:
        (N, M) float64 in [0, 1]; 0 for two intervals without length.

    Example:
        >>> interval_iou(np.array([[0.0, 9.0]]), np.array([[5.0, 14.0]])).round(3).tolist()
        [[0.333]]
    """
    extra = 1.0 if inclusive else 0.0
    low = np.maximum(first[:, None, 0], second[None, :, 0])
    high = np.minimum(first[:, None, 1], second[None, :, 1])
    both = np.maximum(0, high - low + extra)
    lengths = (first[:, 1] - first[:, 0] + extra)[:, None] + (second[:, 1] - second[:, 0] + extra)[None, :]
    return ratio(both, lengths - both, 0.0)


def match_intervals(iou: Array, threshold: float = 0.5) -> list[tuple[int, int]]:
    """Return pairs of predicted and true intervals, each used once, the largest overlap first; equal overlaps in file order.

    Args:
        iou: (N, M) float64 of N predicted and M true intervals.
        threshold: smallest overlap of a pair.

    Example:
        >>> match_intervals(np.array([[0.5, 0.9], [0.6, 0.8]]))
        [(0, 1), (1, 0)]
    """
    rows, columns = np.nonzero(iou >= threshold)
    order = np.lexsort((columns, rows, -iou[rows, columns]))
    used_rows, used_columns, pairs = set(), set(), []
    for i in order:
        row, column = int(rows[i]), int(columns[i])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((row, column))
    return pairs


def _intervals(table: pd.DataFrame, which: str) -> Array:
    bounds = np.stack([numbers(table, "onset"), numbers(table, "offset")], axis=1)  # (N, 2)
    if (bad := ~(bounds[:, 0] <= bounds[:, 1])).any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"row {row + 1} of the {which} is no interval",
            expected="onset <= offset",
            found=f"{bounds[row, 0]} to {bounds[row, 1]}",
        )
    return bounds


@protocol(
    "micro_expressions",
    title="Spot-then-recognise",
    source="MEGC 2025 (arXiv 2506.15298); Liong et al., Signal Processing: Image Communication 2023",
    status="published",
    formula="hit: IoU >= .5; F1s = 2 TP / (2 TP + FP + FN); "
    "on hits F1r = UF1 = mean_c F1_c, UAR = mean_c recall_c; STRS = F1s F1r",
    predictions=("video", "onset", "offset", "label"),
    truth=("video", "onset", "offset", "label"),
)
def score_micro_expressions(
    predictions: pd.DataFrame, truth: pd.DataFrame, *, threshold: float = 0.5, inclusive: bool = True, classes: str | None = None
) -> list[ProtocolScore]:
    """Return spotting, recognition and combined scores, pooled over videos.

    - A true interval is hit by at most one prediction and the other way round, by decreasing overlap.
    - Recognition is scored on hits only and averaged over all classes of the truth: a class without any hit has F1 and recall 0.
    - ``f1r_script`` is the harmonic mean of macro-precision and macro-recall, which a public script of the challenge uses for
      F1r, and ``strs_script`` its product with F1s. That script also lets one prediction hit several events, ignores
      predictions in videos without events, and computes its UAR from precisions; these are not repeated here.
    - No true event: F1s is 0 if something was predicted and NaN otherwise; recognition and STRS are NaN. Events but no hit: all
      recognition scores and STRS are 0.

    Args:
        predictions: one row an interval: ``video``, ``onset``, ``offset``, ``label``. May be empty.
        truth: likewise.
        threshold: smallest IoU of a hit.
        inclusive: frames, and the offset belongs to the interval; ``False`` for seconds.
        classes: ``a+b+c``, the classes to average over. By default those of the truth.
    """
    names = class_names(pd.DataFrame(), words(truth, "label"), classes)
    found, true = _intervals(predictions, "predictions"), _intervals(truth, "truth")
    found_video, true_video = (np.asarray(words(table, "video"), dtype=object) for table in (predictions, truth))
    hits: list[tuple[int, int]] = []
    for video in dict.fromkeys(true_video):
        rows: NDArray[np.int64] = np.flatnonzero(found_video == video)
        columns: NDArray[np.int64] = np.flatnonzero(true_video == video)
        iou = interval_iou(found[rows], true[columns], inclusive)
        hits += [(int(rows[i]), int(columns[j])) for i, j in match_intervals(iou, threshold)]
    tp, n_found, n_true = len(hits), len(found), len(true)
    f1s = quotient(2 * tp, n_found + n_true)
    labels, answers = words(truth, "label"), words(predictions, "label")
    counts = class_counts([labels[j] for _, j in hits], [answers[i] for i, _ in hits], names)
    precision, recall = (ratio(counts.hits, total, 0.0)[:-1] for total in (counts.predicted, counts.truth))
    nothing = np.nan if not n_true else 0.0
    uf1, uar, mean_precision = (float(v.mean()) if tp else nothing for v in (f1_by_class(counts)[:-1], recall, precision))
    script = quotient(2 * mean_precision * uar, mean_precision + uar, 0.0) if tp else nothing
    return [
        ProtocolScore("precision", quotient(tp, n_found), n_found),
        ProtocolScore("recall", quotient(tp, n_true), n_true),
        ProtocolScore("f1s", f1s, n_true),
        ProtocolScore("f1r", uf1, tp),
        ProtocolScore("uar", uar, tp),
        ProtocolScore("strs", f1s * uf1, n_true),
        ProtocolScore("f1r_script", script, tp),
        ProtocolScore("strs_script", f1s * script, n_true),
    ]
