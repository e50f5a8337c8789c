"""Timings and ceilings of the generated corpus, as JSON: ``python benchmarks/duet.py {speed,ceilings,room,recovery} [options]``.

speed     utterances drawn a second, in memory and to disk; the oracle on 11 rates
ceilings  accuracy, W-F1 and log-loss of the oracle by pattern, rate, context and belief, in the corpus and its shifted test
room      simple models next to the oracle, on the same test split
recovery  error of the best recovery of a modality that is lost altogether, next to the training mean and a ridge regression
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from lacuna.corpus import Corpus
from lacuna.synthetic.duet import Oracle, Reading, draw_world, generate, preset, write
from lacuna.synthetic.duet.oracle import Belief

MODALITIES = ("text", "audio", "vision")
PATTERNS: dict[str, tuple[str, ...]] = {
    "all": MODALITIES,
    "text": ("text",),
    "audio": ("audio",),
    "vision": ("vision",),
    "audio+vision": ("audio", "vision"),
    "text+audio": ("text", "audio"),
    "text+vision": ("text", "vision"),
    "nothing": (),
}


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def keep(reading: Reading, names: tuple[str, ...]) -> dict[str, Any]:
    """A mask that leaves some modalities whole and removes the others."""
    return {m: np.full(len(rows), m in names) for m, rows in reading.utterance.items()}


def lose(reading: Reading, rate: float, seed: int = 0) -> dict[str, Any]:
    """A mask that removes each frame with chance ``rate``."""
    r = np.random.default_rng(seed)
    return {m: r.random(len(rows)) >= rate for m, rows in reading.utterance.items()}


def speed(dialogues: int) -> dict[str, Any]:
    """Generation and oracle, in seconds."""
    settings = preset("bench", dialogues=dialogues)
    draw_world(settings)
    start = time.perf_counter()
    corpus = generate(settings)
    drawn = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write(settings, Path(folder))
        written = time.perf_counter() - start
    oracle = Oracle(settings)
    start = time.perf_counter()
    reading = oracle.read(corpus)
    read = time.perf_counter() - start
    rates = []
    for step in range(11):
        mask = lose(reading, step / 10)
        start = time.perf_counter()
        oracle.posterior(reading, mask)
        rates.append(time.perf_counter() - start)
    return {
        "dialogues": dialogues,
        "utterances": len(corpus),
        "generate_utterances_per_s": round(len(corpus) / drawn),
        "write_utterances_per_s": round(len(corpus) / written),
        "oracle_read_s": round(read, 2),
        "oracle_11_rates_s": round(sum(rates), 2),
        "oracle_total_s": round(read + sum(rates), 2),
    }


def score(corpus: Corpus, posterior: np.ndarray) -> dict[str, float]:
    """Accuracy, W-F1 of the argmax, and log-loss."""
    label = corpus.utterances.labels["emotion"]
    guess = posterior.argmax(axis=1)
    loss = -np.log(np.maximum(posterior[np.arange(len(label)), label], 1e-300)).mean()
    return {
        "accuracy": round(float((guess == label).mean()), 4),
        "wf1": round(float(f1_score(label, guess, average="weighted")), 4),
        "log_loss": round(float(loss), 4),
    }


def ceilings(dialogues: int, seed: int) -> list[dict[str, Any]]:
    """One row a shift, belief, context and mask."""
    rows = []
    beliefs: dict[bool, tuple[Belief, ...]] = {False: ("own", "invariant"), True: ("own", "train", "invariant")}
    for ood, believed in beliefs.items():
        settings = preset("bench", dialogues=dialogues, seed=seed, ood=ood)
        corpus, oracle = generate(settings), Oracle(settings)
        reading = oracle.read(corpus)
        masks = {name: keep(reading, names) for name, names in PATTERNS.items()}
        masks |= {f"frames lost {step / 10:.1f}": lose(reading, step / 10) for step in range(11)}
        for belief in believed:
            for context in (True, False):
                for mask, present in masks.items():
                    answer = oracle.posterior(reading, present, context=context, belief=belief)
                    rows.append(
                        {"corpus": corpus.name, "belief": belief, "context": context, "mask": mask, **score(corpus, answer)}
                    )
    return rows


def room(dialogues: int, seed: int) -> list[dict[str, Any]]:
    """Simple models trained on the training split, and the oracle, on the test split."""
    settings = preset("bench", dialogues=dialogues, seed=seed)
    corpus = generate(settings)
    label, split = corpus.utterances.labels["emotion"], corpus.utterances.split
    inputs = {}
    for name, frames in corpus.frames.items():
        inputs[name] = np.add.reduceat(frames.values.astype(np.float64), frames.start, axis=0) / frames.count[:, None]
    words = corpus.frames["text"]
    bag = np.zeros((len(corpus), corpus.modalities[0].vocabulary or 0))
    np.add.at(bag, (np.repeat(np.arange(len(corpus)), words.count), words.tokens), 1)
    sets = {
        "frame means": np.concatenate([inputs[m] for m in MODALITIES], axis=1),
        "frame means, no text": np.concatenate([inputs["audio"], inputs["vision"]], axis=1),
        "frame means and word counts": np.concatenate([bag, inputs["audio"], inputs["vision"]], axis=1),
        "word counts": bag,
        **{f"frame means of {m}": inputs[m] for m in MODALITIES},
    }
    train, test = split == 0, split == 2
    only = corpus.only("test")
    rows: list[dict[str, Any]] = []
    for name, x in sets.items():
        for kind, model in (
            ("logistic regression", LogisticRegression(max_iter=300, C=0.1)),
            ("MLP 64", MLPClassifier((64,), early_stopping=True, random_state=0)),
        ):
            fitted = make_pipeline(StandardScaler(), model).fit(x[train], label[train])
            rows.append({"model": f"{kind} on {name}", **score(only, fitted.predict_proba(x[test]))})
    oracle = Oracle(settings)
    reading = oracle.read(only)
    for name, names in PATTERNS.items():
        for context in (False, True):
            answer = oracle.posterior(reading, keep(reading, names), context=context)
            rows.append({"model": f"oracle on {name}{' with context' if context else ''}", **score(only, answer)})
    return rows


def recovery(dialogues: int, seed: int) -> list[dict[str, Any]]:
    """Squared error a column of unobserved frames, in units of the training variance, when a whole modality is lost."""
    settings = preset("bench", dialogues=dialogues, seed=seed)
    corpus, oracle = generate(settings), Oracle(settings)
    train, test, only = corpus.utterances.split == 0, corpus.utterances.split == 2, corpus.only("test")
    inputs = {m: np.add.reduceat(f.values.astype(np.float64), f.start) / f.count[:, None] for m, f in corpus.frames.items()}
    reading = oracle.read(only)
    rows = []
    for target in MODALITIES:
        frames = corpus.frames[target]
        found = oracle.recover(only, keep(reading, tuple(m for m in MODALITIES if m != target)))[target]
        owner = np.repeat(np.arange(len(corpus)), frames.count)
        place = (np.cumsum(test) - 1)[owner[test[owner]]]  # row in the test split of each of its frames
        truth = frames.values.astype(np.float64)
        mean, scale = truth[train[owner]].mean(axis=0), truth[train[owner]].std(axis=0)
        x = np.concatenate([v for m, v in inputs.items() if m != target], axis=1)
        guess = make_pipeline(StandardScaler(), Ridge(10.0)).fit(x[train], inputs[target][train]).predict(x[test])
        truth = truth[test[owner]]
        row = {"target": target, "floor": float((found.variance[place] / scale**2).mean())}
        for name, answer in (("oracle", found.mean[place]), ("ridge", guess[place]), ("mean", mean)):
            row[name] = float(np.square((truth - answer) / scale).mean())
        if target != "text":
            linear = oracle.world.carriers[target].warp.inverse(truth)
            row["oracle, linear space"] = float(np.square(linear - found.linear_mean[place]).mean() / linear.var(axis=0).mean())
        rows.append({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "ceilings", "room", "recovery"), nargs="?", default="speed")
    parser.add_argument("--dialogues", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    results: Any
    if given.what == "speed":
        results = speed(given.dialogues or 10_000)
    elif given.what == "ceilings":
        results = ceilings(given.dialogues or 10_000, given.seed)
    elif given.what == "recovery":
        results = recovery(given.dialogues or 2_000, given.seed)
    else:
        results = room(given.dialogues or 2_000, given.seed)
    print(json.dumps({"what": given.what, "seed": given.seed, "machine": machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
