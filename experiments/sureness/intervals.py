"""Whether intervals of a regression hold the true score of CMU-MOSI (−3 to 3), for each set of modalities. Prints Markdown.

    python experiments/sureness/intervals.py
    python experiments/sureness/intervals.py 0.5        # share of the training utterances that become validation

Text is encoded anew and the distributed vision is left out (environment ``mosi_minilm``), because the distributed features were
fitted on labels. Intervals are fitted on validation and should hold the truth in 90% of the utterances. Needs
``LACUNA_SHARED_DATA``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import lacuna
from lacuna.pipelines.environments import project_of, read_environment
from lacuna.pipelines.ingest.nodes import read_source

MODELS, SEEDS = ("mlp", "context_gru", "evidence"), (0, 1, 2)
DROPPED = {"text+audio": (), "text": ("audio",), "audio": ("text",)}


def main() -> None:
    """Train each model with each seed and print coverage and width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("valid_share", type=float, nargs="?", default=0.2)
    changes = {"ingest": {"valid_share": parser.parse_args().valid_share}}
    environment = read_environment(project_of(Path(__file__).resolve().parent), "mosi_minilm", changes)
    corpus = read_source(environment.ingest, environment.features, [])
    test = corpus.only("test")
    truth = test.utterances.labels["score"]
    mean = corpus.only("train").utterances.labels["score"].mean()
    rows = []
    for name in MODELS:
        for seed in SEEDS:
            training = {k: v for k, v in environment.train.training.items() if k not in ("pattern", "threads")}
            model = lacuna.create_model(name).fit(corpus, target="score", seed=seed, **training)
            for available, drop in DROPPED.items():
                table = model.predict(test, drop=drop)
                width, error = table["high"] - table["low"], (table["value"] - truth).abs()
                row = {"model": name, "available": available, "mean absolute error": error.mean()}
                row |= {"held": ((table["low"] <= truth) & (truth <= table["high"])).mean(), "width": width.mean()}
                wide = width > width.median()  # intervals of one width have no wider half
                row |= {"error where wide": error[wide].mean(), "error elsewhere": error[~wide].mean()}
                rows.append(row)
    print(pd.DataFrame(rows).groupby(["model", "available"], sort=False, as_index=False).mean().round(3).to_markdown(index=False))  # noqa: T201
    spread = 1.96 * np.sqrt(0.9 * 0.1 / len(truth))
    n_valid = corpus.only("valid").dialogue_keys.size
    counted = f"{n_valid} validation videos; {len(truth)} test utterances"
    print(f"\n{counted}; binomial bound of .9: {0.9 - spread:.3f} to {0.9 + spread:.3f}")  # noqa: T201
    print(f"mean baseline: mean absolute error {np.abs(truth - mean).mean():.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
