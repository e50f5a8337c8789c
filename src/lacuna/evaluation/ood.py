"""Recognisers on several tests at once: the IID test, shifted and corrupted ones, other corpora, all crossed with missing rates.

:class:`ShiftTest` names a test, :func:`score_shifts` scores every recogniser on every test under every plan and brings the results
into tables: scores, areas, gaps to the IID test, worst groups, and how well the tests can be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.schema import Target
from lacuna.corpus.shift import Corruption
from lacuna.errors import ConfigError
from lacuna.evaluation.counts import Array, constant_counts, count, labelled, width
from lacuna.evaluation.detection import SCORES, auroc, outlyingness, wins
from lacuna.evaluation.gaps import gaps, with_test
from lacuna.evaluation.groups import GROUPS, Recognised, worst_groups
from lacuna.evaluation.intervals import Bootstrap, bootstrap, interval, resampled
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.evaluation.protocol import Condition, condition_of
from lacuna.evaluation.sweep import MOST_GROUPS, Sweep, digest_of, fingerprint_of, groups_of, target_of
from lacuna.evaluation.tables import areas, summarise
from lacuna.evaluation.together import dialogue_rows, drawn_together
from lacuna.missing import Layout, MaskPlan
from lacuna.training.trained import TrainedRecognizer

IID = "iid"
DETECTION = ["test", "model", "pattern", "setting", "rate", "score", "auroc", "low", "high", "n_iid", "n", "seeds"]


@dataclass(frozen=True, eq=False)
class ShiftTest:
    """A test.

    Attributes:
        name: in tables; exactly one is called ``iid``.
        corpus: what is seen, whole dialogues; labels of what is not scored are hidden (:func:`lacuna.corpus.shift.only_part`).
        corruption: laid over the complete batches, before anything goes missing.
        note: what it is, in a sentence.
    """

    name: str
    corpus: Corpus
    corruption: Corruption | None = None
    note: str = ""

    @property
    def seen(self) -> tuple[str, bytes, Corruption | None]:
        """Tests that agree in this need one set of answers."""
        return self.corpus.name, self.corpus.keys.tobytes(), self.corruption


@dataclass(frozen=True)
class ShiftConfig:
    """How tests are scored.

    Attributes:
        replicates: of the bootstrap.
        level: of the intervals.
        seed: of the bootstrap and of the corruptions.
        least_group: a group of fewer utterances is no candidate for the worst one.
        batch_size: utterances in a forward pass.
    """

    replicates: int = 500
    level: float = 0.95
    seed: int = 0
    least_group: int = 20
    batch_size: int = 1024


@dataclass(frozen=True, eq=False)
class ShiftTables:
    """Tidy tables; every one has a column ``test``.

    Attributes:
        summary: as of :func:`lacuna.evaluation.summarise`: every metric of every test, model and condition beside the constant
            answer, calibration among them (``ece``, ``brier``, ``log_loss``).
        areas: as of :func:`lacuna.evaluation.areas`.
        gaps: as of :func:`lacuna.evaluation.gaps.gaps`.
        groups: as of :func:`lacuna.evaluation.groups.worst_groups`.
        detection: test, model, pattern, setting, rate, score, auroc, low, high, n_iid, n, seeds.
    """

    summary: pd.DataFrame
    areas: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    detection: pd.DataFrame


def answers(
    trained: TrainedRecognizer,
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    corruption: Corruption | None = None,
    *,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """Logits (P, N, C) or values (P, N, 1) of every utterance under every plan; a batch is read and corrupted once."""
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    found = np.zeros((len(plans), len(corpus), trained.schema.target.width), np.float32)
    loader = loader_of(trained, corpus, batch_size, device)
    with inference(trained.model, device):
        for rows in loader.rows():
            complete = loader.read(rows)
            if corruption is not None:
                complete = corruption.apply(complete, seed)
            here = {m: p.cpu().numpy() for m, p in complete.present.items()}
            answered: dict[bytes, NDArray[np.float32]] = {}
            for index, mask in enumerate(masks):
                present = {m: p & here[m] for m, p in mask.present(rows).items() if m in here}
                key = digest_of(present)
                if key not in answered:
                    answered[key] = answer(trained.model, observe(complete, present))
                found[index, rows] = answered[key]
    return found


@dataclass(frozen=True, eq=False)
class _Frame:
    """What is the same for all recognisers on one test."""

    test: ShiftTest
    target: Target
    conditions: tuple[Condition, ...]
    dialogue: NDArray[np.int64]  # (N,)
    total: int
    known: NDArray[np.bool_]  # (N,)
    constant: Array
    fingerprint: str
    weights: Array  # (B, D)
    sizes: Array = field(init=False)  # (D,) utterances

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", np.bincount(self.dialogue[self.known], minlength=self.total).astype(np.float64))

    @property
    def labels(self) -> Labels:
        return self.test.corpus.utterances.labels[self.target.name]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) dialogues of what is scored."""
        return self.dialogue[self.known]

    def sweep(self, trained: TrainedRecognizer, logits: NDArray[np.float32]) -> Sweep:
        sums = np.zeros((len(self.conditions), self.total, width(self.target)))
        for index, one in enumerate(logits):
            sums[index] = count(self.target, one, self.labels, self.dialogue, self.total).values
        name = self.test.corpus.name
        return Sweep(
            name, trained.label, trained.seed, self.target, self.conditions, sums, self.constant, self.fingerprint
        )


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
    frames = _frames(recognizers[0], tests, plans, training_labels, config)
    sweeps: dict[str, list[Sweep]] = {name: [] for name in names}
    recognised = {(f.test.name, label): Recognised.of(f.test.corpus, f.target) for f in frames for label in _labels(recognizers)}
    told: dict[tuple[str, str, str], list[tuple[Array, Array]]] = {}
    for trained in recognizers:
        found: dict[object, NDArray[np.float32]] = {}
        own: dict[str, NDArray[np.float32]] = {}
        for frame in frames:
            trained.check_unseen(frame.test.corpus)
            if target_of(trained, frame.test.corpus) != frame.target:
                raise ConfigError(f"'{trained.label}' was trained for another target than '{frame.target.name}'")
            if frame.test.seen not in found:
                found[frame.test.seen] = answers(
                    trained, frame.test.corpus, plans, frame.test.corruption,
                    seed=config.seed, batch_size=config.batch_size, device=device,
                )  # fmt: skip
            logits = found[frame.test.seen]
            sweeps[frame.test.name].append(frame.sweep(trained, logits))
            own[frame.test.name] = logits[:, frame.known]
            recognised[frame.test.name, trained.label].add(logits)
        for key, value in _told_apart(frames, own).items():
            told.setdefault((key[0], trained.label, key[1]), []).append(value)
    drawn = {
        f.test.name: bootstrap(sweeps[f.test.name], config.replicates, config.seed, weights=f.weights) for f in frames
    }
    return ShiftTables(
        summary=with_test({name: summarise(d, config.level) for name, d in drawn.items()}),
        areas=with_test({name: areas(d, config.level) for name, d in drawn.items()}),
        gaps=gaps(drawn, IID, config.level),
        groups=_groups(frames, recognised, drawn, config),
        detection=_detection(frames, told, drawn, config),
    )


