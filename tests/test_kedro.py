"""The project as a person runs it: whole, by pipelines, with wrong settings, and with data that lack a modality."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.framework.session import KedroSession

from lacuna.corpus import save_corpus
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import CEILINGS
from lacuna.pipelines import evaluate, ingest, mask, predict, preprocess, recover, report, train, tune
from lacuna.pipelines.validation import KINDS, OF_RUN, OTHERS, check_parameters, mistakes, sections
from lacuna.runs import list_project_runs
from lacuna.settings import CONFIG_LOADER_ARGS, ConfigLoader, environments
from lacuna.synthetic.duet import Duet, generate, preset

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {
    "ingest": {"duet": {"preset": "tiny"}},
    "train": {"models": ["prior", "ridge", "context_gru"], "seeds": [0, 1], "training": {"epochs": 2}},
    "evaluate": {"rates": [0.0, 0.5, 1.0], "mask_seeds": [0], "replicates": 100},
}
CHECKPOINTS = "data/06_models/duet/checkpoints"


def run(project: Path, names: list[str], **changes: Any) -> None:
    parameters = {key: SMALL.get(key, {}) | changes.get(key, {}) for key in {*SMALL, *changes} - {*OF_RUN}}
    parameters["train"].setdefault("checkpoints", str(project / CHECKPOINTS))  # as it is, it is relative to where one stands
    parameters |= {name: value for name, value in changes.items() if name in OF_RUN}
    with KedroSession.create(project, env="base", runtime_params=parameters) as session:
        session.run(pipeline_names=names)


def test_the_main_job_ends_in_a_report_and_predict_labels_what_is_there(project: Path) -> None:
    run(project, ["__default__"])
    folder = project / "data/08_reporting/duet"
    page = (folder / "report.html").read_text("utf-8")
    assert "context_gru" in page
    assert (folder / "results.md").is_file()
    scores = pd.read_parquet(project / "data/07_model_output/duet/all.parquet")
    assert set(scores["model"]) == {"prior", "ridge", "context_gru", *CEILINGS}
    assert set(scores["pattern"]) == {"rmm", "fixed", "outage"}
    recovery = pd.read_parquet(project / "data/07_model_output/duet/recovery.parquet")
    assert set(recovery["model"]) == {"ridge", "mean fill", "oracle"}  # the others recover nothing
    points = pd.read_parquet(project / "data/07_model_output/duet/recovered_points.parquet")
    assert set(points["model"]) == {"ridge", "oracle"}
    assert '<section id="recovery"' in page
    assert (folder / "tables/recovery-mse-rmm-50-utterance.csv").is_file()

    voice_only = project / "voice"
    voice_only.mkdir()
    rows = pd.DataFrame({"id": ["x1", "x2"], "dialogue": ["x", "x"], "turn": [0, 1], "speaker": ["A", "B"]})
    rows.to_csv(voice_only / "utterances.csv", index=False)
    np.save(voice_only / "audio.npy", np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32))
    run(project, ["predict"], predict={"path": str(voice_only)})
    answers = pd.read_csv(project / "data/07_model_output/duet/predictions.csv")
    assert answers["id"].tolist() == ["x1", "x2"]
    assert answers["absent"].tolist() == ["text+vision"] * 2
    np.testing.assert_allclose(answers.filter(like="p_").sum(axis=1), 1)


@pytest.mark.slow
def test_variants_of_a_model_lie_side_by_side(project: Path) -> None:
    variants = {"mlp_small": {"model": "mlp", "settings": {"hidden": 8}}, "mlp_again": {"model": "mlp"}}
    names = ["mlp_small", "mlp", "mlp_again"]
    train = {"models": [*names, "flat"], "seeds": [0], "training": {"epochs": 1}}
    few = {"patterns": ["rmm"], "rates": [0.0, 1.0], "mask_seeds": [0], "replicates": 100}
    run(project, ["__default__"], models=variants | {"flat": {"model": "prior"}}, train=train, evaluate=few)
    for name in ("all", "summary", "areas", "history"):
        table = pd.read_parquet(project / f"data/07_model_output/duet/{name}.parquet")
        assert set(table["model"]) - {*CEILINGS} == {*names, "flat"}, name
    confusions = pd.read_parquet(project / "data/07_model_output/duet/confusion.parquet")
    assert set(names) <= set(confusions["model"])

    assert pd.read_parquet(project / "data/07_model_output/duet/recovery.parquet").empty  # none of them recovers
    report = project / "data/08_reporting/duet"
    assert '<section id="recovery"' not in (report / "report.html").read_text("utf-8")
    told = "mlp_small: mlp with hidden 8; mlp_again: mlp with its default settings; flat: prior with its default settings"
    assert told in (report / "report.html").read_text("utf-8")
    assert told in (report / "results.md").read_text("utf-8").replace("\\_", "_")
    assert "flat (reference)" in (report / "results.md").read_text("utf-8")  # as the prior is
    card = (report / "cards/mlp_small.md").read_text("utf-8")
    assert card.replace("\\_", "_").startswith("# mlp_small on duet")
    assert "- model: mlp with hidden 8\n" in card
    assert "- model:" not in (report / "cards/mlp.md").read_text("utf-8")

    folders = (project / "data/06_models/duet/recognizers").iterdir()
    assert {p.name for p in folders if p.is_dir()} == {*names, "flat"}
    assert {p.name: len(list(p.iterdir())) for p in (project / CHECKPOINTS).iterdir()} == {
        "mlp": 2,
        "prior": 1,
    }  # one run for two
    with KedroSession.create(project, env="base") as session:
        rows = session.load_context().catalog.get("recognizers").preview()["data"]
    assert [row[:2] for row in rows] == [["mlp_small", "mlp"], ["mlp", "mlp"], ["mlp_again", "mlp"], ["flat", "prior"]]

    run(project, ["predict"], predict={"path": str(project / "data/02_intermediate/duet/corpus"), "model": "mlp_small"})
    answers = pd.read_csv(project / "data/07_model_output/duet/predictions.csv")
    assert set(answers["model"]) == {"mlp_small"}
    with pytest.raises(ConfigError, match="no trained 'linear'; trained are: mlp_small, mlp, mlp_again, flat; or 'best'"):
        run(
            project,
            ["predict"],
            predict={"path": str(project / "data/02_intermediate/duet/corpus"), "model": "linear"},
            replace=True,
        )


def test_training_cannot_reach_test_labels(project: Path) -> None:
    """MMSA and LNLN chose on the test split; here the entry that training reads holds none of it."""
    run(project, ["ingest"])
    with KedroSession.create(project, env="base") as session:
        catalog = session.load_context().catalog
        development = catalog.load("corpus@development")
        assert set(np.unique(development.utterances.split)) == {0, 1}
        assert set(np.unique(catalog.load("corpus@test").utterances.split)) == {2}
    inputs = train.create_pipeline().inputs() | preprocess.create_pipeline().inputs()
    assert {name for name in inputs if "corpus" in name} == {"corpus@development"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"train": {"seeds": []}}, "seeds"),
        ({"train": {"modles": ["mlp"]}}, "modles"),
        ({"train": {"budget": 0}}, "budget"),
        ({"evaluate": {"rates": [0.0, 1.5]}}, "rates"),
        ({"ingest": {"valid_share": 2}}, "valid_share"),
        ({"models": {"mlp": {"setings": {}}}}, "setings"),
        ({"models": {"mlp": {"settings": {"hiden": 3}}}}, "hiden"),
        (
            {"models": {"mlpp": {}}},
            r"unknown model 'mlpp' \(did you mean 'mlp'\?\); known: (.|\n)*names its model by `model: ...`",
        ),
        ({"models": {"mlp_small": {"model": "mlpp"}}}, "variant 'mlp_small': unknown model 'mlpp' .did you mean 'mlp'"),
        ({"models": {"mlp_small": {"model": "mlp", "settings": {"hiden": 3}}}}, "hiden"),
        ({"models": {"mlp": {"model": "linear"}}}, "variant 'mlp' cannot be given to a 'linear'"),
        ({"models": {"../mlp": {"model": "mlp"}}}, "variant name '../mlp' cannot be used"),
        ({"models": {"best": {"model": "mlp"}}}, "variant 'best' is a reserved name"),
        ({"models": {"oracle": {"model": "mlp"}}}, "variant 'oracle' is a reserved name"),
        (
            {"train": {"models": ["prior", "mlpp"]}, "models": {"mlp_small": {"model": "mlp"}}},
            r"'mlpp' is neither a variant nor a registered model(.|\n)*variants.*mlp_small(.|\n)*registered.*context_gru",
        ),
        ({"train": {"seeds": [0, 0]}}, "may be named once"),
        ({"train": {"training": {"learning_rate": -1}}}, "learning_rate"),
        ({"train": {"training": {"pattern": "rmn"}}}, "rmn"),
        ({"evaluate": {"patterns": ["outagee"]}}, "outagee"),
        ({"evaluate": {"rates": [0.5, 0.1]}}, "rise strictly"),
        ({"ingest": {"importer": "mosi"}}, r"unknown importer 'mosi' \(did you mean 'mosi-csv'\?\)"),
        ({"ingest": {"duet": {"preset": "tyny"}}}, "no preset 'tyny'"),
        ({"trian": {"seeds": [0]}}, r"no parameter 'trian' \(did you mean 'train'\?\)"),
        ({"train": {"models": ["lineer"]}}, r"'lineer' (.|\n)*did you mean 'linear'"),
    ],
)
def test_a_wrong_setting_stops_the_run_before_its_first_node(project: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match=told):
        run(project, ["__default__"], **wrong)
    assert not (project / "data").exists()


def test_all_mistakes_are_told_at_once_in_plain_words(project: Path) -> None:
    wrong = {"train": {"seeds": ["one"], "modles": []}, "evaluate": {"replicates": 3}, "trian": {}}
    with pytest.raises(ConfigError) as error:
        run(project, ["__default__"], **wrong)
    lines = str(error.value).splitlines()
    assert "evaluate.replicates: expected at least 100, found 3" in lines
    assert "train.seeds.0: expected a whole number, found 'one'" in lines
    assert any(line.startswith("there is no setting 'train.modles' (did you mean 'models'?); train has: ") for line in lines)
    assert "pydantic" not in str(error.value)


def test_conf_as_it_is_has_no_mistake(project: Path) -> None:
    for name in environments(project / "conf"):
        parameters = ConfigLoader(project / "conf", name, {"quick": True}, **CONFIG_LOADER_ARGS)["parameters"]
        check_parameters(parameters)
        assert not mistakes(parameters, light=True)


def test_misspelt_names_are_refused_before_torch_is_imported(project: Path) -> None:
    code = """if True:
        import sys
        from lacuna.pipelines.validation import mistakes
        train = {"models": ["mlpp"], "seeds": [0], "checkpoints": "x"}
        evaluate = {"patterns": ["rmn"], "rates": [0.5], "mask_seeds": [0]}
        found = mistakes({"trian": {}, "train": train, "evaluate": evaluate, "ingest": {"nmae": "x"}}, light=True)
        names = ("'trian'", "'mlpp'", "'rmn'", "'ingest.nmae'")
        assert all(any(name in line for line in found) for name in names), found
        assert "torch" not in sys.modules
    """
    result = subprocess.run([sys.executable, "-c", code], check=False, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_sections_that_are_known_without_imports_are_all_sections() -> None:
    assert {*KINDS, *OTHERS} == {*sections()}
    assert all(sections()[name] is kind for name, kind in KINDS.items())


def test_an_unknown_environment_is_refused_with_a_suggestion(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no environment 'mosii' in conf/ \(did you mean 'mosi'\?\); there are: duet, "):
        ConfigLoader(project / "conf", "mosii", **CONFIG_LOADER_ARGS)


def test_a_quick_run_has_a_name_of_its_own_and_what_is_typed_counts(project: Path) -> None:
    loader = ConfigLoader(project / "conf", "mosi", {"quick": True, "train": {"seeds": [5]}}, **CONFIG_LOADER_ARGS)
    assert loader["globals"]["run"] == "mosi_quick"
    assert loader["parameters"]["train"]["models"] == ["prior", "linear", "context_gru"]
    assert loader["parameters"]["train"]["seeds"] == [5]
    assert loader["catalog"]["report"]["filepath"] == "data/08_reporting/mosi_quick"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_run_replaces_the_results_of_other_settings(project: Path) -> None:
    steps = ["ingest", "preprocess", "train"]
    first = {"train": {"models": ["prior"], "seeds": [0]}}
    run(project, steps, **first)
    before = files_of(project / "data")
    other_corpus = {"ingest": {"duet": {"preset": "tiny", "changes": {"seed": 1}}}}
    for changes in (
        {"train": {"models": ["linear"], "seeds": [0]}},
        {"train": {"models": ["prior"], "seeds": [1]}},
        first | other_corpus,
        first | {"ingest": {"path": "elsewhere"}},
        {"train": {"models": ["prior"], "seeds": [0], "training": {"epochs": 3}}},
    ):
        with pytest.raises(ConfigError, match=r"run 'duet' has results of other settings(.|\n)*--params run=duet-2"):
            run(project, steps, **changes)
        assert files_of(project / "data") == before
    run(project, steps, train={**first["train"], "workers": 1})  # no other result
    run(project, steps, **first, **other_corpus, run="duet-2")
    assert before.items() <= files_of(project / "data").items()
    run(project, steps, train={"models": ["linear"], "seeds": [0]}, replace=True)
    assert {r.name: r.models for r in list_project_runs(project)} == {"duet": ("linear",), "duet-2": ("prior",)}


def test_an_edited_source_is_noticed_before_it_replaces_the_corpus_of_results(project: Path, tmp_path: Path) -> None:
    source = save_corpus(generate(preset("tiny")), tmp_path / "source")
    steps = ["ingest", "preprocess", "train"]
    settings = {"ingest": {"name": "mine", "path": str(source)}, "train": {"models": ["prior"], "seeds": [0]}}
    run(project, steps, **settings)
    before = files_of(project / "data")
    run(project, steps, **settings)  # the same content again
    save_corpus(generate(preset("tiny", seed=1)), source)
    with pytest.raises(ConfigError, match=r"source' is not the one that(.|\n)*before: 73 utterances, now: 69(.|\n)*run=duet-2"):
        run(project, steps, **settings)
    assert files_of(project / "data") == before
    run(project, steps, **settings, replace=True)


def test_what_failed_does_not_hold_the_name(project: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        run(project, ["ingest"], ingest={"path": "nowhere"})
    run(project, ["ingest"])


def test_predictions_of_another_input_are_not_replaced(project: Path) -> None:
    small = {"train": {"models": ["prior", "linear"], "seeds": [0], "training": {"epochs": 1}}}
    run(project, ["ingest", "preprocess", "train"], **small)
    own, copied = project / "data/02_intermediate/duet/corpus", project / "copied"
    shutil.copytree(own, copied)
    run(project, ["predict"], predict={"path": str(own)})
    file = project / "data/07_model_output/duet/predictions.csv"
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=r"has the predictions of another input or model(.|\n)*predict.out=FILE.csv"):
        run(project, ["predict"], predict={"path": str(copied)})
    run(project, ["predict"], predict={"path": str(own)})
    run(project, ["predict"], predict={"path": str(copied), "out": "own/answers.csv"})
    assert (project / "own/answers.csv").read_bytes() == before == file.read_bytes()


def test_nothing_is_scored_on_what_it_was_trained_on(project: Path) -> None:
    """New splits without new training would put training dialogues into the test."""
    run(project, ["ingest", "preprocess", "train"], ingest={"split": "fold", "test_fold": 0})
    run(project, ["ingest"], ingest={"split": "fold", "test_fold": 2}, replace=True)
    with pytest.raises(DataError, match="were trained on another state of the corpus"):
        run(project, ["evaluate"], replace=True)
    with pytest.raises(DataError, match="statistics are not those of the training split"):
        run(project, ["train"], replace=True)


@pytest.mark.slow
def test_a_report_speaks_of_one_corpus_and_one_set_of_recognisers(project: Path) -> None:
    run(project, ["__default__"])
    run(project, ["train"], train={"models": ["prior"], "seeds": [5]}, replace=True)
    with pytest.raises(DataError, match="scores are not of these recognisers"):
        run(project, ["report"], replace=True)
    run(project, ["train", "evaluate", "report"], replace=True)
    path = project / "data/07_model_output/duet/recovery.parquet"
    pd.read_parquet(path).replace({"model": {"ridge": "linear"}}).to_parquet(path)
    with pytest.raises(DataError, match="what was recovered is not of these recognisers"):
        run(project, ["report"])
    run(project, ["ingest"], ingest={"duet": {"preset": "tiny", "changes": {"seed": 1}}}, replace=True)
    with pytest.raises(DataError, match="another state of the corpus"):
        run(project, ["report"])


def test_the_settings_of_duet_in_conf_are_its_defaults() -> None:
    written = yaml.safe_load((ROOT / "conf/base/parameters_duet.yml").read_text("utf-8"))["ingest"]["duet"]["changes"]
    assert Duet.from_json(written) == Duet()
    simple = {f.name for f in fields(Duet)} - {"dialogues", "turns", "ood", "text", "audio", "vision"}  # set by the preset
    assert set(written) == simple


def test_only_nodes_that_run_models_are_for_the_gpu() -> None:
    everything = (ingest, preprocess, mask, train, recover, evaluate, report, predict, tune)
    tagged = {node.name for part in everything for node in part.create_pipeline().nodes if "gpu" in node.tags}
    scored = {f"evaluate.{name}" for name in ("score_recognizers", "score_recoveries", "score_dynamics", "show_examples")}
    assert tagged == {"train.train_recognizers", "tune.run_trials", "recover.complete_test", *scored}


def test_help_imports_neither_torch_nor_the_library() -> None:
    imports = "import lacuna.settings, lacuna.hooks, lacuna.pipeline_registry, sys"
    code = f"{imports}; sys.exit(bool({{'torch', 'numpy'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
