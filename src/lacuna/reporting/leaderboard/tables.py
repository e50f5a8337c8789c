"""Tables of the leaderboard over several corpora: scores, average ranks and pairwise tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.evaluation.ranks import Standing, average_ranks, friedman, indistinct_runs, paired_tests
from lacuna.metrics.counts import Array
from lacuna.reporting.core.frames import records
from lacuna.reporting.core.table import Table, Value, escape_markdown, marked, slug, to_markdown
from lacuna.reporting.core.words import baseline_label, listing, measure_label, metric_label, number, panel_label
from lacuna.reporting.robustness.facts import MIN_DIALOGUES
from lacuna.reporting.robustness.results import MISUSE

ALPHA = 0.05
TRIALS = "Trials: settings that were compared on validation; 1 = the model's own alone."
FEW = 5  # with fewer corpora than this, ranks carry little


@dataclass(frozen=True)
class Board:
    """One corpus on the page.

    Attributes:
        standing: scores of every model.
        seeds: training seeds by model.
        references: models that are shown but not ranked.
        utterances: number of labelled test utterances.
        data: identity of the test utterances; two boards with the same identity count once for the ranks.
        unfinished: ``variant, seed`` of cells that are not finished.
        trials: settings that were compared on validation, by model; 1 = its own alone.
    """

    standing: Standing
    seeds: Mapping[str, int]
    references: tuple[str, ...]
    utterances: int
    data: str
    unfinished: tuple[str, ...] = ()
    trials: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the corpus, or of the contest on it."""
        return self.standing.corpus

    @property
    def few_dialogues(self) -> bool:
        """Return whether there are fewer than :data:`MIN_DIALOGUES` test dialogues, so that no interval is shown."""
        return self.standing.dialogues < MIN_DIALOGUES

    def interval(self, draws: Array) -> tuple[Array, Array]:
        """Return the ends of the interval of replicates (B, ...), NaN with few dialogues."""
        low, high = self.standing.interval(draws)
        return (low * np.nan, high * np.nan) if self.few_dialogues else (low, high)

    @property
    def order(self) -> list[str]:
        """Return the models, best first; references last."""
        one = self.standing
        sign = -1 if one.higher else 1
        keyed = {m: (m in self.references, sign * float(v), m) for m, v in zip(one.models, one.scores, strict=True)}
        return sorted(one.models, key=keyed.__getitem__)

    @property
    def below(self) -> list[str]:
        """Return the models whose mean is not better than the baseline."""
        one = self.standing
        gains = (one.scores - one.baseline) * (1 if one.higher else -1)
        gain_of = dict(zip(one.models, gains.tolist(), strict=True))
        return [m for m in self.order if m not in self.references and gain_of[m] <= 0]


