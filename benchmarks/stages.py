"""Learning curves of some labels of a run side by side, from its history; prints Markdown and may draw them.

Made for RoHyDR with stages against the same losses in one sum; any labels will do. The metric is the one of validation, under the
masks that choose the weights.
Usage: ``kedro run --env ENV && python benchmarks/stages.py --env ENV --labels rohydr rohydr_summed [--figure FILE.svg]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lacuna.reporting import long_history
from plain_svg import Panel, draw, ticks

SHOWN = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200)  # epochs, from 1


def curves(history: pd.DataFrame, labels: Sequence[str]) -> tuple[str, pd.DataFrame]:
    """The validation metric, and its mean, sd and number of seeds by label and epoch (from 1)."""
    table = long_history(history) if "value" not in history.columns else history
    metric = str(table["metric"].iloc[0])
    own = table[(table["metric"] == metric) & table["model"].isin(labels)]
    found = own.groupby(["model", "epoch"])["value"].agg(["mean", "std", "count"]).reset_index()
    return metric, found.assign(epoch=found["epoch"] + 1)


def curve_table(metric: str, found: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """One row an epoch."""
    lines = [f"| epoch | {' | '.join(f'{label}, {metric} (sd; seeds)' for label in labels)} |", "|---" * (1 + len(labels)) + "|"]
    last = int(found["epoch"].max())
    by = found.set_index(["model", "epoch"])
    for epoch in sorted({e for e in SHOWN if e < last} | {last}):
        cells = []
        for label in labels:
            row = by.loc[(label, epoch)] if (label, epoch) in by.index else None
            spread = "" if row is None or pd.isna(row["std"]) else f"{row['std']:.3f}; "
            cells.append("" if row is None else f"{row['mean']:.3f} ({spread}{int(row['count'])})")
        lines.append(f"| {epoch} | {' | '.join(cells)} |")
    return lines


def best_table(metric: str, history: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Of each label the best value of a seed, and when it was reached."""
    table = long_history(history) if "value" not in history.columns else history
    own = table[(table["metric"] == metric) & table["model"].isin(labels)].reset_index(drop=True)
    best = own.loc[own.groupby(["model", "seed"])["value"].idxmax()]
    lines = [f"| label | seeds | best {metric}, mean (sd) | its epoch, mean |", "|---|---|---|---|"]
    for label in labels:
        mine = best[best["model"] == label]
        sd = f" ({mine['value'].std():.3f})" if len(mine) > 1 else ""
        lines.append(f"| {label} | {len(mine)} | {mine['value'].mean():.3f}{sd} | {mine['epoch'].mean() + 1:.1f} |")
    return lines


def curve_panel(metric: str, found: pd.DataFrame, labels: Sequence[str]) -> Panel:
    """Means as lines, one standard deviation around them as bands."""
    sd = found["std"].fillna(0)
    low, high = float((found["mean"] - sd).min()), float((found["mean"] + sd).max())
    lines, bands = {}, {}
    for label in labels:
        mine = found[found["model"] == label]
        rows = mine[["epoch", "mean", "std"]].fillna(0.0).to_numpy(float).tolist()
        lines[label] = [(e, m) for e, m, _ in rows]
        bands[label] = [(e, m - s) for e, m, s in rows], [(e, m + s) for e, m, s in rows]
    return Panel(f"{metric} on validation", "epoch", ticks(0, float(found["epoch"].max())), ticks(low, high), lines, bands)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", required=True, help="environment whose history is read")
    parser.add_argument("--labels", nargs="+", required=True)
    parser.add_argument("--history", type=Path, help="default: data/07_model_output/ENV/history.parquet")
    parser.add_argument("--figure", type=Path, help="an SVG file to draw")
    given = parser.parse_args()
    history = pd.read_parquet(given.history or Path(f"data/07_model_output/{given.env}/history.parquet"))
    known = sorted(map(str, history["model"].unique()))
    if wrong := [label for label in given.labels if label not in known]:
        parser.error(f"--labels: {wrong[0]!r} is not in the history; there are: {', '.join(known)}")
    metric, found = curves(history, given.labels)
    print(f"`python benchmarks/stages.py --env {given.env} --labels {' '.join(given.labels)}`; mean over training seeds.\n")
    print("\n".join([*curve_table(metric, found, given.labels), "", *best_table(metric, history, given.labels)]))
    if given.figure:
        draw([curve_panel(metric, found, given.labels)], given.figure)


if __name__ == "__main__":
    main()
