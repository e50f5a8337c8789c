"""What a sampling loop in training costs; prints Markdown.

Trains ``imder`` and ``rohydr`` on made-up sequences, alike but for what they do for a missing modality: ``sampled: false``, one
call of a network an update; ``sampled: true``, the solver in every training step (in every stage of RoHyDR, as published),
without gradient, as in IMDer and the first published code of RoHyDR; and ``through: true`` beside it, with gradients through all
steps, as in RoHyDR's second published code.
What surrounds it (tokens, reconstructors, fusion, gradients, optimiser, validation of 8 utterances without holes) is the same in
all and counts in all, so the ratio is that of epochs and not of calls.

Sizes: ``small`` has 8 tokens and the defaults of the models; ``recovery`` recovers at the published depths (48 tokens, 20 channel
blocks, 6 transformer blocks in RoHyDR, 8 layers of reading in IMDer's score networks) with the default fusion; ``published`` has
the published depth of the fusion too (each modality reads each other one in 4 layers, then itself in 4). Widths are ours. Steps
of the solver are the published ones everywhere: 100 in IMDer, 50 in RoHyDR.
Usage: ``python benchmarks/diffusion.py [--sizes small recovery published] [--steps N] [--utterances 128] [--epochs 4]``;
``--profile`` tells where the time of one one-call epoch goes, and of what comes before it (``_linalg_eigh`` is the whitening).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.statistics import fit_statistics
from lacuna.training import Recipe, TrainingConfig, fit
from machine import Stopwatch, machine

DIMS = {"text": 768, "audio": 5, "vision": 20}
STEPS = {"imder": 100, "rohydr": 50}
LOOPS: dict[str, dict[str, dict[str, Any]]] = {
    "imder": {"no": {"sampled": True}},
    "rohydr": {"no": {"sampled": True}, "yes": {"sampled": True, "through": True}},
}
RECOVERY = {"imder": {"blocks": 8}, "rohydr": {"blocks": 6}}
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "small": {model: {"tokens": 8} for model in STEPS},
    "recovery": {model: {"tokens": 48, "channel_blocks": 20, **RECOVERY[model]} for model in STEPS},
    "published": {model: {"tokens": 48, "channel_blocks": 20, "cross": 4, "memory": 4, **RECOVERY[model]} for model in STEPS},
}
VALID = 8  # few, and without holes: what answering costs is no part of the comparison


def made_up(train: int, frames: int) -> Corpus:
    """Noise of the shape of MOSI, as many frames in every modality."""
    rng, total = np.random.default_rng(0), train + 2 * VALID
    return assemble(
        "made-up",
        ids=[f"u{i}" for i in range(total)],
        dialogues=[f"d{i // 8}" for i in range(total)],
        turns=[i % 8 for i in range(total)],
        channels={m: Channel(list(rng.normal(size=(total, frames, d)).astype(np.float32))) for m, d in DIMS.items()},
        targets=(Target("sentiment", "classification", ("negative", "neutral", "positive")),),
        labels={"sentiment": rng.integers(0, 3, total).astype(float)},
        splits=["train"] * train + ["valid"] * VALID + ["test"] * VALID,
    )


def train(corpus: Corpus, model: str, settings: dict[str, Any], epochs: int) -> Stopwatch:
    """What the stopwatch saw."""
    config = TrainingConfig(
        epochs=epochs, patience=0, batch_size=64, rates=(0.6,), valid_rates=(0.0,), threads=1, device="cpu", precision="float32"
    )
    watch = Stopwatch()
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    fit(Recipe(model, corpus.schema(), *parts, config, settings), watch=watch)
    return watch


def looped(given: argparse.Namespace) -> int:
    """Epochs to time with the solver in them, which are long."""
    return max(1, given.epochs // 4)


def epoch_table(given: argparse.Namespace) -> list[str]:
    """Seconds of an epoch of either kind, and their ratio."""
    lines = ["| size | model | steps | gradient through them | one call, s (CPU s) | solver, s (CPU s) | ratio (of CPU s) |"]
    lines.append("|---|---|---|---|---|---|---|")
    for size in given.sizes:
        corpus = made_up(given.utterances, SIZES[size]["imder"]["tokens"])
        for model, settings in SIZES[size].items():
            own = settings | {"draw_steps": given.steps or STEPS[model]}
            one = train(corpus, model, own, 1 + given.epochs).timed()
            for gradient, loop in LOOPS[model].items():
                solver = train(corpus, model, own | loop, 1 + looped(given)).timed()
                cells = [f"{t.wall:.2f} ({t.cpu:.2f})" for t in (one, solver)]
                ratio = f"{solver.wall / one.wall:.1f} ({solver.cpu / one.cpu:.1f})"
                lines.append(f"| {size} | {model} | {own['draw_steps']} | {gradient} | {cells[0]} | {cells[1]} | {ratio} |")
    return lines


def profile_table(given: argparse.Namespace) -> list[str]:
    """The operations that take most of a one-call epoch."""
    lines = ["| size | model | operation | share of CPU time | calls |", "|---|---|---|---|---|"]
    for size in given.sizes:
        corpus = made_up(given.utterances, SIZES[size]["imder"]["tokens"])
        for model, settings in SIZES[size].items():
            with profile(activities=[ProfilerActivity.CPU]) as found:
                train(corpus, model, settings, 1)  # more would only be slow to read
            events = sorted(found.key_averages(), key=lambda e: -e.self_cpu_time_total)
            total = sum(e.self_cpu_time_total for e in events)
            lines += [f"| {size} | {model} | {e.key} | {e.self_cpu_time_total / total:.1%} | {e.count} |" for e in events[:10]]
    return lines


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--steps", type=int, help="of both solvers, instead of the published ones")
    parser.add_argument("--utterances", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4, help="with one call; a quarter of it with the solver")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = "" if given.sizes == list(SIZES) else f" --sizes {' '.join(given.sizes)}"
    what = " --profile" if given.profile else ""
    timed = f"medians of {given.epochs} epochs after the first, or {looped(given)} with the solver"
    over = "one epoch" if given.profile else timed
    print(
        f"`python benchmarks/diffusion.py{sizes}{what}`; {given.utterances} utterances in batches of 64, 60% missing, {over}; "
        f"{machine()}.\n"
    )
    print("\n".join(profile_table(given) if given.profile else epoch_table(given)))


if __name__ == "__main__":
    main()
