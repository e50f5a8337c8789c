from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch
from lacuna.corpus.statistics import Statistics
from lacuna.errors import ConfigError, TrainingError
from lacuna.models import Recognizer, Stage, build
from lacuna.training import Loader, TrainingConfig
from lacuna.training.steps import learning_rate, stage_steps, update


def batches(corpus: Corpus, statistics: Statistics, size: int) -> list[tuple[Batch, Batch]]:
    loader = Loader(corpus.only("train"), corpus.schema(), statistics, size)
    return [(b, b) for b in loader]


def step(
    model: Recognizer, pairs: list[tuple[Batch, Batch]], config: TrainingConfig | None = None, **changes: Any
) -> dict[str, float]:
    config = config or TrainingConfig()
    steps = changes.pop("steps", None) or stage_steps(model, config)
    return update(
        model, steps, pairs, **{"rate": 0.01, "clip_norm": 0.0, "cast": nullcontext(), "where": "epoch 1, update 1"} | changes
    )


def test_a_stage_steps_its_own_parameters_only(corpus: Corpus, statistics: Statistics) -> None:
    model = build("staged", corpus.schema())
    pairs = batches(corpus, statistics, 16)[:1]
    for stage in stage_steps(model, TrainingConfig()):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        logged = step(model, pairs, steps=[stage])
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved == {name for name in before if name.startswith(stage.stage.parameters)}
        assert all(name.startswith(f"{stage.stage.name}/") for name in logged)
        assert all(p.grad is None for p in model.parameters())  # nothing stale for the next stage


def test_weight_decay_moves_nothing_of_another_stage(corpus: Corpus, statistics: Statistics) -> None:
    model = build("staged", corpus.schema())
    config = TrainingConfig(weight_decay=0.5)
    judge = [s for s in stage_steps(model, config) if s.stage.name == "judge"]
    before = model.head.weight.detach().clone()
    for pair in batches(corpus, statistics, 16):
        step(model, [pair], config, steps=judge)
    assert torch.equal(model.head.weight, before)


def test_accumulated_gradients_are_those_of_one_large_batch(corpus: Corpus, statistics: Statistics) -> None:
    large, small = (build("toy", corpus.schema(), dropout=0.0) for _ in range(2))
    small.load_state_dict(large.state_dict())
    labelled = corpus.take(np.flatnonzero(corpus.labelled()))
    step(large, batches(labelled, statistics, 64)[:1])
    logged = step(small, batches(labelled, statistics, 16)[:4])
    assert set(logged) == {"task/grad_norm", "task/task"}
    for a, b in zip(large.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_long_gradients_are_clipped(corpus: Corpus, statistics: Statistics) -> None:
    model = build("toy", corpus.schema())
    steps = stage_steps(model, TrainingConfig())
    seen: list[float] = []
    steps[0].optimizer.register_step_pre_hook(
        lambda *_: seen.append(float(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()))
    )
    logged = step(model, batches(corpus, statistics, 16)[:1], steps=steps, clip_norm=1e-3)
    assert logged["task/grad_norm"] > 1e-3
    assert seen[0] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_a_loss_that_is_not_finite_stops_with_names(bad: str, corpus: Corpus, statistics: Statistics) -> None:
    model = build("toy", corpus.schema(), bad_after=0, bad=bad)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    pair = batches(corpus, statistics, 16)[0]
    with pytest.raises(TrainingError) as error:
        step(model, [pair], where="epoch 3, update 2 of 9")
    text = str(error.value)
    for part in ("'toy'", "epoch 3, update 2 of 9", "stage 'task'", f"extra {bad}", "grad_norm", *pair[0].ids[:5], "and 11 more"):
        assert part in text
    assert error.value.utterances == tuple(pair[0].ids)
    assert error.value.facts["stage"] == "task"
    assert repr(error.value.facts["losses"]["extra"]) == bad
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_out_of_memory_says_how_large_the_batch_was(corpus: Corpus, statistics: Statistics) -> None:
    model = build("toy", corpus.schema(), bad_after=0, bad="memory")
    with pytest.raises(
        TrainingError, match=r"(?s)16 utterances \(text \(16, 1, 6\).+halve batch_size and double accumulate"
    ) as error:
        step(model, batches(corpus, statistics, 16)[:1])
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)
    assert "not quite the same steps" in str(error.value)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Stage("a", ("nothing",)),), "no parameter starts with nothing"),
        ((Stage("a"), Stage("a")), "another stage has that name"),
    ],
)
def test_wrong_stages_are_refused(
    stages: tuple[Stage, ...], message: str, corpus: Corpus, toys: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys.Toy, "stages", stages)
    with pytest.raises(ConfigError, match=message):
        stage_steps(build("toy", corpus.schema()), TrainingConfig())


