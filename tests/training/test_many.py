"""Training and scoring in parallel processes: the same bits as one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.errors import ConfigError, TrainingError
from lacuna.evaluation import EvaluationConfig, PatternSpec, sweep_all
from lacuna.parallel import n_workers, run_parallel
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit, fit_all

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
