"""Many classes and many modalities cost what is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError
from lacuna.evaluation import EvaluationConfig, PatternSpec
from lacuna.evaluation.sweep import _check_memory, most_groups
from lacuna.metrics import counts as module
from lacuna.metrics.counts import count, width
from lacuna.metrics.scores import metrics_of
from lacuna.models.layers import sureness


def _target(n_classes: int) -> Target:
    return Target("mood", "classification", tuple(f"c{i}" for i in range(n_classes)))


def test_counts_grow_with_the_number_of_classes_not_with_its_square() -> None:
    assert width(_target(2000)) < 2 * width(_target(1000)) < 7000


@pytest.mark.parametrize(("n_classes", "groups"), [(2, 512), (64, 512), (65, 504), (128, 256), (1000, 64)])
def test_more_classes_have_fewer_groups_of_dialogues(n_classes: int, groups: int) -> None:
    assert most_groups(_target(n_classes)) == groups
    assert most_groups(_target(n_classes), most=3) == 3
    assert most_groups(None) == most_groups(Target("score", "regression")) == 512


def test_metrics_without_a_confusion_matrix_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, target = np.random.default_rng(0), _target(7)
    labels, dialogue = rng.integers(7, size=300), np.arange(300) // 20
    logits = rng.normal(size=(300, 7)) + 2 * np.eye(7)[labels]
    scores = {}
    for most in (64, 6):
        monkeypatch.setattr(module, "MOST_CLASSES", most)
        module.columns.cache_clear()
        counts = count(target, logits, labels, dialogue, 15)
        scores[most] = {m.name: m.compute(counts).tolist() for m in metrics_of(target, detail=True)}
    module.columns.cache_clear()
    assert scores[6] == scores[64]


def test_scores_of_many_classes_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    p = torch.randint(1, 5, (50, 8), generator=torch.Generator().manual_seed(0)).double() / 20  # with ties
    pairs = sureness.adaptive_scores(p)
    monkeypatch.setattr(sureness, "_PAIRWISE_CLASSES", 2)
    torch.testing.assert_close(sureness.adaptive_scores(p), pairs)


@pytest.mark.parametrize(("n_modalities", "n_subsets"), [(3, 7), (5, 31), (6, 13), (12, 25), (20, 41)])
def test_subsets_of_many_modalities_are_few_unless_asked(n_modalities: int, n_subsets: int) -> None:
    names = [f"m{i:02}" for i in range(n_modalities)]
    assert len(EvaluationConfig((PatternSpec("fixed"),)).plans(names)) == n_subsets


def test_what_takes_hours_is_refused_before_it_begins() -> None:
    with pytest.raises(ConfigError, match=r"12 modalities have 4095 subsets(.|\n)*do: set subsets"):
        EvaluationConfig((PatternSpec("fixed"),), subsets="all").plans([f"m{i}" for i in range(12)])
    with pytest.raises(ConfigError, match="subsets must be"):
        EvaluationConfig(subsets="each")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="GiB for each model and seed"):
        _check_memory(10_000, 512, _target(60))
