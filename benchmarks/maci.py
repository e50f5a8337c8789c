"""What causal inference is worth when the data shifts: recognisers of ``experiments/cider`` on duet's shifted test.

There the scene, a spurious cue in words, voices and faces, no longer goes with the emotion. Each recogniser with MACI is scored
as it is (tau chosen on validation), with tau = 0 (back-door head only), with class prototypes kept in use, and with every tau,
which shows what choosing it on the shifted test itself would claim. Prints Markdown.
Usage: ``lacuna bench experiments/cider && python benchmarks/maci.py``.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lacuna.corpus import Corpus
from lacuna.evaluation import areas, bootstrap, compare, sweep, sweep_ceilings
from lacuna.missing import MaskPlan
from lacuna.models.layers.head import BackdoorHead
from lacuna.models.wrappers.causal import STEPS, Causal
from lacuna.pipelines.environments import project_of
from lacuna.pipelines.experiments import finished
from lacuna.synthetic.duet import draw_world, generate, preset
from lacuna.training import TrainedRecognizer

PAIRS = (("cider", "cider_no_maci"), ("context_gru_maci", "context_gru"))
TAUS = (0.0, 0.2, 0.5, 1.0, 1.5, 2.0)


def changed(trained: TrainedRecognizer, how: str, change: Callable[[Causal], None]) -> tuple[str, TrainedRecognizer]:
    """The same weights, used in another way, under a name that says so."""
    model = copy.deepcopy(trained.model)
    assert isinstance(model, Causal)
    change(model)
    return f"{trained.variant}{how}", replace(trained, model=model)


def set_tau(tau: float) -> Callable[[Causal], None]:
    """Subtract another share of the counterfactual."""
    return lambda model: model.tau.fill_(tau) and None


def keep_classes(model: Causal) -> None:
    """Use the back-door head as it was trained: class prototypes and priors."""
    model.tau.zero_()
    for head in model.modules():
        if isinstance(head, BackdoorHead):
            head.keeps_classes = True


def variants(recognizers: Sequence[TrainedRecognizer], taus: bool) -> Iterator[tuple[str, TrainedRecognizer]]:
    """Every way of using the recognisers with MACI, and those without."""
    for trained in recognizers:
        if trained.variant in {name for pair in PAIRS for name in pair}:
            yield trained.variant, trained
        if isinstance(trained.model, Causal) and trained.model.maci.counterfactual and trained.model.maci.backdoor:
            if taus:
                for tau in TAUS:
                    yield changed(trained, f" tau {tau:g}", set_tau(tau))
            else:
                yield changed(trained, ", tau 0", set_tau(0.0))
                yield changed(trained, ", tau 0, classes kept", keep_classes)


def scored(recognizers: Sequence[TrainedRecognizer], test: Corpus, labels: np.ndarray, *, taus: bool) -> tuple[pd.DataFrame, ...]:
    """Areas under the curves and paired comparisons, weighted F1."""
    rates = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    plans = [MaskPlan("rmfm", rate, seed) for rate in rates for seed in (0, 1, 2)]
    sweeps = [sweep(t, test, plans, training_labels=labels, name=name) for name, t in variants(recognizers, taus)]
    if not taus:
        sweeps += sweep_ceilings(test, plans, training_labels=labels)
    drawn = bootstrap(sweeps, 500, 0, metrics=["weighted_f1"])
    own = [name for name in drawn.models if not name.startswith("oracle")]
    pairs = [(a, b) for a, b in PAIRS if a in own and b in own]
    pairs += [(name, name.split(",")[0]) for name in own if "," in name]
    return areas(drawn), compare(drawn, pairs=pairs)


def area_table(iid: pd.DataFrame, shifted: pd.DataFrame) -> list[str]:
    """AUILC on both tests, one row a recogniser."""
    lines = ["| recogniser | test | shifted test |", "|---|---|---|"]
    tables = [t[t["measure"] == "auilc"].set_index("model") for t in (iid, shifted)]
    for name in tables[0].index:
        cells = [f"{t.loc[name, 'mean']:.3f} ({t.loc[name, 'low']:.3f} to {t.loc[name, 'high']:.3f})" for t in tables]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


def pair_table(iid: pd.DataFrame, shifted: pd.DataFrame) -> list[str]:
    """Paired differences of AUILC on both tests."""
    lines = ["| first | second | test | shifted test |", "|---|---|---|---|"]
    tables = [t[t["measure"] == "auilc"] for t in (iid, shifted)]
    for one, two in zip(tables[0].itertuples(), tables[1].itertuples(), strict=True):
        cells = [f"{r.difference:+.3f} ({r.low:+.3f} to {r.high:+.3f})" for r in (one, two)]
        lines.append(f"| {one.model_a} | {one.model_b} | {cells[0]} | {cells[1]} |")
    return lines


def words_table(recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    """Which words were taken for bias, against what the generator knows of them."""
    lexicon = draw_world(preset("demo")).lexicon
    kinds = {"of an emotion": lexicon.emotion.any(axis=1), "of a scene": lexicon.scene.any(axis=1)}
    kinds["filler"] = ~lexicon.content
    model = next(t.model for t in recognizers if isinstance(t.model, Causal) and t.model.maci.counterfactual)
    bias = model.bias.numpy()
    lines = ["| words | in the corpus | taken for bias |", "|---|---|---|"]
    return lines + [f"| {kind} | {int(own.sum())} | {int((own & bias).sum())} |" for kind, own in kinds.items()]


def tau_table(iid: pd.DataFrame, shifted: pd.DataFrame, recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    """Area by tau: on validation as it was chosen, and on the two tests, which nobody may choose by."""
    lines = ["| recogniser | tau | validation | test | shifted test |", "|---|---|---|---|---|"]
    tables = [t[t["measure"] == "auilc"].set_index("model")["mean"] for t in (iid, shifted)]
    for label in dict.fromkeys(t.variant for t in recognizers if isinstance(t.model, Causal)):
        curves = [t.model.curve.numpy() for t in recognizers if t.variant == label and isinstance(t.model, Causal)]
        for tau in TAUS:
            name = f"{label} tau {tau:g}"
            if name in tables[0]:
                valid = np.mean([curve[round(tau * STEPS)] for curve in curves])
                lines.append(f"| {label} | {tau:g} | {valid:.3f} | {tables[0][name]:.3f} | {tables[1][name]:.3f} |")
    return lines


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taus", nargs="*", default=["context_gru_maci"], help="variants in the table by tau, which takes long")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recognizers = finished(Path("experiments/cider"), project_of(Path.cwd()))[0].recognizers
    whole = generate(preset("demo"))
    labels = whole.only("train").utterances.labels[whole.targets[0].name]
    tests = whole.only("test"), generate(preset("demo", ood=True))
    (iid, iid_pairs), (ood, ood_pairs) = (scored(recognizers, test, labels, taus=False) for test in tests)
    curves = [scored([r for r in recognizers if r.variant in given.taus], t, labels, taus=True)[0] for t in tests if given.taus]
    chosen = {
        label: ", ".join(f"{float(t.model.tau):.1f}" for t in recognizers if t.variant == label and isinstance(t.model, Causal))
        for label in dict.fromkeys(t.variant for t in recognizers if isinstance(t.model, Causal))
    }
    parts = [
        "# Causal inference under shift",
        f"Made by `python benchmarks/maci.py` after `lacuna bench experiments/cider`; {os.cpu_count()} cores, 1 thread, torch "
        f"{torch.__version__}. Weighted F1, mean over missing rates (`rmfm`, AUILC), {len({t.seed for t in recognizers})} "
        "training seeds, 3 mask seeds, 95% intervals over dialogues and seeds.",
        "\n".join(area_table(iid, ood)),
        "Paired differences, first less second:",
        "\n".join(pair_table(iid_pairs, ood_pairs)),
        "The tau that validation chose, a seed each: " + "; ".join(f"{k}: {v}" for k, v in chosen.items()) + ".",
        *(["\n".join(tau_table(curves[0], curves[1], recognizers))] if curves else []),
        "\n".join(words_table(recognizers)),
    ]
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
