"""From the cells of several contests to the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lacuna.bench.gathered import Gathered
from lacuna.evaluation import CEILINGS, bootstrap, primary
from lacuna.evaluation.ranks import standing
from lacuna.reporting.leaderboard.page import write_board
from lacuna.reporting.leaderboard.tables import Board, Leaderboard


def board_of(gathered: Gathered) -> Board:
    """Return the column of a contest on the leaderboard: the areas under the curve of the primary metric."""
    evaluation, metric = gathered.protocol.evaluation, primary(gathered.sweeps[0].target)
    drawn = bootstrap(gathered.sweeps, evaluation.replicates, evaluation.seed, [metric])
    seeds: dict[str, int] = {}
    for trained in gathered.recognizers:
        seeds[trained.variant] = seeds.get(trained.variant, 0) + 1
    constant = [trained.variant for trained in gathered.recognizers if trained.name == "prior"]
    return Board(
        standing=standing(drawn, metric, gathered.name, evaluation.level),
        seeds=seeds,
        trials={trained.variant: trained.selection.trials for trained in gathered.recognizers},
        references=tuple(dict.fromkeys([*constant, *(name for name in CEILINGS if name in drawn.models)])),
        utterances=drawn.utterances,
        data=gathered.sweeps[0].fingerprint,
        unfinished=gathered.unfinished,
    )


def write_leaderboard(
    folder: Path,
    name: str,
    contests: Sequence[Gathered],
    provenance: Mapping[str, object],
    reports: Mapping[str, str] | None = None,
    *,
    missing: Mapping[str, str] | None = None,
    remarks: Sequence[str] = (),
) -> Path:
    """Write the leaderboard of several contests.

    Args:
        folder: gets ``index.html``, ``leaderboard.md``, CSV tables and ``provenance.json``.
        name: of the study.
        contests: with at least one finished cell each, in the order of the page.
        provenance: command, commit and the like, by name.
        reports: relative address of the full report by contest.
        missing: contests that could not be read, with the reason; the page names them.
        remarks: what a reader must know of the data, one sentence each.

    Returns:
        Path of ``index.html``.
    """
    page = Leaderboard(name, tuple(board_of(g) for g in contests), reports or {}, missing or {}, tuple(remarks))
    return write_board(folder, page, provenance)
