"""Training and scoring in parallel processes: the same bits as one by one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.errors import ConfigError, TrainingError
from lacuna.evaluation import EvaluationConfig, PatternSpec, sweep_all
from lacuna.parallel import n_workers, run_parallel
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit, fit_all
from lacuna.training.fit import Fitted

CONFIG = TrainingConfig(epochs=1, threads=1, device="cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(save_corpus(generate(preset("tiny", dialogues=16)), tmp_path_factory.mktemp("corpus")))


def test_two_processes_train_and_score_the_same_bits(corpus: Corpus, tmp_path: Path) -> None:
    recipes = [Recipe.of(corpus, name, CONFIG, seed=seed) for name in ("mlp", "context_gru") for seed in (0, 1)]
    expected = [fit(recipe).trained for recipe in recipes]
    found = [fitted.trained for fitted in fit_all(recipes, tmp_path, ["a", "b", "c", "d"], workers=2)]
    assert [one.variant for one in found] == ["a", "b", "c", "d"]
    for one, other in zip(expected, found, strict=True):
        assert one.selection.value == other.selection.value
        assert all(torch.equal(v, other.model.state_dict()[k]) for k, v in one.model.state_dict().items())
    config = EvaluationConfig((PatternSpec("rmm"),), rates=(0.0, 0.5), mask_seeds=(0,))
    labels = corpus.only("train").utterances.labels["emotion"]
    alone, together = (sweep_all(found, corpus.only("test"), config, labels, workers=w) for w in (1, 2))
    assert [s.model for s in alone] == [s.model for s in together]
    assert all((a.counts == b.counts).all() for a, b in zip(alone, together, strict=True))


def test_what_is_trained_first_is_trained_once_and_before_what_waits_for_it(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = []

    def recorded(function: Any, jobs: Any, *arguments: Any, **options: Any) -> Any:
        rounds.append(sorted(job.model for job in jobs))
        return run_parallel(function, jobs, *arguments, **options)

    monkeypatch.setattr("lacuna.training.many.run_parallel", recorded)
    by = {"recovered_by": {"model": "ridge"}}
    recipes = [Recipe.of(corpus, name, CONFIG, by) for name in ("mlp", "linear")]
    recipes.append(Recipe.of(corpus, "combined", CONFIG, {"members": [{"model": "mlp", "settings": by}, "prior"]}))
    found = [fitted.trained.model.state_dict() for fitted in fit_all(recipes, tmp_path, workers=2)]
    runs = sorted(folder.parent.parent.name for folder in tmp_path.glob("*/seed-0-*/result.json"))
    assert runs == ["combined", "linear", "mlp", "prior", "ridge"]
    assert rounds == [["prior", "ridge"], ["linear", "mlp"], ["combined"]]
    for recipe, weights in zip(recipes, found, strict=True):
        alone = fit(recipe).trained.model.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in alone.items())


def test_an_error_in_a_process_reaches_the_caller(corpus: Corpus, tmp_path: Path) -> None:
    recipes = [Recipe.of(corpus, "mlp", CONFIG, seed=seed) for seed in (0, 1)]
    (tmp_path / "mlp").write_text("a file where folders should be")
    with pytest.raises(TrainingError, match="nothing can be written"):
        fit_all(recipes, tmp_path, workers=2)


def test_a_corpus_in_memory_is_trained_on_here(tmp_path: Path) -> None:
    corpus = generate(preset("tiny", dialogues=16))
    assert corpus.folder is None
    assert len(fit_all([Recipe.of(corpus, "prior", CONFIG, seed=s) for s in (0, 1)], tmp_path, workers=2)) == 2


def test_the_number_of_workers() -> None:
    assert n_workers(None, 100) >= 1
    assert n_workers(None, 100, on_gpu=True) == 1
    assert n_workers(8, 3) == 3
    assert n_workers(2, 0) == 1
    with pytest.raises(ConfigError, match="at least one worker"):
        n_workers(0, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(run_parallel(str, range(5), workers)) == ["0", "1", "2", "3", "4"]


def test_the_log_says_how_much_is_left(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Three trainings of an hour and a half each; a fourth ended before and is not counted."""
    recipes = [Recipe.of(corpus, "prior", CONFIG, seed=seed) for seed in range(4)]
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    fit_all(recipes[:1], tmp_path, workers=1)

    def slow_fit(recipe: Recipe, *args: Any, **options: Any) -> Fitted:
        clock[0] += 5400.0 if recipe.seed else 0.0
        return fit(recipe, *args, **options)

    monkeypatch.setattr("lacuna.training.many.fit", slow_fit)
    with caplog.at_level(logging.INFO, logger="lacuna.training.many"):
        fit_all(recipes, tmp_path, workers=1)
    lines = [record.getMessage().split(":")[0] for record in caplog.records if record.name == "lacuna.training.many"]
    assert lines == [
        "3 trainings with 1 worker; 1 ended before",
        "1 of 3 trainings ended, about 3 h 0 min left",
        "2 of 3 trainings ended, about 90 min left",
        "3 of 3 trainings ended",
    ]