@dataclass(frozen=True)
class Leaderboard:
    """Content of the leaderboard; it does not depend on when, where or in which order cells were run.

    Attributes:
        name: name of the grid.
        boards: one per corpus.
        reports: relative link to the full report, by board.
        missing: contests that could not be added, with the reason.
        remarks: what a reader must know of the data, one sentence each.
    """

    name: str
    boards: tuple[Board, ...]
    reports: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.boards:
            raise DataError("a leaderboard needs at least one corpus", hint="name an environment")

    @cached_property
    def counted(self) -> tuple[Board, ...]:
        """Return the boards that count for the ranks: each corpus once."""
        first: dict[str, Board] = {}
        for board in self.boards:
            first.setdefault(board.data, board)
        return tuple(first.values())

    @cached_property
    def models(self) -> list[str]:
        """Return the models measured on every counted corpus, in the order of the first one, without references."""
        references = {r for b in self.boards for r in b.references}
        common = set.intersection(*(set(b.standing.models) for b in self.counted)) - references
        return [m for m in self.counted[0].standing.models if m in common]

    @cached_property
    def left_out(self) -> list[str]:
        """Return the models that were not measured on every counted corpus."""
        every = dict.fromkeys(m for b in self.boards for m in b.standing.models if m not in b.references)
        return [m for m in every if m not in self.models]

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Return the table of :func:`lacuna.evaluation.ranks.average_ranks`."""
        return average_ranks([b.standing for b in self.counted], self.models)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Return the pairwise tests of the ranked models, in the order of the ranks."""
        return paired_tests([b.standing for b in self.counted], list(self.ranks["model"]))

    @cached_property
    def groups(self) -> list[list[str]]:
        """Return groups of neighbours in the ranking without a significant difference."""
        order = list(self.ranks["model"])
        return [order[first : last + 1] for first, last in indistinct_runs(order, self.pairs, ALPHA)]

    @cached_property
    def tied_with_leader(self) -> list[str]:
        """Return the models that do not differ significantly from the first, in the order of the ranks."""
        order = list(self.ranks["model"])
        not_different = self.pairs[(self.pairs["model_a"] == order[0]) & ~(self.pairs["p_holm"] < ALPHA)]
        return [m for m in order if m in set(not_different["model_b"])]

    @property
    def sentences(self) -> list[str]:
        """Return the findings; the first one is the headline."""
        lines, k = [], len(self.counted)
        if len(self.models) > 1:
            top = records(self.ranks)[0]
            over = f"average rank over {k} corpora" if k > 1 else f"rank on {self.counted[0].name}"
            tied, tests = self.tied_with_leader, f"paired tests, Holm-corrected, level {ALPHA:.0%}"
            place = f"{top.model} has the best {over}, {_rank(top)} of {len(self.models)} models"
            if tied:
                lines.append(
                    f"No single best model: no significant difference between {listing([top.model, *tied], 40)} ({tests})."
                )
                lines.append(f"{place}.")
            else:
                lines.append(f"{place}, and differs significantly from every other model ({tests}).")
        if k > 1 and len(self.models) > 1:
            columns = [f"rank:{b.name}" for b in self.counted]
            statistic, p = friedman(self.ranks[columns].to_numpy(dtype=float).T)
            agree = "agree" if p < ALPHA else "do not agree"
            lines.append(
                f"The ranks {agree} over corpora more than expected by chance: Friedman's statistic {number(statistic, 2)}, "
                f"p {_p(p)} by permutation."
            )
        if k < FEW:
            corpora, these = ("one corpus", "this corpus") if k == 1 else (f"{k} corpora", "these corpora")
            lines.append(f"Fewer than {FEW} corpora: ranks and tests over {corpora} describe {these} only.")
        return lines + self._notes()

    def _notes(self) -> list[str]:
        lines = list(self.remarks)
        for board in self.boards:
            if below := board.below:
                lines.append(
                    f"On {board.name} not better than the {baseline_label(board.standing.metric)}: {listing(below, 40)}."
                )
        for board in self.boards:
            other = next(b for b in self.counted if b.data == board.data)
            if other is not board:
                lines.append(
                    f"{board.name} has the test utterances of {other.name}: it is shown but does not count for the ranks."
                )
            if board.few_dialogues:
                reason = f"fewer than {MIN_DIALOGUES}: no intervals are shown, and paired tests are not reliable"
                lines.append(f"{board.name} has {board.standing.dialogues} test dialogues, {reason}.")
            if board.unfinished:
                lines.append(f"{board.name} is not finished: every number lacks {listing(list(board.unfinished), 8)}.")
        lines += [f"{name} is missing from this page: {reason.splitlines()[0]}." for name, reason in self.missing.items()]
        if self.left_out:
            lines.append(f"Not ranked because not measured on every corpus: {listing(self.left_out, 40)}.")
        return lines

    def rank_table(self) -> Table:
        """Return the average rank and the rank on every corpus."""
        rows = [(r.model, Value(r.rank, r.low, r.high), *(Value(v) for v in r[4:])) for r in records(self.ranks)]
        heads = ("Model", "Average rank", *(b.name for b in self.counted))
        note = "1 is best. In brackets: intervals over test dialogues and training seeds of these corpora."
        return Table("ranks", "average ranks", "Ranks by the mean area under the curve", heads, _cells(rows), note, digits=2)

    def pair_table(self) -> Table:
        """Return the tests of every pair of ranked models."""
        rows = [
            (r.model_a, r.model_b, f"{r.wins} of {r.corpora}", Value(r.z), _p(r.p_value), _p(r.p_holm))
            for r in records(self.pairs)
        ]
        heads = ("Model", "compared with", "Better on", "z", "p", "p, corrected")
        note = (
            "z: the paired difference in standard errors, combined over corpora (Stouffer); positive = the first is better. "
            "Corrected: for the number of pairs (Holm)."
        )
        return Table("pairs", "pairwise tests", "Paired tests over all corpora", heads, _cells(rows), note, digits=2, sign=True)

    def board_table(self, board: Board) -> Table:
        """Return the areas of every model on one corpus, and of the baseline."""
        one, order = board.standing, board.order
        at, ranked = [one.models.index(m) for m in order], [m not in board.references for m in order]
        low, high = board.interval(one.draws)  # (K, F)
        columns = [[Value(one.points[i, f], low[i, f], high[i, f]) for i in at] for f in range(len(one.panels))]
        heads = [panel_label(*panel) for panel in one.panels]
        if len(one.panels) > 1:
            low, high = board.interval(one.draws.mean(axis=2))
            columns.append([Value(one.scores[i], low[i], high[i]) for i in at])
            heads.append("mean of patterns")
        columns = [marked(column, higher=one.higher, ranked=ranked) for column in columns]
        names = [m if take else f"{m} (reference)" for m, take in zip(order, ranked, strict=True)]
        rows = [
            (name, *cells, str(board.trials.get(m, "")), str(board.seeds.get(m, "")))
            for name, m, cells in zip(names, order, zip(*columns, strict=True), strict=True)
        ]
        rows.append((baseline_label(one.metric), *(Value(one.baseline) for _ in columns), "", ""))
        measure = measure_label(one.measure)
        caption = f"{metric_label(one.metric)} on {board.name}: {measure}"
        direction = "Higher" if one.higher else "Lower"
        note = f"{board.utterances} test utterances. {direction} is better. In brackets: {one.level:.0%} intervals. {TRIALS}"
        return Table(slug(f"board-{board.name}"), board.name, caption, ("Model", *heads, "Trials", "Seeds"), _cells(rows), note)


