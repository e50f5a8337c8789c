"""Recognisers on several tests at once: the IID test, shifted and corrupted ones, other corpora, all crossed with missing rates.

:class:`ShiftTest` names a test, :func:`score_shifts` scores every recogniser on every test under every plan and brings the
results into tables: scores, areas, gaps to the IID test, worst groups, and how well the tests can be told apart.
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
from lacuna.evaluation.bootstrap import Bootstrap, bootstrap, interval, resampled
from lacuna.evaluation.shift.gaps import gaps, with_test
from lacuna.evaluation.shift.groups import GROUPS, Recognised, worst_groups
from lacuna.evaluation.shift.tests import Frame, ShiftConfig, ShiftTest, answers, frames_of
from lacuna.evaluation.sweep import Sweep, target_of
from lacuna.evaluation.tables import areas, compare, summarise
from lacuna.metrics.counts import Array
from lacuna.metrics.detection import SCORES, auroc, outlyingness, wins
from lacuna.missing import MaskPlan
from lacuna.training.trained import TrainedRecognizer

__all__ = ["ShiftConfig", "ShiftTables", "ShiftTest", "answers", "score_shifts"]
IID = "iid"
DETECTION = ["test", "model", "pattern", "setting", "rate", "score", "auroc", "low", "high", "n_iid", "n", "seeds"]


@dataclass(frozen=True, eq=False)
class ShiftTables:
    """Tidy tables; every one has a column ``test``.

    Attributes:
        summary: as of :func:`lacuna.evaluation.summarise`: every metric of every test, model and condition beside the constant
            answer, calibration among them (``ece``, ``brier``, ``log_loss``).
        areas: as of :func:`lacuna.evaluation.areas`.
        gaps: as of :func:`lacuna.evaluation.shift.gaps.gaps`.
        groups: as of :func:`lacuna.evaluation.shift.groups.worst_groups`.
        comparisons: as of :func:`lacuna.evaluation.compare`, every pair of models on every test.
        detection: test, model, pattern, setting, rate, score, auroc, low, high, n_iid, n, seeds.
    """

    summary: pd.DataFrame
    areas: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    comparisons: pd.DataFrame
    detection: pd.DataFrame


def score_shifts(
    recognizers: Sequence[TrainedRecognizer],
    tests: Sequence[ShiftTest],
    plans: Sequence[MaskPlan],
    *,
    training_labels: Labels,
    config: ShiftConfig | None = None,
    device: torch.device | str = "cpu",
) -> ShiftTables:
    """Score every recogniser on every test under every plan.

    Args:
        recognizers: what to score, all for one target.
        tests: one of them ``iid``; those that differ in nothing but their labels are answered once.
        plans: pattern, rate and seed each.
        training_labels: labels of the training split, of which the constant answer is made.
        config: intervals and groups.
        device: where to compute.

    Raises:
        ConfigError: no recogniser or plan, a test twice, or none that is called ``iid``.
        DataError: a test does not fit a recogniser, shares a dialogue with its training, or holds no label.
    """
    config = config or ShiftConfig()
    names = [test.name for test in tests]
    if names.count(IID) != 1 or len(set(names)) < len(names):
        raise ConfigError(f"every test needs its own name, and one of them must be '{IID}', found {', '.join(names) or 'none'}")
    if not recognizers or not plans or len(set(plans)) < len(plans):
        raise ConfigError("shifts are scored with at least one recogniser and one plan, every plan once")
    frames = frames_of(recognizers[0], tests, plans, training_labels, config)
    sweeps: dict[str, list[Sweep]] = {name: [] for name in names}
    recognised = {(f.test.name, label): Recognised.of(f.test.corpus, f.target) for f in frames for label in _labels(recognizers)}
    told: dict[tuple[str, str, str], list[tuple[Array, Array]]] = {}
    for trained in recognizers:
        found: dict[object, NDArray[np.float32]] = {}
        own: dict[str, NDArray[np.float32]] = {}
        for frame in frames:
            trained.check_unseen(frame.test.corpus)
            if target_of(trained, frame.test.corpus) != frame.target:
                raise ConfigError(f"'{trained.variant}' was trained for another target than '{frame.target.name}'")
            if frame.test.seen not in found:
                found[frame.test.seen] = answers(
                    trained, frame.test.corpus, plans, frame.test.corruption,
                    seed=config.seed, batch_size=config.batch_size, device=device,
                )  # fmt: skip
            logits = found[frame.test.seen]
            sweeps[frame.test.name].append(frame.sweep(trained, logits))
            own[frame.test.name] = logits[:, frame.known]
            recognised[frame.test.name, trained.variant].add(logits)
        for key, value in _told_apart(frames, own).items():
            told.setdefault((key[0], trained.variant, key[1]), []).append(value)
    drawn = {f.test.name: bootstrap(sweeps[f.test.name], config.replicates, config.seed, weights=f.weights) for f in frames}
    return ShiftTables(
        summary=with_test({name: summarise(d, config.level) for name, d in drawn.items()}),
        areas=with_test({name: areas(d, config.level) for name, d in drawn.items()}),
        gaps=gaps(drawn, IID, config.level),
        comparisons=_compared(drawn, config.level),
        groups=_groups(frames, recognised, drawn, config),
        detection=_detection(frames, told, drawn, config),
    )


def _compared(drawn: dict[str, Bootstrap], level: float) -> pd.DataFrame:
    tables = {name: compare(d, level=level) for name, d in drawn.items() if len(d.models) > 1}
    return with_test(tables) if tables else pd.DataFrame(columns=["test"])


def _labels(recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    return list(dict.fromkeys(r.variant for r in recognizers))


def _told_apart(frames: Sequence[Frame], logits: dict[str, NDArray[np.float32]]) -> dict[tuple[str, str], tuple[Array, Array]]:
    """By test and score: AUROC of each condition (P,) and its replicates over dialogues (B, P); nothing for values."""
    if frames[0].target.task == "regression":
        return {}
    iid = next(f for f in frames if f.test.name == IID)
    scores = {name: [outlyingness(one) for one in values] for name, values in logits.items()}
    found: dict[tuple[str, str], tuple[Array, Array]] = {}
    once = [np.stack([np.ones_like(f.sizes), f.sizes]) for f in frames]
    many = [np.stack([f.weights, np.broadcast_to(f.sizes, f.weights.shape)], axis=1) for f in frames]  # (B, 2, D)
    home = frames.index(iid)
    for place, frame in enumerate(frames):
        if frame is iid:
            continue
        for score in SCORES:
            points, draws = [], []
            for clean, other in zip(scores[IID], scores[frame.test.name], strict=True):
                won = wins(clean[score], iid.rows, other[score], frame.rows, (iid.total, frame.total))
                points.append(auroc(won, once[home], once[place]))
                draws.append(auroc(won, many[home], many[place]))
            found[frame.test.name, score] = np.array(points), np.stack(draws, axis=1)
    return found


def _detection(
    frames: Sequence[Frame],
    told: dict[tuple[str, str, str], list[tuple[Array, Array]]],
    drawn: dict[str, Bootstrap],
    config: ShiftConfig,
) -> pd.DataFrame:
    """AUROC by test, model, setting and score: means over seeds and masks, intervals over dialogues and seeds."""
    by_name = {f.test.name: f for f in frames}
    rows: list[dict[str, object]] = []
    for (test, label, score), seeds in told.items():
        frame, settings = by_name[test], drawn[test].settings
        points, draws = np.stack([p for p, _ in seeds]), np.stack([d for _, d in seeds])  # (S, P), (S, B, P)
        share = resampled([config.seed, 1], len(seeds), config.replicates) / len(seeds)  # (B, S)
        pooled = np.einsum("bs,sbp->bp", share, draws)
        for at in settings:
            own = [
                p for p, c in enumerate(frame.conditions) if (c.pattern, c.setting, c.rate) == (at.pattern, at.setting, at.rate)
            ]
            fewest = min(drawn[IID].dialogues, drawn[test].dialogues)
            low, high = interval(pooled[:, own].mean(axis=1), config.level, fewest)
            row: dict[str, object] = {"test": test, "model": label, "pattern": at.pattern, "setting": at.setting, "rate": at.rate}
            row |= {"score": score, "auroc": float(points[:, own].mean()), "low": float(low), "high": float(high)}
            row |= {"n_iid": drawn[IID].utterances, "n": drawn[test].utterances, "seeds": len(seeds)}
            rows.append(row)
    return pd.DataFrame(rows, columns=DETECTION)


def _groups(
    frames: Sequence[Frame],
    recognised: dict[tuple[str, str], Recognised],
    drawn: dict[str, Bootstrap],
    config: ShiftConfig,
) -> pd.DataFrame:
    tables = [
        worst_groups(found, frame.conditions, drawn[frame.test.name].settings, config.least_group).assign(
            test=frame.test.name, model=label
        )
        for frame in frames
        for (test, label), found in recognised.items()
        if test == frame.test.name
    ]
    there = [table for table in tables if len(table)]
    return pd.concat(there, ignore_index=True)[GROUPS] if there else pd.DataFrame(columns=GROUPS)
