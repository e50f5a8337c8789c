"""Draw what a trained `evidence` adds up, beside the exact values of duet.

python experiments/evidence/figures.py experiments/evidence/duet_2000.yml

Writes docs/images/evidence-contributions.svg (evidence of each modality against the oracle's log-likelihood, with correlations)
and docs/images/evidence-waterfall.svg (one utterance). The model is that of measure.py with the first seed; it is trained if it
was not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measure import environments_of

from lacuna.corpus import Corpus
from lacuna.evaluation.predict import loader_of
from lacuna.metrics.counts import Array
from lacuna.models.evidence import CONTRIBUTION
from lacuna.pipelines.environments import project_of
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.reporting.core.style import GREY, PALETTE
from lacuna.synthetic.duet import Oracle
from lacuna.training import Recipe, TrainedRecognizer, fit
from lacuna.training.identity import run_folder

SHOWN = 1500  # points of a panel
SIZE, PAD = 260, 46  # of a panel, in pixels
INK, SOFT, LINE = "#1d232a", "#5a626c", "#e3e6ea"


def oracle_evidence(corpus: Corpus, name: str) -> Array:
    """Return log P(observed of one modality | class) with mean 0 over classes: (N, K)."""
    oracle = Oracle.of(corpus)
    present = {m: np.full(int(f.count.sum()), m == name) for m, f in corpus.frames.items()}
    posterior = oracle.posterior(corpus, present, context=False)
    return centred(np.log(np.maximum(posterior, 1e-12)) - np.log(oracle.world.prior))


def contributions(trained: TrainedRecognizer, corpus: Corpus) -> tuple[dict[str, Array], Array]:
    """Return what is added up by name, (N, K) each with everything observed, and the logits."""
    parts: dict[str, list[Array]] = {}
    logits = []
    with torch.no_grad():
        for batch in loader_of(trained, corpus, 512, torch.device("cpu")):
            prediction = trained.model(batch)
            logits.append(prediction.logits.numpy())
            for name, value in prediction.auxiliary.items():
                parts.setdefault(name.removeprefix(CONTRIBUTION), []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}, np.concatenate(logits)


def centred(values: Array) -> Array:
    """Return (N, K) with mean 0 over classes: evidence is known up to a constant an utterance."""
    return np.asarray(values - values.mean(axis=1, keepdims=True))


def text(x: float, y: float, words: str, *, colour: str = SOFT, anchor: str = "middle", weight: str = "normal") -> str:
    """Return an SVG text element."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'