def leaderboard_markdown(page: Leaderboard) -> str:
    """Return the leaderboard as Markdown, byte-identical for the same cells."""
    lines = [f"# Leaderboard: {escape_markdown(page.name)}", ""]
    lines += [f"- {escape_markdown(s)}" for s in page.sentences] + [""]
    if len(page.models) > 1:
        lines += ["## Average ranks", "", page.rank_table().note, "", to_markdown(page.rank_table())]
        lines += [f"- No significant difference: {escape_markdown(', '.join(group))}" for group in page.groups]
        lines += [""] if page.groups else []
    lines += ["## By corpus", "", "Bold: best mean of the column. Italics: the interval contains the best mean.", ""]
    for board in page.boards:
        table = page.board_table(board)
        lines += [f"**{escape_markdown(table.caption)}.** {table.note}", "", to_markdown(table)]
    if len(page.models) > 1:
        lines += ["## Pairwise tests", "", page.pair_table().note, "", to_markdown(page.pair_table())]
    lines += ["## Limits", "", *(f"- {line}" for line in LIMITS), "", MISUSE, ""]
    return "\n".join(lines)


LIMITS = (
    "Every number was measured on a test split; weights and settings were selected on validation.",
    "The missing data are simulated. Data that a corpus lacks by itself are missing in every condition.",
    "A rank does not show the size of a difference: compare the areas and their intervals.",
    "Models follow their publications only where their documentation says so; other settings may change a rank.",
)


def _cells(rows: Sequence[tuple[str | Value, ...]]) -> tuple[tuple[str | Value, ...], ...]:
    return tuple(rows)


def _rank(row: object) -> str:
    rank, low, high = (float(getattr(row, name)) for name in ("rank", "low", "high"))
    return number(rank, 2) + (f" ({number(low, 2)} to {number(high, 2)})" if np.isfinite(low) else "")


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
