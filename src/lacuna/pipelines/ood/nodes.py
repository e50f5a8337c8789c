"""Re-split a corpus, score recognisers on shifted, corrupted and foreign tests, and report the drops of their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lacuna.corpus import Corpus
from lacuna.corpus.importers import import_corpus
from lacuna.errors import DataError
from lacuna.evaluation import primary
from lacuna.evaluation.shift.score import ShiftConfig, ShiftTest, score_shifts
from lacuna.models.wrappers.causal import Causal
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.ood.parameters import Ood
from lacuna.pipelines.parameters import Train
from lacuna.reporting import ModelFacts, run_facts
from lacuna.reporting.shift.facts import OodReport
from lacuna.shift import PARTS, Repartition, mapped, only_part, repartition, repartitioned
from lacuna.synthetic.duet import generate
from lacuna.synthetic.duet.generate import settings_of
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

Tables = tuple[pd.DataFrame, ...]


def deal_parts(corpus: Corpus, ood: Ood, train: Train) -> tuple[Repartition, pd.DataFrame]:
    """Re-split the corpus into training, validation, an IID test and an OOD test.

    Args:
        corpus: all splits.
        ood: what shifts.
        train: names the target.

    Returns:
        The ids of each part, and a row of measurements for this repartition and for each one that it is compared with.
    """
    config = ood.repartition.config()
    chosen = repartition(corpus, config, train.target)
    rows = [_row(chosen, used=True)]
    for other in ood.compare:
        rows.append(_row(repartition(corpus, replace(config, **other.changes()), train.target), used=False))
    return chosen, pd.DataFrame(rows)


def _row(parts: Repartition, *, used: bool) -> dict[str, Any]:
    """Return the measurements of a repartition; ``used`` = recognisers are trained on it."""
    m, config = parts.measured, parts.config
    row: dict[str, Any] = {"kind": config.kind, "unit": config.unit, "pool": config.pool, "used": used}
    row |= {f"{part}_size": len(parts.parts[part]) for part in PARTS}
    row |= {"words": m.words, "budget": config.budget, "steps": config.steps, "ood": m.ood, "iid": m.iid}
    row |= {
        "random_mean": m.random_mean,
        "random_sd": m.random_sd,
        "times_random": m.times_random,
        "agreement_ood": m.agreement_ood,
    }
    row |= {"agreement_iid": m.agreement_iid, "labels_ood": m.labels_ood, "labels_iid": m.labels_iid}
    return row | {"labels_tests": m.labels_tests, "seed": config.seed}


def split_corpus(corpus: Corpus, parts: Repartition) -> Corpus:
    """Return the corpus with the splits of the repartition; its training and validation splits contain no test utterance."""
    return repartitioned(corpus, parts)


def score_tests(test: Corpus, development: Corpus, recognizers: list[TrainedRecognizer], parts: Repartition, ood: Ood) -> Tables:
    """Return the scores of every recogniser on every test, at every missing rate.

    Args:
        test: the test split of the repartitioned corpus.
        development: its training labels give the majority-class (or mean) baseline.
        recognizers: trained on this corpus.
        parts: the part of each test utterance.
        ood: the tests and the protocol.

    Returns:
        The tables of :class:`lacuna.evaluation.shift.score.ShiftTables`, and a description of each test.
    """
    check_same_corpus(recognizers, test.digest or "", test.name)
    schema, protocol = recognizers[0].schema, ood.evaluate.config()
    tests = list(_tests(test, recognizers[0], parts, ood))
    labels = development.only("train").utterances.labels[schema.target.name]
    config = ShiftConfig(protocol.replicates, protocol.level, protocol.seed, ood.least_group)
    device = pick_device(ood.evaluate.device)
    with reproducible(ood.evaluate.threads):
        scored = score_shifts(
            recognizers,
            tests,
            protocol.plans([m.name for m in test.modalities]),
            training_labels=labels,
            config=config,
            device=device,
        )
    about = [{"test": t.name, "note": t.note, "n": int(t.corpus.labelled(schema.target.name).sum())} for t in tests]
    tables = (scored.summary, scored.areas, scored.gaps, scored.groups, scored.detection, scored.comparisons, scored.sets)
    return *tables, pd.DataFrame(about)


def _tests(test: Corpus, first: TrainedRecognizer, parts: Repartition, ood: Ood) -> Iterator[ShiftTest]:
    """Yield the tests: IID, OOD, each corruption of the IID test, the generator's own OOD test, and other corpora."""
    codes = parts.codes(test)
    if (codes < PARTS.index("iid")).any():
        row = int(np.flatnonzero(codes < PARTS.index("iid"))[0])
        raise DataError(
            "the corpus was split by another repartition",
            corpus=test.name,
            utterance=test.ids[row],
            hint="run the whole pipeline: kedro run --pipelines ood",
        )
    iid = only_part(test, codes, "iid")
    yield ShiftTest("iid", iid, note="drawn at random from the utterances that are re-split")
    yield ShiftTest("ood", only_part(test, codes, "ood"), note=_SHIFTS[parts.config.kind])
    for settings in ood.corruptions:
        corruption = settings.corruption()
        yield ShiftTest(corruption.label, iid, corruption, f"the IID test, {_first_sentence(type(corruption).__doc__)}")
    generator = settings_of(test)
    if ood.generated and generator is not None:
        note = "the generator's own shifted test: scenes no longer go with emotions, other speakers"
        yield ShiftTest("generated", generate(replace(generator, ood=True)), note=note)
    for other in ood.others:
        corpus = import_corpus(other.path, importer=other.importer, name=other.name, **other.options)
        foreign = mapped(corpus, first.schema, other.classes, other.target)
        yield ShiftTest(other.name, foreign, note=f"another corpus; {foreign.provenance.notes[-1]}")


