"""Plausible tables without training anything: curves that fall from a start towards the constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lacuna.reporting import ModelFacts, Report, RunFacts, render_html

CLASSES = ("neutral", "joy", "sadness", "anger", "surprise", "fear")
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MODELS = ("mlp", "knn", "ridge", "context_gru", "linear")
SUBSETS = ("text", "audio", "vision", "text+audio", "text+vision", "audio+vision", "text+audio+vision")
WORTH = {"text": 0.36, "audio": 0.17, "vision": 0.10}
METRICS = {  # constant, half width of the interval
    "weighted_f1": (0.16, 0.02),
    "macro_f1": (0.11, 0.02),
    "accuracy": (0.31, 0.02),
    "log_loss": (1.62, 0.04),
    "ece": (0.02, 0.01),
}
LOWER = ("log_loss", "ece", "mae")
NAN = float("nan")


class Fake:
    """Values of one imagined corpus and its models."""

    def __init__(self, models: Sequence[str], corpus: str, intervals: bool, seeds: Sequence[int], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.models, self.corpus, self.intervals, self.seeds = models, corpus, intervals, seeds
        self.skill = {m: 0.6 - 0.25 * i / max(4, len(models)) for i, m in enumerate(models)}
        self.steep = {m: self.rng.uniform(0.8, 2.0) for m in models}

    def value(self, model: str, metric: str, share: float) -> dict[str, object]:
        constant, noise = METRICS.get(metric, (0.0, 0.02))
        left = self.skill[model] * max(0.0, share) - (0.03 if model == "linear" and share < 0.3 else 0)
        mean = constant - left if metric in LOWER else constant + left * (1 - constant)
        mean = 0.02 + 0.08 * (1 - share) if metric == "ece" else mean
        mean += self.rng.normal(0, noise / 8)
        gain = (constant - mean) if metric in LOWER else mean - constant
        spread = noise if self.intervals else NAN
        return {
            "metric": metric, "mean": mean, "low": mean - spread, "high": mean + spread, "sd_over_seeds": noise / 2,
            "seeds": len(self.seeds), "mask_seeds": 3, "n": 811, "constant": constant,
            "gain_low": gain - spread, "gain_high": gain + spread,
        }  # fmt: skip

    def summary(
        self, patterns: Sequence[str], rates: Sequence[float], subsets: Sequence[str], metrics: Sequence[str]
    ) -> pd.DataFrame:
        rows = []
        for model in self.models:
            for pattern in patterns:
                for rate in rates:
                    reach = min(rate, 0.667) if pattern == "rmm" else rate
                    key = {"corpus": self.corpus, "model": model, "pattern": pattern, "setting": "", "rate": rate}
                    share = 1 - reach ** self.steep[model]
                    rows += [key | {"measured_rate": reach} | self.value(model, metric, share) for metric in metrics]
            for subset in subsets:
                key = {"corpus": self.corpus, "model": model, "pattern": "fixed", "setting": subset, "rate": 1.0}
                share = sum(WORTH[m] for m in subset.split("+")) / sum(WORTH.values())
                rows += [key | {"measured_rate": 1.0} | self.value(model, metric, share) for metric in metrics]
        return pd.DataFrame(rows)

    def areas(self, summary: pd.DataFrame) -> pd.DataFrame:
        rows = []
        curves = summary[summary["pattern"] != "fixed"]
        for (pattern, model, metric), own in curves.groupby(["pattern", "model", "metric"], sort=False):
            if len(own) < 2:
                continue
            mean, start, constant = own["mean"].mean(), own["mean"].iloc[0], own["constant"].iloc[0]
            effective = (mean - constant) / (start - constant) if start != constant else NAN
            measures = {
                "auilc": (mean, constant),
                "relative_robustness": (mean / start, 1.0),
                "effective_robustness": (effective, 0.0),
            }
            spread = 0.012 if self.intervals else NAN
            rows += [
                {
                    "corpus": self.corpus, "model": model, "pattern": pattern, "setting": "", "metric": metric,
                    "measure": measure, "mean": v, "low": v - spread, "high": v + spread, "constant": c,
                }
                for measure, (v, c) in measures.items()
            ]  # fmt: skip
        for (model, metric), own in summary[summary["pattern"] == "fixed"].groupby(["model", "metric"], sort=False):
            v, c = own["mean"].mean(), own["constant"].iloc[0]
            rows.append(
                {
                    "corpus": self.corpus, "model": model, "pattern": "fixed", "setting": "", "metric": metric,
                    "measure": "subset_mean", "mean": v, "low": v - 0.01, "high": v + 0.01, "constant": c,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    def comparisons(self, summary: pd.DataFrame) -> pd.DataFrame:
        rows = []
        means = summary.groupby(["pattern", "metric", "model"], sort=False)["mean"].mean()
        several = summary[summary["pattern"] != "fixed"]["rate"].nunique() > 1
        spread = 0.015 if self.intervals else NAN
        for pattern, metric in dict.fromkeys(zip(summary["pattern"], summary["metric"], strict=True)):
            for a, b in combinations(self.models, 2):
                d = means[pattern, metric, a] - means[pattern, metric, b]
                key = {"corpus": self.corpus, "model_a": a, "model_b": b, "pattern": pattern, "setting": "", "metric": metric}
                whole = "subset_mean" if pattern == "fixed" else "auilc"
                kinds = [(whole, NAN)] if several or pattern == "fixed" else []
                kinds += [("at_rate", 0.0)] if pattern != "fixed" else []
                value = {"difference": d, "low": d - spread, "high": d + spread, "p_value": 0.004 if abs(d) > 0.015 else 0.31}
                rows += [key | {"measure": measure, "rate": rate} | value for measure, rate in kinds]
        return pd.DataFrame(rows)

    def confusion(self, patterns: Sequence[str], rates: Sequence[float], classes: Sequence[str]) -> pd.DataFrame:
        rows = []
        prior = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])[: len(classes)]
        for model in self.models if len(classes) else ():
            for pattern in patterns:
                for rate in rates:
                    hit = self.skill[model] * (1 - rate) + 0.15
                    for i, true in enumerate(classes):
                        share = prior / prior.sum() * (1 - hit)
                        share[i] += hit
                        counts = self.rng.multinomial(round(2000 * prior[i]), share / share.sum())
                        key = {"model": model, "seed": 0, "pattern": pattern, "setting": "", "rate": rate, "true": true}
                        rows += [key | {"predicted": p, "count": int(c)} for p, c in zip(classes, counts, strict=True)]
        return pd.DataFrame(rows)

    def history(self, primary: str) -> pd.DataFrame:
        rows = []
        for model in self.models:
            for seed in self.seeds:
                for e in range(30):
                    loss = 1.7 * np.exp(-e / 9) + 0.5 + self.rng.normal(0, 0.02)
                    score = self.skill[model] * (1 - np.exp(-e / 6)) + self.rng.normal(0, 0.01)
                    rows.append(
                        {
                            "model": model, "seed": seed, "epoch": e, "train_loss": loss, primary: score,
                            "valid_loss": loss + 0.1, "learning_rate": 1e-3, "seconds": 0.4,
                        }
                    )  # fmt: skip
        return pd.DataFrame(rows)

    def recovery(self, patterns: Sequence[str], oracle: bool) -> pd.DataFrame:
        """What some models recover, one of them a sampler."""
        rows = []
        able = [m for m in ("ridge", "knn") if m in self.models]
        known = {"mse": 0.5, "gain": 0.5, "cosine": 0.6, "mmd": 0.03, "mmd_null": 0.0, "mmd_p": 0.005, "variance_ratio": 0.4}
        known |= {"mean_error": 0.1, "std_error": 0.4, "covariance_error": 0.6} | ({"share_of_oracle": 0.7} if oracle else {})
        draws = {f"sample_{m}": v for m, v in known.items() if m not in ("gain", "share_of_oracle")}
        draws |= {"crps": 0.3, "sharpness": 0.8, "coverage@0.5": 0.45, "coverage@0.9": 0.86, "rank@0": 0.05}
        spread = 0.01 if self.intervals else NAN
        models = {m: known | (draws if m == "knn" else {}) for m in able} | {"mean fill": known}
        for model, measures in (models | ({"oracle": known} if oracle else {}) if able else {}).items():
            for pattern in (*patterns, "fixed"):
                for unit in ("utterance", "frame") if pattern == "rmfm" else ("utterance",):
                    key = {"corpus": self.corpus, "model": model, "pattern": pattern, "rate": 0.5, "unit": unit}
                    key |= {"setting": "text" if pattern == "fixed" else "", "measured_rate": 0.5}
                    for i, modality in enumerate(("audio", "vision")):
                        for measure, value in measures.items():
                            mean = value + 0.01 * self.rng.normal() - 0.05 * i
                            ends = {"mean": mean, "low": mean - spread, "high": mean + spread}
                            ends |= {"low": NAN, "high": NAN} if measure.endswith("mmd_p") else {}
                            ends |= {"modality": modality, "measure": measure, "seeds": len(self.seeds), "n": 90}
                            rows.append(key | ends)
        return pd.DataFrame(rows)

    def points(self, recovery: pd.DataFrame) -> pd.DataFrame:
        tables = []
        for modality in ("audio", "vision"):
            true = self.rng.normal(size=(40, 2))
            for model in dict.fromkeys(recovery.get("model", ())):
                x = {"true_x": true[:, 0], "true_y": true[:, 1], "x": true[:, 0] / 2, "y": true[:, 1] / 2}
                key = {"model": model, "pattern": "rmm", "setting": "", "rate": 0.5, "modality": modality, "unit": "utterance"}
                tables.append(pd.DataFrame(key | {"seed": 0, "pair": range(40), "explained": 0.4} | x))
        return pd.concat([t[t["model"] != "mean fill"] for t in tables]) if tables else pd.DataFrame()


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
    oracle: bool = True,
) -> Report:
    fake, primary = Fake(models, corpus, intervals, seeds, seed), metrics[0]
    summary = fake.summary(patterns, rates, subsets, metrics)
    recovery = fake.recovery(patterns, oracle)
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
        absences={"text": {"train": 0, "valid": 0, "test": 0}, "audio": {"train": 41, "test": 7}, "vision": {"train": 120}},
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
        summary=summary,
        primary=primary,
        areas=fake.areas(summary),
        comparisons=fake.comparisons(summary),
        confusion=fake.confusion(patterns, rates, classes),
        history=fake.history(primary),
        recovery=recovery,
        points=fake.points(recovery),
        models=about,
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Report]:
    return make_report


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    return render_html(report)


@pytest.fixture(scope="session")
def report() -> Report:
    return make_report()
