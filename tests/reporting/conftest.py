"""Plausible tables without training anything: curves that fall from a start towards the constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lacuna.reporting import ModelFacts, Report, RunFacts

CLASSES = ("neutral", "joy", "sadness", "anger", "surprise", "fear")
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MODELS = ("mlp", "knn", "ridge", "context_gru", "linear")
SUBSETS = ("text", "audio", "vision", "text+audio", "text+vision", "audio+vision", "text+audio+vision")
WORTH = {"text": 0.36, "audio": 0.17, "vision": 0.10}
METRICS = {"weighted_f1": (0.16, 0.02), "macro_f1": (0.11, 0.02), "accuracy": (0.31, 0.02), "log_loss": (1.62, 0.04), "ece": (0.02, 0.01)}


def make_report(
    models: Sequence[str] = MODELS,
    classes: Sequence[str] = CLASSES,
    patterns: Sequence[str] = ("rmfm", "rmm", "stmfm"),
    rates: Sequence[float] = RATES,
    subsets: Sequence[str] = SUBSETS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    intervals: bool = True,
    metrics: Sequence[str] = tuple(METRICS),
    corpus: str = "duet",
    seed: int = 0,
) -> Report:
    rng = np.random.default_rng(seed)
    primary = metrics[0]
    skill = {m: 0.6 - 0.25 * i / max(4, len(models)) for i, m in enumerate(models)}
    steep = {m: rng.uniform(0.8, 2.0) for m in models}
    nan = float("nan")

    def value(model: str, metric: str, share: float) -> dict[str, float]:
        constant, noise = METRICS.get(metric, (0.0, 0.02))
        left = skill[model] * max(0.0, share) - (0.03 if model == "linear" and share < 0.3 else 0)
        lower = metric in ("log_loss", "ece")
        mean = (constant + 0.08 * (1 - share) + 0.02 if metric == "ece" else constant - left if lower else constant + left * (1 - constant))
        mean += rng.normal(0, noise / 8)
        low, high = (mean - noise, mean + noise) if intervals else (nan, nan)
        sign = -1 if lower else 1
        gain = sign * (mean - constant)
        return {
            "metric": metric, "mean": mean, "low": low, "high": high, "sd_over_seeds": noise / 2, "seeds": len(seeds),
            "mask_seeds": 3, "n": 811, "constant": constant, "gain_low": gain - noise, "gain_high": gain + noise,
        }  # fmt: skip

    summary, areas, comparisons, confusion = [], [], [], []
    for model in models:
        for pattern in patterns:
            for rate in rates:
                reach = min(rate, 0.667) if pattern == "rmm" else rate
                key = {"corpus": corpus, "model": model, "pattern": pattern, "setting": "", "rate": rate, "measured_rate": reach}
                summary += [key | value(model, metric, 1 - reach ** steep[model]) for metric in metrics]
        for subset in subsets:
            key = {"corpus": corpus, "model": model, "pattern": "fixed", "setting": subset, "rate": 1.0, "measured_rate": 1.0}
            share = sum(WORTH[m] for m in subset.split("+")) / sum(WORTH.values())
            summary += [key | value(model, metric, share) for metric in metrics]
    table = pd.DataFrame(summary)
    for metric in metrics:
        means = {}
        for (pattern, model), rows in table[(table["metric"] == metric) & (table["pattern"] != "fixed")].groupby(["pattern", "model"]):
            key = {"corpus": corpus, "model": model, "pattern": pattern, "setting": "", "metric": metric}
            mean, constant = rows["mean"].mean(), rows["constant"].mean()
            means[pattern, model] = mean
            noise = 0.012 if intervals else nan
            measures = {"auilc": (mean, constant)}
            if len(rates) > 1:
                measures |= {"relative_robustness": (mean / rows["mean"].iloc[0], 1.0), "effective_robustness": (0.6, 0.0)}
                areas += [
                    key | {"measure": name, "mean": v, "low": v - noise, "high": v + noise, "constant": c}
                    for name, (v, c) in measures.items()
                ]
        for pattern in patterns:
            for a, b in combinations(models, 2):
                d = means[pattern, a] - means[pattern, b]
                comparisons.append(
                    {
                        "corpus": corpus, "model_a": a, "model_b": b, "pattern": pattern, "setting": "", "metric": metric,
                        "measure": "auilc" if len(rates) > 1 else "at_rate", "rate": nan, "difference": d,
                        "low": d - 0.015 if intervals else nan, "high": d + 0.015 if intervals else nan,
                        "p_value": 0.004 if abs(d) > 0.015 else 0.31,
                    }
                )  # fmt: skip
    prior = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])[: len(classes)]
    for model in models if len(classes) else ():
        for pattern in patterns:
            for rate in rates:
                hit = skill[model] * (1 - rate) + 0.15
                for i, true in enumerate(classes):
                    share = prior / prior.sum() * (1 - hit)
                    share[i] += hit
                    counts = rng.multinomial(round(2000 * prior[i]), share / share.sum())
                    confusion += [
                        {"model": model, "seed": 0, "pattern": pattern, "setting": "", "rate": rate, "true": true, "predicted": p, "count": int(c)}
                        for p, c in zip(classes, counts, strict=True)
                    ]
    history = [
        {
            "model": model, "seed": s, "epoch": e, "train_loss": 1.7 * np.exp(-e / 9) + 0.5 + rng.normal(0, 0.02),
            primary: skill[model] * (1 - np.exp(-e / 6)) + rng.normal(0, 0.01),
            "valid_loss": 1.6 * np.exp(-e / 7) + 0.7 + 0.006 * e, "learning_rate": 1e-3, "seconds": 0.4,
        }
        for model in models for s in seeds for e in range(30)
    ]  # fmt: skip
    facts = RunFacts(
        corpus=corpus,
        command="kedro run --env demo",
        created="2026-11-20 23:40 UTC",
        target="emotion" if classes else "score",
        classes=tuple(classes),
        git="5094e1d1c0ffee",
        dirty=True,
        versions={"lacuna": "0.1.0", "python": "3.11.2", "torch": "2.13.0+cpu", "numpy": "2.4.6", "kedro": "1.7.0"},
        cores=2,
        threads=1,
        seeds=tuple(seeds),
        config_digest="9f2c41d07ab3",
        resamples=500,
        splits={"train": 4012, "valid": 530, "test": 811},
        absences={"text": {"train": 0, "valid": 0, "test": 0}, "audio": {"train": 41, "test": 7}, "vision": {"train": 120, "valid": 9, "test": 22}},
        source="generated",
        files={"duet.json": "ab" * 32},
        notes=("Every transcript is synthetic.", "Two utterances without frames were kept, marked absent."),
        licence="CC0-1.0 (generated)",
    )  # fmt: skip
    about = {
        m: ModelFacts(
            name=m,
            description=f"{m} is a model for tests.",
            parameters=12345,
            pattern="rmm",
            selection=primary,
            chosen=dict.fromkeys(seeds, 21),
            epochs=dict.fromkeys(seeds, 30),
            valid=dict.fromkeys(seeds, 0.61),
            seconds=dict.fromkeys(seeds, 12.0),
            config={"width": 64, "dropout": 0.1},
            flags=("reads one utterance at a time",),
        )
        for m in models
    }
    return Report(
        facts=facts,
        summary=table,
        primary=primary,
        areas=pd.DataFrame(areas) if areas else None,
        comparisons=pd.DataFrame(comparisons) if comparisons else None,
        confusion=pd.DataFrame(confusion) if confusion else None,
        history=pd.DataFrame(history),
        models=about,
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Report]:
    return make_report


@pytest.fixture(scope="session")
def report() -> Report:
    return make_report()
