"""Shift evaluation: recognisers on the IID test, shifted and corrupted tests and other corpora, at several missing rates.

:func:`score_shifts` scores every recogniser on every :class:`ShiftTest` under every plan. Its tables hold scores, areas, gaps to
the IID test, worst groups, comparisons, and out-of-distribution detection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Labels
from lacuna.errors import ConfigError
from lacuna.evaluation.replicates import Bootstrap, bootstrap
from lacuna.evaluation.shift.gaps import gaps, with_test
from lacuna.evaluation.shift.groups import GROUPS, Hits, worst_groups
from lacuna.evaluation.shift.tests import Answers, PreparedTest, ShiftConfig, ShiftTest, answers, prepare_tests
from lacuna.evaluation.sureness import Key, SetCounts, sureness_rows
from lacuna.evaluation.sweep import Sweep, target_of
from lacuna.evaluation.tables import areas, compare, summarise
from lacuna.metrics.bootstrap import interval, resample_weights
from lacuna.metrics.counts import Array
from lacuna.metrics.detection import SCORES, auroc, outlyingness, wins
from lacuna.missing import MaskPlan
from lacuna.progress import tracked
from lacuna.training.trained import TrainedRecognizer

__all__ = ["ShiftConfig", "ShiftTables", "ShiftTest", "answers", "score_shifts"]
IID = "iid"
DETECTION = ["test", "model", "pattern", "setting", "rate", "score", "auroc", "low", "high", "n_iid", "n", "seeds", "dialogues"]


@dataclass(frozen=True, eq=False)
class ShiftTables:
    """Tidy tables of a shift evaluation; each has a column ``test``.

    Attributes:
        summary: of :func:`lacuna.evaluation.summarise`: every metric of every test, model and condition beside the baseline,
            including calibration (``ece``, ``brier``, ``log_loss``).
        areas: of :func:`lacuna.evaluation.areas`.
        gaps: of :func:`lacuna.evaluation.shift.gaps.gaps`.
        groups: of :func:`lacuna.evaluation.shift.groups.worst_groups`.
        comparisons: of :func:`lacuna.evaluation.compare`, every pair of models on every test.
        detection: AUROC of each test against the IID test: test, model, pattern, setting, rate, score, auroc, low, high, n_iid,
            n, seeds, dialogues (of the test with fewer dialogues).
        sets: prediction sets by test, model, pattern, setting and available modalities, summed over rates, masks and training
            seeds: the columns of :func:`lacuna.evaluation.sureness.sureness_rows`.
    """

    summary: pd.DataFrame
    areas: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    comparisons: pd.DataFrame
    detection: pd.DataFrame
    sets: pd.DataFrame


def score_shifts(
    recognizers: Sequence[TrainedRecognizer],
    tests: Sequence[ShiftTest],
    plans: Sequence[MaskPlan],
    *,
    training_labels: Labels,
    config: ShiftConfig | None = None,
    device: torch.device | str = "cpu",
) -> ShiftTables:
    """Return the tables of every recogniser on every test under every plan.

    Args:
        recognizers: recognisers of one target.
        tests: one of them is called ``iid``; tests that differ only in their labels share predictions.
        plans: masks to score under.
        training_labels: labels of the training split, for the baseline.
        config: settings of intervals and groups.
        device: where to compute.

    Raises:
        ConfigError: no recogniser or plan, a plan or the name of a test twice, or no test that is called ``iid``.
        DataError: a test does not fit a recogniser, shares a dialogue with its training, or has no label.
    """
    config = config or ShiftConfig()
    names = [test.name for test in tests]
    if names.count(IID) != 1 or len(set(names)) < len(names):
        raise ConfigError(f"every test needs its own name, and one of them must be '{IID}', found {', '.join(names) or 'none'}")
    if not recognizers or not plans or len(set(plans)) < len(plans):
        raise ConfigError("shifts are scored with at least one recogniser and one plan, every plan once")
    prepared = prepare_tests(recognizers[0], tests, plans, training_labels, config)
    sweeps: dict[str, list[Sweep]] = {name: [] for name in names}
    variants = list(dict.fromkeys(r.variant for r in recognizers))
    hits = {(t.test.name, variant): Hits.of(t.test.corpus, t.target) for t in prepared for variant in variants}
    aurocs: dict[tuple[str, str, str], list[tuple[Array, Array]]] = {}
    sets: list[tuple[Key, SetCounts, int]] = []
    for trained in tracked(recognizers, "scoring shifted tests"):
        by_input: dict[object, Answers] = {}
        scored: dict[str, NDArray[np.float32]] = {}
        for t in prepared:
            trained.check_unseen(t.test.corpus)
            if target_of(trained, t.test.corpus) != t.target:
                raise ConfigError(f"'{trained.variant}' was trained for another target than '{t.target.name}'")
            if t.test.seen not in by_input:
                by_input[t.test.seen] = answers(
                    trained, t.test.corpus, plans, t.test.corruption,
                    seed=config.seed, batch_size=config.batch_size, device=device,
                )  # fmt: skip
            logits = by_input[t.test.seen].logits
            if (counts := t.sets(trained, by_input[t.test.seen])) is not None:
                sets += [((t.test.name, trained.variant, c.pattern, c.setting), counts, p) for p, c in enumerate(t.conditions)]
            sweeps[t.test.name].append(t.sweep(trained, logits))
            scored[t.test.name] = logits[:, t.known]
            hits[t.test.name, trained.variant].add(logits)
        for (test, score), value in _aurocs(prepared, scored).items():
            aurocs.setdefault((test, trained.variant, score), []).append(value)
    drawn = {t.test.name: bootstrap(sweeps[t.test.name], config.replicates, config.seed, weights=t.weights) for t in prepared}
    return ShiftTables(
        summary=with_test({name: summarise(d, config.level) for name, d in drawn.items()}),
        areas=with_test({name: areas(d, config.level) for name, d in drawn.items()}),
        gaps=gaps(drawn, IID, config.level),
        comparisons=_compared(drawn, config.level),
        groups=_groups(prepared, hits, drawn, config),
        detection=_detection(prepared, aurocs, drawn, config),
        sets=sureness_rows(sets, ["test", "model", "pattern", "setting"]),
    )


def _compared(drawn: dict[str, Bootstrap], level: float) -> pd.DataFrame:
    tables = {name: compare(d, level=level) for name, d in drawn.items() if len(d.models) > 1}
    return with_test(tables) if tables else pd.DataFrame(columns=["test"])


def _aurocs(tests: Sequence[PreparedTest], logits: dict[str, NDArray[np.float32]]) -> dict[tuple[str, str], tuple[Array, Array]]:
    """Return the AUROC of each condition, (P,), and its replicates, (B, P), by test and score; none for regression."""
    if tests[0].target.task == "regression":
        return {}
    iid = next(t for t in tests if t.test.name == IID)
    scores = {name: [outlyingness(condition) for condition in values] for name, values in logits.items()}
    ones = {t.test.name: np.stack([np.ones_like(t.sizes), t.sizes]) for t in tests}  # (2, D)
    weighted = {t.test.name: np.stack([t.weights, np.broadcast_to(t.sizes, t.weights.shape)], axis=1) for t in tests}  # (B, 2, D)
    result: dict[tuple[str, str], tuple[Array, Array]] = {}
    for shifted in tests:
        name = shifted.test.name
        for score in SCORES if shifted is not iid else ():
            points, draws = [], []
            for inside, outside in zip(scores[IID], scores[name], strict=True):
                won = wins(inside[score], iid.rows, outside[score], shifted.rows, (iid.total, shifted.total))
                points.append(auroc(won, ones[IID], ones[name]))
                draws.append(auroc(won, weighted[IID], weighted[name]))
            result[name, score] = np.array(points), np.stack(draws, axis=1)
    return result


def _detection(
    tests: Sequence[PreparedTest],
    aurocs: dict[tuple[str, str, str], list[tuple[Array, Array]]],
    drawn: dict[str, Bootstrap],
    config: ShiftConfig,
) -> pd.DataFrame:
    """Return the AUROC by test, model, setting and score: means over seeds and masks, intervals over dialogues and seeds."""
    conditions = {t.test.name: t.conditions for t in tests}
    rows: list[dict[str, object]] = []
    for (test, variant, score), seeds in aurocs.items():
        points, draws = np.stack([p for p, _ in seeds]), np.stack([d for _, d in seeds])  # (S, P), (S, B, P)
        seed_shares = resample_weights([config.seed, 1], len(seeds), config.replicates) / len(seeds)  # (B, S)
        pooled = np.einsum("bs,sbp->bp", seed_shares, draws)
        for s in drawn[test].settings:
            key = s.pattern, s.setting, s.rate
            masks = [p for p, c in enumerate(conditions[test]) if (c.pattern, c.setting, c.rate) == key]
            fewest = min(drawn[IID].dialogues, drawn[test].dialogues)
            low, high = interval(pooled[:, masks].mean(axis=1), config.level, fewest)
            row: dict[str, object] = {"test": test, "model": variant, "pattern": s.pattern, "setting": s.setting, "rate": s.rate}
            row |= {"score": score, "auroc": float(points[:, masks].mean()), "low": float(low), "high": float(high)}
            row |= {"n_iid": drawn[IID].utterances, "n": drawn[test].utterances, "seeds": len(seeds), "dialogues": fewest}
            rows.append(row)
    return pd.DataFrame(rows, columns=DETECTION)


def _groups(
    tests: Sequence[PreparedTest], hits: dict[tuple[str, str], Hits], drawn: dict[str, Bootstrap], config: ShiftConfig
) -> pd.DataFrame:
    """Return the worst groups of every test and model."""
    conditions = {t.test.name: t.conditions for t in tests}
    tables = [
        worst_groups(sums, conditions[test], drawn[test].settings, config.least_group).assign(test=test, model=variant)
        for (test, variant), sums in hits.items()
    ]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True)[GROUPS] if filled else pd.DataFrame(columns=GROUPS)
