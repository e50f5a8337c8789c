"""Trained recognisers by number of sampling steps: the same weights, more or fewer steps; prints Markdown.

For any model whose settings have ``steps`` (gsdnet, rohydr, imder, repaint). Prints weighted F1 (MAE of a regression) as the mean
over missing rates 0 to .7 (``rmm``, 3 mask seeds), its paired difference from the most steps over dialogues and training seeds,
and the squared error of what the first seed recovers at a missing rate of one half.
Usage: ``lacuna bench experiments/STUDY``, then
``python benchmarks/steps.py experiments/STUDY --variants a b ... [--steps 1 10 50]``.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from lacuna.corpus import Corpus, open_corpus
from lacuna.evaluation import areas, bootstrap, compare, score_recovery, sweep
from lacuna.evaluation.recovery.collect import RecoveryConfig
from lacuna.missing import MaskPlan
from lacuna.models import Recognizer
from lacuna.pipelines.environments import project_of
from lacuna.pipelines.experiments import finished
from lacuna.training import TrainedRecognizer
from machine import machine

RATES, MASK_SEEDS = [rate / 10 for rate in range(8)], (0, 1, 2)


def samplers(model: Recognizer) -> list[Recognizer]:
    """Return the parts of a model, inside wrappers too, that sample in a number of steps."""
    return [m for m in model.modules() if isinstance(m, Recognizer) and hasattr(m.config, "steps")]


def with_steps(trained: TrainedRecognizer, steps: int) -> TrainedRecognizer:
    """Return the same weights with another number of sampling steps."""
    model = copy.deepcopy(trained.model)
    for inner in samplers(model):
        inner.config = replace(inner.config, steps=steps)
    return replace(trained, variant=f"{trained.variant}-steps-{steps}", model=model)


def steps_table(recognizers: Sequence[TrainedRecognizer], corpus: Corpus, steps: Sequence[int]) -> list[str]:
    """Return a Markdown table with one row a number of steps, for the recognisers of one variant."""
    variant, target = recognizers[0].variant, recognizers[0].schema.target
    test, labels = corpus.only("test"), corpus.only("train").utterances.labels[target.name]
    plans = [MaskPlan("rmm", rate, seed) for rate in RATES for seed in MASK_SEEDS]
    sampled = [with_steps(t, number) for number in steps for t in recognizers]
    metric, called = ("mae", "MAE") if target.task == "regression" else ("weighted_f1", "W-F1")
    drawn = bootstrap([sweep(t, test, plans, training_labels=labels, name=t.variant) for t in sampled], 500, 0, [metric])
    area, pairs = areas(drawn), compare(drawn, reference=f"{variant}-steps-{steps[-1]}")
    area = area[area["measure"] == "auilc"].set_index("model")
    pairs = pairs[pairs["measure"] == "auilc"].set_index("model_a")
    first = [t for t in sampled if t.seed == min(r.seed for r in recognizers)]
    found = score_recovery(first, test, [MaskPlan("rmm", 0.5, 0)], RecoveryConfig(samples=2))
    error = found[(found["measure"] == "mse") & (found["unit"] == "utterance")].groupby("model")["value"].mean()
    lines = [
        f"| {variant}, steps | {called}, mean over rates | less {steps[-1]} steps | squared error of what is recovered |",
        "|---|---|---|---|",
    ]
    for number in steps:
        name, other = f"{variant}-steps-{number}", ""
        row = area.loc[name]
        if name in pairs.index:
            pair = pairs.loc[name]
            other = f"{pair['difference']:+.4f} ({pair['low']:+.4f} to {pair['high']:+.4f})"
        lines.append(f"| {number} | {row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f}) | {other} | {error[name]:.3f} |")
    return lines


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of the experiment")
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 2, 5, 10, 20, 50])
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps = sorted(set(given.steps))
    if len(steps) < 2:
        parser.error("--steps: two different numbers at least, or there is nothing to compare")
    gathered, folder = finished(given.study, project_of(Path.cwd()))
    known, corpus = gathered.recognizers, open_corpus(folder)
    usable = sorted({t.variant for t in known if samplers(t.model)})
    if wrong := [variant for variant in given.variants if variant not in usable]:
        parser.error(f"--variants: {wrong[0]!r} has no steps or was not trained; there are: {', '.join(usable) or 'none'}")
    numbers = " ".join(map(str, steps))
    print(f"`python benchmarks/steps.py {given.study} --variants {' '.join(given.variants)} --steps {numbers}`; {machine()}.")
    for variant in given.variants:
        own = [t for t in known if t.variant == variant]
        print(
            f"\n{len(own)} training seed{'s' * (len(own) != 1)}, trained with {samplers(own[0].model)[0].config.steps} steps.\n"
        )
        print("\n".join(steps_table(own, corpus, steps)))


if __name__ == "__main__":
    main()
