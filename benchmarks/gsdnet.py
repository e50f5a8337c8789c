"""What noise leaves of a conversation graph, on the eigenvalues or on the whole adjacency; prints Markdown, draws one figure.

Both kinds are compared at equal energy. Steps of the sampler are compared by ``benchmarks/steps.py``.
Usage: ``python benchmarks/gsdnet.py noise [--figure FILE.svg]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.semantic import AdjacencyState, EigenvalueState, Structure, survival
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness
from machine import machine
from plain_svg import Panel, draw

SIZES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of the noise, in units of the graph's largest eigenvalue
TURNS, RANK, DRAWS = 40, 8, 20


def structure() -> Structure:
    """The graph of one dialogue of two speakers who take turns."""
    sizes = torch.tensor([TURNS])
    dialogues = Dialogues(torch.zeros(TURNS, dtype=torch.int64), torch.arange(TURNS), sizes)
    near, speaker = graph.temporal(dialogues, 2, 2), torch.arange(TURNS) % 2
    weight = closeness(near, dialogues) * torch.where(speaker[near.source] == speaker[near.target], 1.0, 0.5)
    dense = adjacency(near, dialogues, weight)
    return Structure(dense, Decomposition()(dense, sizes), sizes)


def survivals() -> dict[str, np.ndarray]:
    """By kind of noise (sizes, 2): overlap of the leading eigenvectors, and weight outside the graph's edges."""
    clean = structure()
    found = {}
    for name, kind in (("eigenvalues", EigenvalueState(1)), ("whole adjacency", AdjacencyState(1))):
        rows = []
        for size in SIZES:
            noise = [size * kind.draw(clean, torch.tensor([key]), 0, "noise") for key in range(DRAWS)]
            kept = [survival(clean.dense[0], kind.operator(clean, x)[0, 0], RANK) for x in noise]
            rows.append([np.mean([k.overlap for k in kept]), np.mean([k.outside for k in kept])])
        found[name] = np.array(rows)
    return found


def noise_table(found: dict[str, np.ndarray]) -> list[str]:
    """Both measures for both kinds of noise."""
    heads = [f"{what}, noise on {name}" for what in ("overlap", "outside") for name in found]
    lines = [f"| size of noise | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for row, size in enumerate(SIZES):
        cells = [f"{values[row, column]:.3f}" for column in (0, 1) for values in found.values()]
        lines.append(f"| {size:g} | {' | '.join(cells)} |")
    return lines


def panels(found: dict[str, np.ndarray]) -> list[Panel]:
    """Both measures over the size of the noise."""
    titles = ("overlap of the leading eigenvectors", "weight outside the graph's edges")
    return [
        Panel(
            title,
            "size of the noise",
            SIZES[::3],
            (0.0, 0.5, 1.0),
            {name: list(zip(SIZES, values[:, column], strict=True)) for name, values in found.items()},
        )
        for column, title in enumerate(titles)
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["noise"])
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"`python benchmarks/gsdnet.py noise`; {machine()}.\n")
    found = survivals()
    print("\n".join(noise_table(found)))
    if given.figure:
        draw(panels(found), given.figure, "noise on {}")


if __name__ == "__main__":
    main()