@pytest.mark.parametrize(("epochs", "warns"), [(5, True), (6, False)])
def test_a_stage_that_begins_after_the_last_epoch_is_named(
    epochs: int, warns: bool, corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "lacuna")
    stage_steps(build("vaemo", corpus.schema(), pretraining=5), TrainingConfig(epochs=epochs))
    assert ("stage 'task' begins in epoch 6, but training has 5 epochs" in caplog.text) == warns


def test_schedules() -> None:
    cosine = TrainingConfig(schedule="cosine", learning_rate=1.0)
    assert [round(learning_rate(cosine, x), 6) for x in (0, 0.5, 1, 2)] == [1, 0.5, 0, 0]
    assert learning_rate(TrainingConfig(learning_rate=0.5), 0.9) == 0.5


def test_stages_may_share_an_optimiser_and_let_their_gradient_leak(corpus: Corpus, statistics: Statistics) -> None:
    """As CIDer's published loop: two steps of one Adam, the second with the sum of both gradients."""

    class Twice(Recognizer):
        def __init__(self, leak: bool) -> None:
            super().__init__(corpus.schema())
            self.name, self.leak = "twice", leak
            self.w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))

        @property
        def stages(self) -> tuple[Stage, ...]:
            return Stage("one", optimizer="both", keeps_gradient=self.leak), Stage("two", optimizer="both")

        def forward(self, batch: Batch) -> Any:
            raise NotImplementedError

        def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, torch.Tensor]:
            return {"loss": self.w.square().sum() if stage == "one" else (self.w - 3).square().sum()}

    pair = batches(corpus, statistics, 16)[0]
    config = TrainingConfig(weight_decay=0.0)
    for leak in (True, False):
        model = Twice(leak)
        step(model, [pair], config)
        expected = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        adam = torch.optim.AdamW([expected], lr=0.01, weight_decay=0.0)
        expected.grad = first = 2 * expected.detach()
        adam.step()
        expected.grad = 2 * (expected.detach() - 3) + (first if leak else 0)
        adam.step()
        torch.testing.assert_close(model.w, expected)


def test_stages_that_share_an_optimiser_must_step_the_same(corpus: Corpus) -> None:
    model = build("staged", corpus.schema())
    stages = tuple(Stage(s.name, s.parameters, optimizer="both") for s in model.stages)
    type_of = type("Shared", (type(model),), {"stages": property(lambda _: stages)})
    model.__class__ = type_of
    with pytest.raises(ConfigError, match="share an optimiser, but not their parameters"):
        stage_steps(model, TrainingConfig())


def test_a_stage_says_in_which_epochs_it_is_stepped() -> None:
    def epochs(**timing: Any) -> list[int]:
        return [epoch for epoch in range(8) if Stage("task", **timing).runs(epoch)]

    assert epochs() == list(range(8))
    assert epochs(first=2, end=5) == [2, 3, 4]
    assert epochs(end=0) == []
    assert epochs(first=1, every=3, turn=1) == [2, 5]