_SHIFTS = {
    "association": "words occur with other labels than in training",
    "labels": "the distribution of labels differs from training",
    "groups": "speakers or recordings that are in no other part",
    "random": "drawn at random, the control",
}


def _first_sentence(text: str | None) -> str:
    first = " ".join((text or "").replace("`", "").split()).split(";")[0].split(". ")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def compose_ood_report(
    *,
    tables: dict[str, pd.DataFrame],
    parts: Repartition,
    divergences: pd.DataFrame,
    recognizers: list[TrainedRecognizer],
    corpus_facts: dict[str, Any],
    ood: Ood,
    parameters: dict[str, Any],
) -> OodReport:
    """Return all tables with the facts that a reader needs to check or repeat them."""
    check_same_corpus(recognizers, corpus_facts["digest"], corpus_facts["name"])
    expected = list(dict.fromkeys(r.variant for r in recognizers))
    found = list(dict.fromkeys(tables["summary"]["model"]))
    if found != expected:
        raise DataError(
            "the scores are not of these recognisers",
            corpus=corpus_facts["name"],
            expected=", ".join(expected),
            found=", ".join(found),
            hint="run the whole pipeline: kedro run --pipelines ood",
        )
    by_variant = {name: [r for r in recognizers if r.variant == name] for name in expected}
    return OodReport(
        facts=run_facts(recognizers, corpus_facts, parameters, level=ood.evaluate.level, resamples=ood.evaluate.replicates),
        primary=primary(recognizers[0].schema.target),
        parts=parts,
        divergences=divergences,
        models={name: ModelFacts.of(runs) for name, runs in by_variant.items()},
        causal={name: text for name, runs in by_variant.items() if (text := _causal(runs))},
        **tables,
    )


def collect(
    *,
    summary: pd.DataFrame,
    areas: pd.DataFrame,
    gaps: pd.DataFrame,
    groups: pd.DataFrame,
    detection: pd.DataFrame,
    comparisons: pd.DataFrame,
    sets: pd.DataFrame,
    tests: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Return the tables by name."""
    tables = {"summary": summary, "areas": areas, "gaps": gaps, "groups": groups, "detection": detection}
    return tables | {"comparisons": comparisons, "sets": sets, "tests": tests}


def _causal(runs: list[TrainedRecognizer]) -> str:
    """Return what causal inference chose on validation, one number for each training seed."""
    models = [r.model for r in runs if isinstance(r.model, Causal)]
    if not models or not models[0].subtracts:
        return ""
    taus = ", ".join(f"{float(m.tau):.1f}" for m in models)
    words = sorted({int(m.bias.sum()) for m in models})
    if not len(models[0].bias):
        return f"tau {taus}; the text has no token ids, so the counterfactual has no words: its text is the mean frame"
    return f"tau {taus}; {' or '.join(map(str, words))} bias words are kept in the counterfactual"
