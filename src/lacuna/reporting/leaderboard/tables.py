"""One page over several corpora: who holds up where, average ranks, and who can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from lacuna.errors import DataError
from lacuna.evaluation.ranks import Standing, average_ranks, friedman, indistinct_runs, paired_tests
from lacuna.reporting.core.frames import records
from lacuna.reporting.core.table import Table, Value, escape_markdown, marked, slug, to_markdown
from lacuna.reporting.core.words import CONSTANT, listing, measure_label, metric_label, number, panel_label
from lacuna.reporting.robustness.results import MISUSE

ALPHA = 0.05
FEW = 5  # with fewer corpora than this, ranks carry little


@dataclass(frozen=True)
class Board:
    """One corpus on the page.

    Attributes:
        standing: what every model reached.
        seeds: training seeds by model.
        references: models that are shown and never ranked.
        utterances: labelled test utterances.
        data: of which corpus; two boards of the same test utterances are one corpus for the ranks.
        unfinished: ``label, seed`` of cells that are not done.
    """

    standing: Standing
    seeds: Mapping[str, int]
    references: tuple[str, ...]
    utterances: int
    data: str
    unfinished: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the corpus, or of the contest on it."""
        return self.standing.corpus

    @property
    def order(self) -> list[str]:
        """Models, best first; references last."""
        one = self.standing
        sign = -1 if one.higher else 1
        keyed = {m: (m in self.references, sign * float(v), m) for m, v in zip(one.models, one.scores, strict=True)}
        return sorted(one.models, key=keyed.__getitem__)

    @property
    def below(self) -> list[str]:
        """Models whose mean is not better than the constant answer's."""
        one = self.standing
        lead = (one.scores - one.baseline) * (1 if one.higher else -1)
        ahead = dict(zip(one.models, lead.tolist(), strict=True))
        return [m for m in self.order if m not in self.references and ahead[m] <= 0]


