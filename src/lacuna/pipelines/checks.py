"""Check that pipelines that run one by one read results of one corpus, one state of it, and one set of recognisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.errors import DataError
from lacuna.evaluation import CEILINGS
from lacuna.evaluation.recovery.quality import MEAN_FILL
from lacuna.evaluation.tables import CEILING
from lacuna.training import TrainedRecognizer


def check_statistics(given: Statistics, corpus: Corpus) -> None:
    """Refuse statistics that were taken of another corpus, or of other splits.

    Raises:
        DataError: they are not those of the training split.
    """
    here, there = fit_statistics(corpus).to_tensors(), given.to_tensors()
    if here.keys() != there.keys() or any(not np.array_equal(here[name], there[name]) for name in here):
        raise DataError(
            "the statistics are not those of the training split",
            corpus=corpus.name,
            hint="run `preprocess` before `train`: kedro run --pipelines preprocess,train",
        )


def check_same_corpus(recognizers: list[TrainedRecognizer], digest: str, name: str) -> None:
    """Refuse recognisers that were trained on another state of the corpus.

    Raises:
        DataError: the corpus was ingested again, and differently, since they were trained.
    """
    other = [r for r in recognizers if r.data != digest]
    if other:
        raise DataError(
            f"{len(other)} recognisers, first '{other[0].variant}', were trained on another state of the corpus",
            corpus=name,
            expected=digest,
            found=other[0].data or "no digest",
            hint="it was ingested again since: kedro run --pipelines preprocess,train,evaluate,report",
        )


def check_recovery(recovery: pd.DataFrame, points: pd.DataFrame, recognizers: list[TrainedRecognizer]) -> None:
    """Refuse recoveries of other recognisers than the report speaks of.

    Raises:
        DataError: models or seeds differ.
    """
    own = recovery[~recovery["model"].isin([MEAN_FILL, CEILING])]
    found, expected = _runs(own), {(r.variant, r.seed) for r in recognizers if r.model.recovers}
    shown = _runs(points[points["model"] != CEILING])
    if (len(recovery) and found != expected) or not shown <= expected:
        raise DataError(
            "what was recovered is not of these recognisers",
            expected=", ".join(f"{m} {s}" for m, s in sorted(expected)),
            found=", ".join(f"{m} {s}" for m, s in sorted(found | shown)),
            hint="score them again: kedro run --pipelines evaluate,report",
        )


def _runs(table: pd.DataFrame) -> set[tuple[str, int]]:
    return set(zip(table["model"], table["seed"], strict=True))


def check_scores(scores: pd.DataFrame, recognizers: list[TrainedRecognizer], corpus_facts: dict[str, Any]) -> None:
    """Refuse tables of other recognisers or of another test split than the report speaks of.

    Raises:
        DataError: models, seeds or the number of test utterances differ.
    """
    own = scores[~scores["model"].isin(CEILINGS)]
    found, expected = _runs(own), {(r.variant, r.seed) for r in recognizers}
    if found != expected or own["n"].max() > corpus_facts["utterances"].get("test", 0):
        raise DataError(
            "the scores are not of these recognisers and this test split",
            corpus=corpus_facts["name"],
            expected=", ".join(f"{m} {s}" for m, s in sorted(expected)),
            found=", ".join(f"{m} {s}" for m, s in sorted(found)),
            hint="score them again: kedro run --pipelines evaluate,report",
        )
