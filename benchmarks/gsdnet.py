"""GSDNet by steps of its sampler, and what noise leaves of a conversation graph; prints Markdown, draws one figure.

``steps`` scores the recognisers of the environment ``mosi_graphs`` again, with the same weights and other numbers of steps;
``noise`` compares noise on the eigenvalues with noise on the whole adjacency at equal energy.
Usage: ``kedro run --env mosi_graphs && python benchmarks/gsdnet.py steps``, or
``python benchmarks/gsdnet.py noise [--figure FILE.svg]``.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lacuna.corpus import open_corpus
from lacuna.evaluation import areas, bootstrap, compare, score_recovery, sweep
from lacuna.evaluation.recovery import RecoveryConfig
from lacuna.missing import MaskPlan
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.semantic import AdjacencyState, EigenvalueState, Structure, survival
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness
from lacuna.training import TrainedRecognizer
from lacuna.training.trained import load_recognizers

STEPS = (1, 2, 5, 10, 20, 100)
SIZES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of the noise, in units of the graph's largest eigenvalue
TURNS, RANK, DRAWS = 40, 8, 20


def with_steps(trained: TrainedRecognizer, steps: int) -> TrainedRecognizer:
    """The same weights, sampled in another number of steps."""
    model = copy.deepcopy(trained.model)
    model.config = replace(model.config, steps=steps)
    return replace(trained, label=f"steps-{steps}", model=model)


def steps_table(recognizers: Sequence[TrainedRecognizer], folder: Path) -> list[str]:
    """Area under the curve by steps, the paired difference from the most, and the squared error of what is recovered."""
    corpus = open_corpus(folder)
    test, target = corpus.only("test"), recognizers[0].schema.target.name
    labels = corpus.only("train").utterances.labels[target]
    plans = [MaskPlan("rmm", rate / 10, seed) for rate in range(8) for seed in (0, 1, 2)]
    variants = [with_steps(t, steps) for steps in STEPS for t in recognizers]
    drawn = bootstrap([sweep(t, test, plans, training_labels=labels, name=t.label) for t in variants], 500, 0, ["weighted_f1"])
    area = areas(drawn)
    area = area[area["measure"] == "auilc"].set_index("model")
    pairs = compare(drawn, baseline=f"steps-{STEPS[-1]}")
    pairs = pairs[pairs["measure"] == "auilc"].set_index("model_a")
    found = score_recovery([t for t in variants if t.seed == 0], test, [MaskPlan("rmm", 0.5, 0)], RecoveryConfig(samples=2))
    error = found[(found["measure"] == "mse") & (found["unit"] == "utterance")].groupby("model")["value"].mean()
    lines = ["| sampler | W-F1, mean over rates | less 100 steps | squared error of what is recovered |", "|---|---|---|---|"]
    for name in area.index:
        row = area.loc[name]
        other = (
            f"{pairs.loc[name, 'difference']:+.4f} ({pairs.loc[name, 'low']:+.4f} to {pairs.loc[name, 'high']:+.4f})"
            if name in pairs.index
            else ""
        )
        lines.append(f"| {name} | {row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f}) | {other} | {error[name]:.3f} |")
    return lines


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


def draw(found: dict[str, np.ndarray], path: Path) -> None:
    """Both measures over the size of the noise, as an SVG file without a library: two panels, two lines each."""
    width, height, pad = 320, 200, 40
    colours = dict(zip(found, ("#2a78d6", "#eb6834"), strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {height + 30}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{2 * width}" height="{height + 30}" fill="white"/>',
    ]
    for column, title in enumerate(("overlap of the leading eigenvectors", "weight outside the graph's edges")):
        left = column * width
        parts.append(f'<text x="{left + pad}" y="20" fill="#333">{title}</text>')
        for value in (0.0, 0.5, 1.0):
            y = height - pad - value * (height - 2 * pad)
            parts.append(f'<line x1="{left + pad}" x2="{left + width - 15}" y1="{y}" y2="{y}" stroke="#ddd"/>')
            parts.append(f'<text x="{left + pad - 6}" y="{y + 4}" text-anchor="end" fill="#666">{value:g}</text>')
        for size in SIZES[::3]:
            x = left + pad + size * (width - pad - 15)
            parts.append(f'<text x="{x}" y="{height - pad + 16}" text-anchor="middle" fill="#666">{size:g}</text>')
        parts.append(f'<text x="{left + width / 2}" y="{height - 6}" text-anchor="middle" fill="#333">size of the noise</text>')
        for name, values in found.items():
            points = " ".join(
                f"{left + pad + s * (width - pad - 15):.1f},{height - pad - v * (height - 2 * pad):.1f}"
                for s, v in zip(SIZES, values[:, column], strict=True)
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
    for place, (name, colour) in enumerate(colours.items()):
        parts.append(f'<text x="{pad + place * 180}" y="{height + 18}" fill="{colour}">noise on {name}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", "utf-8")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["steps", "noise"])
    parser.add_argument("--recognizers", type=Path, default=Path("data/06_models/mosi_graphs/recognizers"))
    parser.add_argument("--corpus", type=Path, default=Path("data/02_intermediate/mosi_graphs/corpus"))
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"`python benchmarks/gsdnet.py {given.what}`; {os.cpu_count()} cores, 1 thread, torch {torch.__version__}.\n")
    if given.what == "steps":
        own = [t for t in load_recognizers(given.recognizers) if t.label == "gsdnet"]
        print("\n".join(steps_table(own, given.corpus)))
        return
    found = survivals()
    print("\n".join(noise_table(found)))
    if given.figure:
        draw(found, given.figure)


if __name__ == "__main__":
    main()