@dataclass(frozen=True)
class Leaderboard:
    """Everything that the page says; nothing in it depends on when, where or in which order cells were run.

    Attributes:
        name: of the grid.
        boards: one a corpus.
        reports: relative address of the full report by board, for links.
        missing: contests that belong on the page and could not be put there, with the reason.
    """

    name: str
    boards: tuple[Board, ...]
    reports: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.boards:
            raise DataError("a leaderboard needs at least one corpus", hint="name an environment")

    @cached_property
    def counted(self) -> tuple[Board, ...]:
        """The boards that count for the ranks: each corpus once."""
        first: dict[str, Board] = {}
        for board in self.boards:
            first.setdefault(board.data, board)
        return tuple(first.values())

    @cached_property
    def models(self) -> list[str]:
        """Models that are on every corpus that counts, in order of the first one, without references."""
        references = {r for b in self.boards for r in b.references}
        common = set.intersection(*(set(b.standing.models) for b in self.counted)) - references
        return [m for m in self.counted[0].standing.models if m in common]

    @cached_property
    def left_out(self) -> list[str]:
        """Models that miss on a corpus that counts, or stand only where the corpus is one that counts already."""
        every = dict.fromkeys(m for b in self.boards for m in b.standing.models if m not in b.references)
        return [m for m in every if m not in self.models]

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Of :func:`lacuna.evaluation.ranks.average_ranks`."""
        return average_ranks([b.standing for b in self.counted], self.models)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Of :func:`lacuna.evaluation.ranks.paired_tests`, in the order of the ranks."""
        return paired_tests([b.standing for b in self.counted], list(self.ranks["model"]))

    @cached_property
    def groups(self) -> list[list[str]]:
        """Neighbours in the ranking that cannot be told apart."""
        order = list(self.ranks["model"])
        return [order[first : last + 1] for first, last in indistinct_runs(order, self.pairs, ALPHA)]

    @cached_property
    def level_with_leader(self) -> list[str]:
        """Models whose own paired test does not tell them apart from the first, neighbours or not; in the order of the ranks."""
        order = list(self.ranks["model"])
        alike = self.pairs[(self.pairs["model_a"] == order[0]) & ~(self.pairs["p_holm"] < ALPHA)]
        return [m for m in order if m in set(alike["model_b"])]

    @property
    def sentences(self) -> list[str]:
        """What the page says first."""
        said, k = [], len(self.counted)
        if len(self.models) > 1:
            top = records(self.ranks)[0]
            over = f"average rank over {k} corpora" if k > 1 else f"rank on {self.counted[0].name}"
            said.append(f"{top.model} leads: {over} {_rank(top)} of {len(self.models)} models.")
            tests, others = f"Paired tests (Holm-corrected, level {ALPHA:.0%})", self.level_with_leader
            apart = "tell it apart from every other model"
            said.append(f"{tests} do not tell {listing(others, 40)} apart from it." if others else f"{tests} {apart}.")
        if k > 1 and len(self.models) > 1:
            columns = [f"rank:{b.name}" for b in self.counted]
            statistic, p = friedman(self.ranks[columns].to_numpy(dtype=float).T)
            agree = "agree more than by chance" if p < ALPHA else "do not agree more than chance would make them"
            said.append(f"Over corpora the ranks {agree}: Friedman's statistic {number(statistic, 2)}, p {_p(p)} by permutation.")
        if k < FEW:
            what = "one corpus" if k == 1 else f"{k} corpora"
            said.append(
                f"Ranks over {what} carry little: they and the tests speak of {'this corpus' if k == 1 else 'these corpora'}, "
                "not of others."
            )
        return said + self._notes()

    def _notes(self) -> list[str]:
        said = []
        for board in self.boards:
            if below := board.below:
                said.append(f"On {board.name} not above the {CONSTANT}: {listing(below, 40)}.")
        for board in self.boards:
            other = next(b for b in self.counted if b.data == board.data)
            if other is not board:
                said.append(f"{board.name} has the test utterances of {other.name}: it is shown, and counts for no rank.")
            if board.unfinished:
                said.append(f"{board.name} is not finished: {listing(list(board.unfinished), 8)} are missing from every number.")
        said += [f"{name} is missing from this page: {reason.splitlines()[0]}." for name, reason in self.missing.items()]
        if self.left_out:
            said.append(f"Not ranked, for they were not measured on every corpus: {listing(self.left_out, 40)}.")
        return said

    def rank_table(self) -> Table:
        """Average rank and the rank on every corpus."""
        rows = [(r.model, Value(r.rank, r.low, r.high), *(Value(v) for v in r[4:])) for r in records(self.ranks)]
        heads = ("Model", "Average rank", *(b.name for b in self.counted))
        note = "1 is best. In brackets: intervals over test dialogues and training seeds of these corpora."
        return Table("ranks", "average ranks", "Ranks by the mean area under the curve", heads, _cells(rows), note, digits=2)

    def pair_table(self) -> Table:
        """Every pair of ranked models."""
        rows = [
            (r.model_a, r.model_b, f"{r.wins} of {r.corpora}", Value(r.z), _p(r.p_value), _p(r.p_holm))
            for r in records(self.pairs)
        ]
        heads = ("Model", "compared with", "Ahead on", "z", "p", "p, corrected")
        note = (
            "z: the paired difference in standard errors, added up over corpora; positive = the first is better. Corrected: for "
            "the number of pairs, after Holm."
        )
        return Table("pairs", "pairs", "Paired tests over all corpora", heads, _cells(rows), note, digits=2, sign=True)

    def board_table(self, board: Board) -> Table:
        """Areas of every model on one corpus, and of the constant answer."""
        one, order = board.standing, board.order
        at, ranked = [one.models.index(m) for m in order], [m not in board.references for m in order]
        low, high = one.interval(one.draws)  # (K, F)
        columns = [[Value(one.points[i, f], low[i, f], high[i, f]) for i in at] for f in range(len(one.panels))]
        heads = [panel_label(*panel) for panel in one.panels]
        if len(one.panels) > 1:
            low, high = one.interval(one.draws.mean(axis=2))
            columns.append([Value(one.scores[i], low[i], high[i]) for i in at])
            heads.append("mean of patterns")
        columns = [marked(column, higher=one.higher, ranked=ranked) for column in columns]
        names = [m if take else f"{m} (reference)" for m, take in zip(order, ranked, strict=True)]
        rows = [
            (name, *cells, str(board.seeds.get(m, "")) if m in board.seeds else "")
            for name, m, cells in zip(names, order, zip(*columns, strict=True), strict=True)
        ]
        rows.append((CONSTANT, *(Value(one.baseline) for _ in columns), ""))
        measure = measure_label(one.measure)
        caption = f"{metric_label(one.metric)} on {board.name}: {measure}"
        direction = "Higher" if one.higher else "Lower"
        note = f"{board.utterances} test utterances. {direction} is better. In brackets: {one.level:.0%} intervals."
        return Table(slug(f"board-{board.name}"), board.name, caption, ("Model", *heads, "Seeds"), _cells(rows), note)


def leaderboard_markdown(page: Leaderboard) -> str:
    """The page as Markdown: the same text for the same cells, byte for byte."""
    lines = [f"# Leaderboard: {escape_markdown(page.name)}", ""]
    lines += [f"- {escape_markdown(s)}" for s in page.sentences] + [""]
    if len(page.models) > 1:
        lines += ["## Average ranks", "", page.rank_table().note, "", to_markdown(page.rank_table())]
        lines += [f"- Not told apart: {escape_markdown(', '.join(group))}" for group in page.groups]
        lines += [""] if page.groups else []
    lines += ["## By corpus", "", "Bold: best mean of the column. Italics: the interval contains the best mean.", ""]
    for board in page.boards:
        table = page.board_table(board)
        lines += [f"**{escape_markdown(table.caption)}.** {table.note}", "", to_markdown(table)]
    if len(page.models) > 1:
        lines += ["## Pairs", "", page.pair_table().note, "", to_markdown(page.pair_table())]
    lines += ["## Limits", "", *(f"- {line}" for line in LIMITS), "", MISUSE, ""]
    return "\n".join(lines)


LIMITS = (
    "Every number was measured on a test split; weights and settings were selected on validation.",
    "The missing data are simulated; corpora in which something is really missing miss it in every condition.",
    "A rank throws away by how much: read it beside the areas and their intervals.",
    "Models are as published only where their pages say so; another setting may change a rank.",
)


def _cells(rows: Sequence[tuple[str | Value, ...]]) -> tuple[tuple[str | Value, ...], ...]:
    return tuple(rows)


def _rank(row: object) -> str:
    rank, low, high = (float(getattr(row, name)) for name in ("rank", "low", "high"))
    return number(rank, 2) + (f" ({number(low, 2)} to {number(high, 2)})" if np.isfinite(low) else "")


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
