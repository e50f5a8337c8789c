"""A made-up corpus and models small enough to train in a blink, for the tests and for the process that is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lacuna.corpus import Channel, Corpus, Schema, Target, assemble
from lacuna.corpus.batch import Batch
from lacuna.models import Config, Prediction, Recognizer, Stage, base, task_loss
from lacuna.models.layers.pooling import pooled

DIMS = {"text": 6, "audio": 4, "vision": 3}


def make_corpus(task: str = "classification", *, dialogues: int = 24, turns: int = 5, frames: int = 1, seed: int = 0) -> Corpus:
    """Dialogues whose emotion shifts every modality; the last third is for validation (and one dialogue for test)."""
    rng = np.random.default_rng(seed)
    total = dialogues * turns
    emotion = rng.integers(0, 3, total)
    shift = {m: 1.5 * rng.normal(size=(3, dim)) for m, dim in DIMS.items()}

    def channel(name: str, dim: int) -> Channel:
        counts = rng.integers(1, frames + 1, total)
        values: list[Any] = [shift[name][e] + rng.normal(size=(n, dim)) for e, n in zip(emotion, counts, strict=True)]
        values[3] = None  # one original absence
        return Channel(values)

    labels: Any = emotion.astype(float)
    target = Target("emotion", "classification", ("a", "b", "c"))
    if task == "soft":
        labels, target = 0.8 * np.eye(3)[emotion] + 0.2 / 3, Target("emotion", "soft", ("a", "b", "c"))
    if task == "regression":
        labels, target = emotion - 1.0, Target("emotion", "regression", low=-1, high=1)
    labels[7] = -1 if task == "classification" else np.nan  # one unlabelled utterance
    parts = ["train"] * (2 * dialogues // 3) + ["valid"] * (dialogues // 3 - 1) + ["test"]
    return assemble(
        "toy",
        ids=[f"u{i}" for i in range(total)],
        dialogues=[f"d{i // turns}" for i in range(total)],
        turns=[i % turns for i in range(total)],
        speakers=[f"s{i % 2}" for i in range(total)],
        channels={name: channel(name, dim) for name, dim in DIMS.items()},
        targets=(target,),
        labels={target.name: labels},
        splits=[parts[i // turns] for i in range(total)],
    )


@dataclass(frozen=True)
class ToyConfig(Config):
    width: int = 8
    dropout: float = 0.3
    bad_after: int = -1  # the loss of which call is not finite
    bad: str = "nan"


class Toy(Recognizer):
    """One hidden layer with dropout; may be told to break."""

    Config = ToyConfig
    prepared: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.body = nn.Sequential(
            nn.Linear(sum(schema.dims.values()), self.config.width), nn.Tanh(), nn.Dropout(self.config.dropout)
        )
        self.head = nn.Linear(self.config.width, schema.target.width)
        self.register_buffer("prepared", torch.zeros(()))
        self.calls = 0

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self.prepared += sum(len(batch) for batch in batches())

    def forward(self, batch: Batch) -> Prediction:
        return Prediction(self.head(self.body(pooled(batch))))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        terms = super().losses(complete, observed, stage)
        self.calls += 1
        if self.calls - 1 == self.config.bad_after:
            if self.config.bad == "memory":
                raise torch.OutOfMemoryError("CUDA out of memory")
            terms["extra"] = terms["task"] * float(self.config.bad)
        return terms


class Staged(Toy):
    """Three stages: rebuild what is hidden, judge what was rebuilt, name the emotion. The judge is only stepped by itself."""

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        width = sum(schema.dims.values())
        self.rebuild = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.2))
        self.judge = nn.Linear(width, 1)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("rebuild", ("rebuild",)), Stage("judge", ("judge",)), Stage("task", ("body", "head", "rebuild")))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        guess, truth = self.rebuild(pooled(observed)), pooled(complete)
        if stage == "rebuild":
            return {"error": (guess - truth).square().mean(), "fool": -self.judge(guess).mean() * 0.1}
        if stage == "judge":
            return {"hinge": (1 - self.judge(truth)).relu().mean() + (1 + self.judge(guess.detach())).relu().mean()}
        logits = self.head(self.body(guess))
        return {"task": task_loss(self.schema.target, logits, observed.label)}


class Talk(Toy):
    """Reads the mean of the dialogue too."""

    needs_dialogue = True

    def forward(self, batch: Batch) -> Prediction:
        own = self.body(pooled(batch))
        _, code = torch.unique(batch.dialogue, return_inverse=True)
        together = own.new_zeros(int(code.max()) + 1, own.shape[1]).index_add(0, code, own)
        return Prediction(self.head(own + together[code] / torch.bincount(code)[code, None]))


class Kept(Toy):
    """The gradient of the first stage is added to that of the second."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("first", keeps_gradient=True), Stage("second"))


class Still(Toy):
    """Learns nothing."""

    learns = False


MODELS = {"toy": Toy, "staged": Staged, "talk": Talk, "kept": Kept, "still": Still}


def install(put: Callable[[dict[str, Any], str, Any], object]) -> None:
    """Register the toys with ``put(registry, name, class)``, so that a test can take them out again."""
    for name, cls in MODELS.items():
        cls.name = name
        put(base._REGISTRY._classes, name, cls)
