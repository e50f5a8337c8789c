"""Write the table of published figures beside ours into docs/explanation/headlines.md.

    python experiments/leaderboard/headlines.py

The systems are those of the registry that have a paper. What their publications say is in ``headlines.csv``; our figures are from
``board-<corpus>.csv``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lacuna.models import model_table

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "headlines.md"
BEGIN, END = "<!-- headlines:begin -->\n", "<!-- headlines:end -->"
COLUMN = "whole modalities (rmm)"


def board_figure(corpus: str, model: str) -> str:
    """Return weighted F1 with its interval, or ``none`` if the leaderboard has no such model."""
    board = pd.read_csv(HERE / f"board-{corpus}.csv").set_index("Model")
    if model not in board.index:
        return "none"
    mean, low, high = (board.loc[model, f"{COLUMN}{part}"] for part in ("", " low", " high"))
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def headlines_table() -> str:
    """Return the table as Markdown, one row for each system with a paper.

    Raises:
        KeyError: ``headlines.csv`` lacks a system.
    """
    facts = pd.read_csv(HERE / "headlines.csv", keep_default_na=False).set_index("model")
    models = model_table()
    models = models[models["paper"] != ""]
    lines = ["| system | published | its setting | IEMOCAP here | MOSI here | comparable |", "|---|---|---|---|---|---|"]
    for name, paper in zip(models["name"], models["paper"], strict=True):
        fact = facts.loc[name]
        published = fact["published"] + (f" ({fact['source']})" if fact["source"] else "")
        ours = " | ".join(board_figure(corpus, name) for corpus in ("iemocap", "mosi"))
        lines.append(f"| [`{name}`]({paper}) | {published} | {fact['theirs']} | {ours} | {fact['compared']}: {fact['reason']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replace the table of the page."""
    text = PAGE.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(before + BEGIN + headlines_table() + END + after, "utf-8")


if __name__ == "__main__":
    main()
