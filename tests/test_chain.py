"""The chain ingest, preprocess, mask, train, recover, evaluate, report on a tiny corpus: what is handed on agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession

from lacuna.corpus import open_corpus
from lacuna.errors import ConfigError
from lacuna.evaluation import sweep
from lacuna.evaluation.recovery.export import read_completion
from lacuna.missing import Layout, published_plans, read_masks
from lacuna.pipelines.parameters import Evaluate
from lacuna.training import load_recognizers

EVALUATE: dict[str, Any] = {
    "patterns": ["rmm", "rmfm", "fixed"],
    "rates": [0.0, 0.5],
    "mask_seeds": [0, 1],
    "replicates": 100,
    "workers": 1,
}
INPUT, OUTPUT = "data/05_model_input/duet", "data/07_model_output/duet"


def run(project: Path, *names: str, **changes: dict[str, Any]) -> None:
    parameters: dict[str, Any] = {
        "ingest": {"duet": {"preset": "tiny"}},
        "train": {
            "models": ["prior", "ridge"],
            "seeds": [0],
            "workers": 1,
            "training": {"epochs": 1},
            "checkpoints": str(project / "data/06_models/duet/checkpoints"),
        },
        "evaluate": EVALUATE,
    }
    for key, change in changes.items():
        parameters[key] = parameters.get(key, {}) | change
    parameters["replace"] = True  # a test repeats a run with other settings
    with KedroSession.create(project, env="base", runtime_params=parameters) as session:
        session.run(pipeline_names=list(names))


@pytest.fixture
def trained(project: Path) -> Path:
    run(project, "ingest", "preprocess", "mask", "train", "recover")
    return project


def test_the_file_of_masks_holds_exactly_what_evaluate_uses(trained: Path) -> None:
    corpus = open_corpus(trained / "data/02_intermediate/duet/corpus")
    test, labels = corpus.only("test"), corpus.only("train").utterances.labels["emotion"]
    path = trained / INPUT / "masks.safetensors"
    plans = Evaluate(**EVALUATE).config().plans([m.name for m in test.modalities])
    file, others = read_masks(path), published_plans(str(path))
    assert file.ids == tuple(test.ids)
    assert [(m.pattern, m.rate, m.seed) for m in file.masks] == [(p.pattern.name, p.rate, p.seed) for p in plans]

    layout, rows = Layout.of(test), np.arange(len(test))
    for plan, other in zip(plans, others, strict=True):
        used, stored = plan.over(layout).present(rows), other.over(layout).present(rows)
        assert all(np.array_equal(used[m], stored[m]) for m in used), str(plan)

    recognizer = load_recognizers(trained / "data/06_models/duet/recognizers")[-1]
    drawn, read = (sweep(recognizer, test, some, training_labels=labels) for some in (plans, others))
    assert np.array_equal(drawn.counts, read.counts)
    assert [c.measured for c in drawn.conditions] == [c.measured for c in read.conditions]

    table = pd.read_parquet(trained / INPUT / "masks.parquet")
    assert table["measured_rate"].tolist() == [c.measured for c in drawn.conditions]
    figure = json.loads((trained / INPUT / "masks.json").read_text("utf-8"))
    assert len(figure["data"]) == len(EVALUATE["patterns"])


def test_evaluate_scores_under_masks_from_a_file(trained: Path) -> None:
    run(trained, "evaluate")
    drawn = pd.read_parquet(trained / OUTPUT / "all.parquet")
    path = str(trained / INPUT / "masks.safetensors")
    run(trained, "evaluate", evaluate={"patterns": [{"name": "file", "settings": {"path": path, "mask": "rmm"}}]})
    read = pd.read_parquet(trained / OUTPUT / "all.parquet")
    assert set(read["pattern"]) == {"file"}
    assert set(read["setting"]) == {f"rmm@{read_masks(Path(path)).sha256[:8]}"}
    keys = ["model", "rate", "mask_seed", "metric"]
    columns = [*keys, "measured_rate", "value", "n"]
    expected = drawn[drawn["pattern"] == "rmm"][columns].sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(read[columns].sort_values(keys, ignore_index=True), expected)
    run(trained, "report", evaluate={"patterns": [{"name": "file", "settings": {"path": path, "mask": "rmm"}}]})


def test_recover_completes_the_test_split_for_other_software(trained: Path) -> None:
    folder = trained / OUTPUT / "completed"
    test = open_corpus(trained / "data/02_intermediate/duet/corpus").only("test")
    completion = read_completion(folder)
    assert completion.corpus is not None
    assert completion.corpus.ids == test.ids
    assert completion.facts["variant"] == "ridge"
    (archive,) = folder.glob("features-*.npz")
    with np.load(archive) as arrays:
        assert arrays["ids"].tolist() == test.ids
        for modality in (m.name for m in test.modalities):
            truth = np.concatenate([test.frames[modality].of(i) for i in range(len(test))])
            values, filled = arrays[modality], arrays[f"{modality}.filled"]
            assert arrays[f"{modality}.count"].tolist() == test.frames[modality].count.tolist()
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values[~filled], truth[~filled], rtol=1e-4, atol=1e-5)  # observed frames are as they were
            assert not np.allclose(values[filled], truth[filled], atol=1e-3)
    table = pd.read_parquet(trained / OUTPUT / "completed.parquet").set_index("modality")
    assert table["frames"].to_dict() == {m: int(filled.sum()) for m, filled in completion.filled.items()}
    assert (table["mse"] < table["mean_fill_mse"]).any()  # ridge predicts a modality from the others

    with pytest.raises(ConfigError, match="no trained 'mlp'; trained are: prior, ridge; or 'best'"):
        run(trained, "recover", recover={"model": "mlp"})
    with pytest.raises(ConfigError, match="'prior' does not recover"):
        run(trained, "recover", recover={"model": "prior"})
    assert read_completion(folder).facts == completion.facts  # a failed run leaves the old result


def test_recover_is_empty_if_no_model_recovers(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(trained, "train", train={"models": ["prior"]} | {"seeds": [0], "checkpoints": str(trained / "checkpoints")})
    with caplog.at_level("INFO", "lacuna"):
        run(trained, "recover")
    assert [m for m in caplog.messages if "nothing is completed" in m] == [
        "nothing is completed: none of the trained models recovers missing values: prior"
    ]
    folder = trained / OUTPUT / "completed"
    assert [path.name for path in folder.iterdir()] == ["recovery.json"]
    assert read_completion(folder).corpus is None
    assert pd.read_parquet(trained / OUTPUT / "completed.parquet").empty
