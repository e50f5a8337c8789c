"""What the results pages say must be so, on the real corpora with the committed settings. Skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from lacuna.corpus import Corpus
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.splits import carve_valid
from lacuna.corpus.statistics import fit_statistics
from lacuna.evaluation import EvaluationConfig, PatternSpec, against_baseline, bootstrap, summarise, sweep
from lacuna.pipelines.environments import read_environment
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.training import Recipe, TrainingConfig, fit

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="module")
def mosi(shared_data: Path) -> Corpus:
    settings = yaml.safe_load((CONF / "mosi/parameters.yml").read_text("utf-8"))["ingest"]
    corpus = import_corpus(shared_data / "cmu_mosi", importer=settings["importer"], name="mosi")
    return carve_valid(corpus, settings["valid_share"], seed=0)


@pytest.fixture(scope="module")
def summary(mosi: Corpus) -> pd.DataFrame:
    training = yaml.safe_load((CONF / "base/parameters_train.yml").read_text("utf-8"))["train"]["training"]
    labels = mosi.only("train").utterances.labels["polarity"]
    plans = EvaluationConfig((PatternSpec("rmm"), PatternSpec("fixed")), mask_seeds=(0,)).plans([m.name for m in mosi.modalities])
    parts = mosi.only("train"), mosi.only("valid")
    sweeps = []
    for name in ("linear", "mlp", "context_gru"):
        fitted = fit(Recipe(name, mosi.schema(), *parts, fit_statistics(mosi), TrainingConfig(**training)))
        sweeps.append(sweep(fitted.trained, mosi.only("test"), plans, training_labels=labels))
    table = summarise(bootstrap(sweeps, 200))
    return table[table["metric"] == "weighted_f1"]


def test_linear_reaches_the_known_floor_on_complete_mosi(summary: pd.DataFrame) -> None:
    complete = summary[(summary["model"] == "linear") & (summary["pattern"] == "rmm") & (summary["rate"] == 0)]
    assert complete["mean"].item() >= 0.74


def test_no_model_falls_below_the_constant_while_a_modality_is_there(summary: pd.DataFrame) -> None:
    assert set(against_baseline(summary)["verdict"]) == {"above"}


def test_iemocap_is_read_with_its_own_splits_and_six_emotions(shared_data: Path) -> None:
    environment = read_environment(CONF.parent, "iemocap", {"ingest": {"path": str(shared_data / "iemocap")}})
    corpus = read_source(environment.ingest, environment.features, [])
    assert corpus.targets[0].name == "emotion"
    assert set(corpus.targets[0].classes) == {"ang", "exc", "fru", "hap", "neu", "sad"}
    assert int(corpus.labelled("emotion").sum()) == 7433
    assert [len(corpus.only(split)) for split in ("train", "valid", "test")] == [5766, 2103, 2170]


def test_absences_of_youtube_are_counted_exactly(shared_data: Path) -> None:
    corpus = import_corpus(shared_data / "mfn_sequences/sequences.npz", importer="mfn", name="youtube", set="youtube")
    assert corpus.absences()["audio"] == {"train": 125, "valid": 29, "test": 37}
    assert corpus.absences()["vision"] == {"train": 129, "valid": 30, "test": 40}