def _labels(recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    return list(dict.fromkeys(r.label for r in recognizers))


def _frames(
    first: TrainedRecognizer,
    tests: Sequence[ShiftTest],
    plans: Sequence[MaskPlan],
    training_labels: Labels,
    config: ShiftConfig,
) -> list[_Frame]:
    target = first.schema.target
    for test in tests:
        target_of(first, test.corpus)
        if test.corruption is not None:
            test.corruption.check(test.corpus)
    weights = drawn_together({t.name: dialogue_rows(t.corpus, target) for t in tests}, config.replicates, config.seed)
    frames = []
    for test in tests:
        layout, labels = Layout.of(test.corpus), test.corpus.utterances.labels[target.name]
        conditions = tuple(condition_of(plan, plan.over(layout).measured()) for plan in plans)
        dialogue, total = groups_of(test.corpus, target, MOST_GROUPS)
        constant = constant_counts(target, training_labels, labels, dialogue, total).values
        known = labelled(target, labels)
        marked = fingerprint_of(test.corpus, dialogue, labels)
        frames.append(_Frame(test, target, conditions, dialogue, total, known, constant, marked, weights[test.name]))
    return frames


def _told_apart(frames: Sequence[_Frame], logits: dict[str, NDArray[np.float32]]) -> dict[tuple[str, str], tuple[Array, Array]]:
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
    frames: Sequence[_Frame],
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
            own = [p for p, c in enumerate(frame.conditions) if (c.pattern, c.setting, c.rate) == (at.pattern, at.setting, at.rate)]
            fewest = min(drawn[IID].dialogues, drawn[test].dialogues)
            low, high = interval(pooled[:, own].mean(axis=1), config.level, fewest)
            row: dict[str, object] = {"test": test, "model": label, "pattern": at.pattern, "setting": at.setting, "rate": at.rate}
            row |= {"score": score, "auroc": float(points[:, own].mean()), "low": float(low), "high": float(high)}
            row |= {"n_iid": drawn[IID].utterances, "n": drawn[test].utterances, "seeds": len(seeds)}
            rows.append(row)
    return pd.DataFrame(rows, columns=DETECTION)


def _groups(
    frames: Sequence[_Frame],
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