def svg(width: int, height: int, parts: Sequence[str]) -> str:
    """Return an SVG document."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"


def scatter(panels: Mapping[str, tuple[Array, Array]]) -> str:
    """Return panels of the model's evidence against the oracle's, with the correlation of all points."""
    rng, parts = np.random.default_rng(0), []
    inner = SIZE - PAD - 14
    for place, (name, (exact, learned)) in enumerate(panels.items()):
        left, x, y = place * SIZE + PAD, exact.ravel(), learned.ravel()
        limit = float(np.ceil(np.quantile(np.abs(np.concatenate([x, y])), 0.998)))
        chosen = rng.permutation(len(x))[:SHOWN]

        def at(value: float, limit: float = limit) -> float:
            return (float(np.clip(value, -limit, limit)) + limit) / (2 * limit) * inner

        parts.append(text(left + inner / 2, 24, f"{name}: correlation {np.corrcoef(x, y)[0, 1]:.3f}", colour=INK, weight="bold"))
        for tick in (-limit, 0.0, limit):
            parts.append(
                f'<path d="M{left} {40 + inner - at(tick):.1f}h{inner}M{left + at(tick):.1f} 40v{inner}" stroke="{LINE}"/>'
            )
            parts.append(text(left + at(tick), 56 + inner, f"{tick:g}"))
            parts.append(text(left - 6, 44 + inner - at(tick), f"{tick:g}", anchor="end"))
        dots = "".join(f"M{left + at(x[i]):.1f} {40 + inner - at(y[i]):.1f}h0" for i in chosen)
        parts.append(f'<path d="{dots}" stroke="{PALETTE[place]}" stroke-width="3" stroke-linecap="round" stroke-opacity="0.3"/>')
        parts.append(f'<path d="M{left} {40 + inner}L{left + inner} 40" stroke="{GREY}" stroke-dasharray="4 3"/>')
        parts.append(text(left + inner / 2, 74 + inner, "oracle, nats"))
    middle = 40 + inner / 2
    parts.append(f'<g transform="rotate(-90 12 {middle})">{text(12, middle, "evidence of the model, nats")}</g>')
    return svg(SIZE * len(panels), SIZE + 24, parts)


def waterfall(parts: Mapping[str, Array], classes: Sequence[str], title: str) -> str:
    """Return the steps from prior to answer of one utterance: the log-odds of the answer against the class next to it.

    Args:
        parts: by name (K,) in nats.
        classes: names of the classes.
        title: above the figure.
    """
    total = np.sum(list(parts.values()), axis=0)
    best, second = np.argsort(-total)[:2]
    steps = {name.removeprefix("evidence."): float(v[best] - v[second]) for name, v in parts.items()}
    ends = np.cumsum([0.0, *steps.values()])
    low, high = min(ends.min(), 0) - 0.4, max(ends.max(), 0) + 0.4
    left, inner, row = 110, 430, 28

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * inner

    drawn = [text(12, 22, title, colour=INK, anchor="start", weight="bold")]
    drawn.append(f'<path d="M{at(0):.1f} 36v{row * (len(steps) + 1) + 6}" stroke="{GREY}"/>')
    bars = [(name, ends[i], ends[i + 1]) for i, name in enumerate(steps)] + [("answer", 0.0, ends[-1])]
    for place, (name, start, end) in enumerate(bars):
        y = 42 + place * row
        colour = PALETTE[0] if end >= start else PALETTE[1]
        colour = INK if name == "answer" else colour
        width = max(abs(at(end) - at(start)), 1.0)
        drawn.append(f'<rect x="{min(at(start), at(end)):.1f}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>')
        if name != "answer":
            drawn.append(f'<path d="M{at(end):.1f} {y + 18}v{row - 18}" stroke="{SOFT}" stroke-dasharray="2 2"/>')
        drawn.append(text(left - 10, y + 14, name, colour=INK, anchor="end"))
        drawn.append(text(left + inner + 58, y + 14, f"{end - start:+.2f}", colour=INK, anchor="end"))
    y = 42 + len(bars) * row + 16
    answer, other = classes[best], classes[second]
    drawn.append(text(at(0), y, "0"))
    drawn.append(text(left + inner / 2, y + 20, f"log-odds of {answer} against {other}, nats (right: for {answer})"))
    return svg(620, y + 32, drawn)


def main() -> None:
    """Draw both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    file = parser.parse_args().study
    torch.set_num_threads(1)
    project = project_of(file.resolve().parent)
    settings: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    ((_, environment),) = environments_of(settings, project)
    corpus, own = read_source(environment.ingest, environment.features, []), environment.models.of("evidence")
    recipe = Recipe.of(corpus, "evidence", environment.train.config(own), own.settings, environment.train.seeds[0])
    trained = fit(recipe, run_folder(environment.checkpoints, recipe), variant="evidence").trained
    test = corpus.only("test")
    parts, logits = contributions(trained, test)
    exact = {name: oracle_evidence(test, name) for name in test.frames}
    panels = {name: (exact[name], centred(parts[f"evidence.{name}"])) for name in exact}
    images = project / "docs" / "images"
    (images / "evidence-contributions.svg").write_text(scatter(panels), "utf-8")
    for name, (x, y) in panels.items():
        slope = float((x * y).sum() / (x * x).sum())
        print(f"{name}: correlation {np.corrcoef(x.ravel(), y.ravel())[0, 1]:.3f}, slope {slope:.3f}, n = {x.size}")  # noqa: T201
    labels = test.utterances.labels[recipe.schema.target.name]
    row = shown_row(parts, logits, labels)
    title = f"Evidence for one utterance of duet (label: {recipe.schema.target.classes[labels[row]]})"
    drawn = waterfall({name: values[row] for name, values in parts.items()}, recipe.schema.target.classes, title)
    (images / "evidence-waterfall.svg").write_text(drawn, "utf-8")


def shown_row(parts: Mapping[str, Array], logits: Array, labels: Any) -> int:
    """Return the first utterance that is answered rightly, with some doubt, and whose modalities disagree."""
    ranked = np.argsort(-logits, axis=1)[:, :2]
    rows = np.arange(len(logits))
    margin = logits[rows, ranked[:, 0]] - logits[rows, ranked[:, 1]]
    steps = np.stack([v[rows, ranked[:, 0]] - v[rows, ranked[:, 1]] for n, v in parts.items() if n.startswith("evidence.")])
    fits = (ranked[:, 0] == labels) & (margin > 1) & (margin < 3) & (steps.min(axis=0) < -0.5) & (steps.max(axis=0) > 1)
    return int(np.flatnonzero(fits)[0])


if __name__ == "__main__":
    main()
