"""Learning curves of some variants of an experiment, from its history; prints Markdown and may draw a figure.

Made for RoHyDR with stages against the same losses in one sum; any variants can be compared. The metric is the validation metric,
under the masks that select the weights.
Usage: ``lacuna bench experiments/STUDY``, then
``python benchmarks/stages.py experiments/STUDY --variants rohydr rohydr_summed [--figure FILE.svg]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lacuna.pipelines.environments import project_of
from lacuna.pipelines.experiments import finished
from lacuna.reporting import long_history
from plain_svg import Panel, draw, ticks

SHOWN = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200)  # epochs, from 1


def curves(history: pd.DataFrame, variants: Sequence[str]) -> tuple[str, pd.DataFrame]:
    """Return the validation metric's name, and its mean, sd and number of seeds by variant and epoch (from 1)."""
    table = long_history(history) if "value" not in history.columns else history
    metric = str(table["metric"].iloc[0])
    own = table[(table["metric"] == metric) & table["model"].isin(variants)]
    found = own.groupby(["model", "epoch"])["value"].agg(["mean", "std", "count"]).reset_index()
    return metric, found.assign(epoch=found["epoch"] + 1)


def curve_table(metric: str, found: pd.DataFrame, variants: Sequence[str]) -> list[str]:
    """Return a Markdown table with one row an epoch."""
    titles = [f"{variant}, {metric} (sd; seeds)" for variant in variants]
    lines = [f"| epoch | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    last = int(found["epoch"].max())
    by = found.set_index(["model", "epoch"])
    for epoch in sorted({e for e in SHOWN if e < last} | {last}):
        cells = []
        for variant in variants:
            row = by.loc[(variant, epoch)] if (variant, epoch) in by.index else None
            spread = "" if row is None or pd.isna(row["std"]) else f"{row['std']:.3f}; "
            cells.append("" if row is None else f"{row['mean']:.3f} ({spread}{int(row['count'])})")
        lines.append(f"| {epoch} | {' | '.join(cells)} |")
    return lines


def best_table(metric: str, history: pd.DataFrame, variants: Sequence[str]) -> list[str]:
    """Return a Markdown table of the best value of each variant, mean over seeds, and its epoch."""
    table = long_history(history) if "value" not in history.columns else history
    own = table[(table["metric"] == metric) & table["model"].isin(variants)].reset_index(drop=True)
    best = own.loc[own.groupby(["model", "seed"])["value"].idxmax()]
    lines = [f"| variant | seeds | best {metric}, mean (sd) | its epoch, mean |", "|---|---|---|---|"]
    for variant in variants:
        mine = best[best["model"] == variant]
        sd = f" ({mine['value'].std():.3f})" if len(mine) > 1 else ""
        lines.append(f"| {variant} | {len(mine)} | {mine['value'].mean():.3f}{sd} | {mine['epoch'].mean() + 1:.1f} |")
    return lines


def curve_panel(metric: str, found: pd.DataFrame, variants: Sequence[str]) -> Panel:
    """Means as lines, one standard deviation around them as bands."""
    sd = found["std"].fillna(0)
    low, high = float((found["mean"] - sd).min()), float((found["mean"] + sd).max())
    lines, bands = {}, {}
    for variant in variants:
        mine = found[found["model"] == variant]
        rows = mine[["epoch", "mean", "std"]].fillna(0.0).to_numpy(float).tolist()
        lines[variant] = [(e, m) for e, m, _ in rows]
        bands[variant] = [(e, m - s) for e, m, s in rows], [(e, m + s) for e, m, s in rows]
    return Panel(f"{metric} on validation", "epoch", ticks(0, float(found["epoch"].max())), ticks(low, high), lines, bands)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of the experiment")
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--figure", type=Path, help="an SVG file to draw")
    given = parser.parse_args()
    history = finished(given.study, project_of(Path.cwd()))[0].history
    known = sorted(map(str, history["model"].unique()))
    if wrong := [variant for variant in given.variants if variant not in known]:
        parser.error(f"--variants: {wrong[0]!r} is not in the history; there are: {', '.join(known)}")
    metric, found = curves(history, given.variants)
    print(f"`python benchmarks/stages.py {given.study} --variants {' '.join(given.variants)}`; mean over training seeds.\n")
    print("\n".join([*curve_table(metric, found, given.variants), "", *best_table(metric, history, given.variants)]))
    if given.figure:
        draw([curve_panel(metric, found, given.variants)], given.figure)


if __name__ == "__main__":
    main()
