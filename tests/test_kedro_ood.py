"""The ood pipeline as a person runs it: from nothing to a report, with test labels out of training's reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession

from lacuna.errors import DataError
from lacuna.pipelines import ood
from lacuna.pipelines.ood.parameters import Compared

SMALL: dict[str, Any] = {
    "ingest": {"duet": {"preset": "tiny"}},
    "train": {"models": ["prior", "context_gru", "context_gru_maci"], "seeds": [0], "training": {"epochs": 1}},
    "models": {"context_gru_maci": {"model": "context_gru", "settings": {"maci": {}}}},
    "ood": {
        "repartition": {"unit": "utterance", "size": 12, "budget": 0.3, "steps": 300, "expected": 1.0, "random_splits": 2},
        "compare": [{"unit": "dialogue", "pool": "all", "size": 12, "budget": 1.0}],
        "evaluate": {"rates": [0.0, 0.5], "mask_seeds": [0], "replicates": 100},
        "corruptions": [{"name": "noise", "severity": 1.0}, {"name": "time_shift", "severity": 0.25}],
        "least_group": 3,
    },
}


def run(project: Path, **changes: dict[str, Any]) -> None:
    parameters = {key: SMALL.get(key, {}) | changes.get(key, {}) for key in {*SMALL, *changes}}
    parameters["train"]["checkpoints"] = str(project / "data/06_models/duet/checkpoints")
    with KedroSession.create(project, env="base", runtime_params=parameters) as session:
        session.run(pipeline_names=["ood"])


def test_from_nothing_to_a_report_and_parts_of_another_repartition_are_refused(project: Path) -> None:
    run(project)
    made = json.loads((project / "data/02_intermediate/duet/ood_parts.json").read_text("utf-8"))
    assert len(made["parts"]["iid"]) == len(made["parts"]["ood"]) == 12
    with KedroSession.create(project, env="base") as session:
        catalog = session.load_context().catalog
        reach = catalog.load("ood.corpus@development")
        assert not {*made["parts"]["iid"], *made["parts"]["ood"], *made["parts"]["unused"]} & set(reach.ids)
        assert set(np.unique(reach.utterances.split)) == {0, 1}
        assert set(catalog.load("ood.corpus@test").ids) == {*made["parts"]["iid"], *made["parts"]["ood"]}
    tests = ["iid", "ood", "noise 1", "time_shift 0.25", "generated"]
    output = project / "data/07_model_output/duet"
    for name in ("summary", "areas"):
        assert list(dict.fromkeys(pd.read_parquet(output / f"ood_{name}.parquet")["test"])) == tests
    assert set(pd.read_parquet(output / "ood_gaps.parquet")["test"]) == set(tests[1:])
    divergences = pd.read_parquet(output / "ood_divergences.parquet")
    assert divergences["used"].tolist() == [True, False]
    assert divergences["budget"].tolist() == [0.3, 1.0]
    assert divergences["steps"].tolist() == [300, 300]  # what `compare` does not name is inherited
    folder = project / "data/08_reporting/duet/ood"
    page = (folder / "ood.html").read_text("utf-8")
    results = (folder / "results.md").read_text("utf-8").replace("\\_", "_")
    for text in (page, results):
        assert "context_gru_maci" in text
        assert "majority-class baseline" in text
        assert "Causal inference of context_gru_maci" in text
        assert "Prediction sets on the IID and the shifted tests" in text
    assert "| majority-class baseline |" in results
    assert (folder / "tables/gaps-rmm.tex").is_file()

    # the id lists are held against the corpus that is scored
    path = project / "data/02_intermediate/duet/ood_parts.json"
    made["parts"]["train"], made["parts"]["ood"] = made["parts"]["ood"], made["parts"]["train"]
    path.write_text(json.dumps(made), "utf-8")
    parameters = SMALL | {"train": SMALL["train"] | {"checkpoints": str(project / "c")}}
    with (
        KedroSession.create(project, env="base", runtime_params=parameters) as session,
        pytest.raises(DataError, match="the corpus was split by another repartition"),
    ):
        session.run(pipeline_names=["ood"], node_names=["ood.score_tests"])


def test_a_comparison_changes_what_it_names_and_nothing_else() -> None:
    assert Compared.model_validate({"unit": "dialogue", "pool": "test"}).changes() == {"unit": "dialogue", "pool": "test"}
    named = {"unit": "utterance", "pool": "all", "size": None, "budget": 0.05, "steps": 0}
    assert Compared.model_validate(named).changes() == named


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"repartition": {"kind": "colour"}}, "kind"),
        ({"repartition": {"kind": "labels"}}, "'toward' must be the share of each class"),
        ({"corruptions": [{"name": "rust", "severity": 1.0}]}, "unknown corruption 'rust'"),
        ({"corruptions": [{"name": "noise"}]}, "severity"),
        ({"others": [{"name": "x", "path": "y"}]}, "classes"),
    ],
)
def test_a_wrong_setting_stops_the_run_before_its_first_node(project: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match=told):
        run(project, ood=SMALL["ood"] | wrong)
    assert not (project / "data").exists()


def test_only_training_and_scoring_are_for_the_gpu_and_it_is_no_part_of_the_main_job() -> None:
    nodes = ood.create_pipeline().nodes
    assert {n.name for n in nodes if "gpu" in n.tags} == {"ood.train.train_recognizers", "ood.score_tests"}
    from lacuna.pipeline_registry import MAIN

    assert "ood" not in MAIN


def test_the_wiring_keeps_tests_from_training() -> None:
    training = next(n for n in ood.create_pipeline().nodes if n.name == "ood.train.train_recognizers")
    assert {name for name in training.inputs if "corpus" in name} == {"ood.corpus@development"}
