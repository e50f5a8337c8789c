"""Validation scores of settings that were tried on CMU-MOSI and MELD with MiniLM text. The test split is not read.

    LACUNA_SHARED_DATA=<folder> python experiments/mosi_minilm/trials.py mosi
    LACUNA_SHARED_DATA=<folder> python experiments/mosi_minilm/trials.py meld

One line for each trial: corpus, variant, weighted F1 of complete validation data (mean over the seeds, and each of them),
seconds of processor time. One thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import lacuna
from lacuna.corpus import Corpus
from lacuna.settings import data_root

COMPLETE = {"valid_rates": [0.0], "pattern": "rmm", "rates": [0.0, 0.2, 0.4, 0.6], "epochs": 40, "patience": 8, "threads": 1}
SMALL = {"learning_rate": 0.002, "weight_decay": 0.1}
WHOLE = {"rates": [0.0]}  # training never misses anything
MOSI: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # model, its settings, training
    "logreg": ("logreg", {}, WHOLE),
    "context_gru": ("context_gru", {}, SMALL),
    "context_gru, 5 members": ("context_gru", {"ensemble": 5}, SMALL),
    "context_gru, 5 members, complete training": ("context_gru", {"ensemble": 5}, {**SMALL, **WHOLE}),
    "mlp, 5 members": ("mlp", {"ensemble": 5}, SMALL),
    "evidence": ("evidence", {}, SMALL),
    "evidence, 5 members": ("evidence", {"ensemble": 5}, SMALL),
    "evidence, 5 members, complete training": ("evidence", {"ensemble": 5}, {**SMALL, **WHOLE}),
}
MELD: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "context_gru": ("context_gru", {}, {}),
    "context_gru, 5 members": ("context_gru", {"ensemble": 5}, {}),
    "context_gru, 5 members, 96 units, dropout .6": ("context_gru", {"ensemble": 5, "hidden": 96, "dropout": 0.6}, {}),
    "evidence": ("evidence", {}, {}),
    "evidence, 5 members": ("evidence", {"ensemble": 5}, {}),
    "mlp, window 3, 5 members": ("mlp", {"ensemble": 5, "window": 3}, {}),
}


def mosi(text: dict[str, Any]) -> Corpus:
    """Return CMU-MOSI with MiniLM text and the distributed audio, as conf/mosi_minilm does."""
    encode = {"text": {"name": "minilm", **text}, "vision": None}
    folder = Path(data_root()) / "cmu_mosi"
    return lacuna.load_corpus(folder, importer="mosi-csv", encode=encode, split="carve", valid_share=0.2)


def meld(text: dict[str, Any]) -> Corpus:
    """Return MELD with MiniLM text, the official splits, as conf/meld_text does."""
    return lacuna.load_corpus(Path(data_root()) / "meld", importer="meld-csv", encode={"text": {"name": "minilm", **text}})


def main() -> None:
    """Print a line for each trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=["mosi", "meld"])
    parser.add_argument("--tokens", action="store_true", help="token sequences instead of sentence vectors")
    parser.add_argument("--layers", type=int, nargs="+", help="of MiniLM, side by side; default: the last one")
    parser.add_argument("--only", nargs="+", help="names of trials")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of variants with one member")
    arguments = parser.parse_args()
    text = {"pool": "tokens" if arguments.tokens else "mean", "layers": arguments.layers or "last"}
    corpus, trials = (mosi(text), MOSI) if arguments.corpus == "mosi" else (meld(text), MELD)
    development = corpus.only("train", "valid")
    common = COMPLETE if arguments.corpus == "mosi" else {**COMPLETE, "rates": [0.0]}
    for name in arguments.only or trials:
        model, settings, training = trials[name]
        seeds = [0] if "ensemble" in settings else arguments.seeds
        begun, scores = time.process_time(), []
        for seed in seeds:
            fitted = lacuna.create_model(model, **settings).fit(development, seed=seed, **{**common, **training})
            scores.append(fitted.trained.selection.value)
        spent = time.process_time() - begun
        each = " ".join(f"{score:.3f}" for score in scores)
        kind = f"{'tokens' if arguments.tokens else 'sentences'}, layers {text['layers']}"
        print(f"| {arguments.corpus}, {kind} | {name} | {np.mean(scores):.3f} ({each}) | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
