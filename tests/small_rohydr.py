"""A small RoHyDR with a small corpus, and what its tests do with them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import build
from lacuna.models.rohydr import RoHyDR
from lacuna.training import Loader, TrainingConfig
from lacuna.training.steps import stage_steps, update
from standin import StandIn, generate

DIMS = (("text", 6), ("audio", 5), ("vision", 4))
SMALL: dict[str, Any] = {"hidden": 16, "blocks": 1, "heads": 2, "channels": 8, "channel_blocks": 1, "width": 8, "steps": 5}


@cache
def corpus_of(frames: int = 3, absent: float = 0.0, dims: tuple[tuple[str, int], ...] = DIMS) -> Corpus:
    return generate(StandIn(dialogues=8, turns=5, dims=dims, frames=frames, absent=absent, signal=(0.9, 0.6, 0.4, 0.4)))


def made(corpus: Corpus, **changes: Any) -> tuple[RoHyDR, Batch]:
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build("rohydr", schema, **SMALL | changes)
    assert isinstance(model, RoHyDR)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 64))
    return model.eval(), collate(corpus, np.arange(len(corpus)), schema, statistics)


def moved(model: RoHyDR) -> RoHyDR:
    """Away from the start, where last layers are 0."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.random.default_generator.manual_seed(1)
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def without(batch: Batch, *names: str) -> Batch:
    return batch.observe({m: torch.zeros_like(batch.present[m]) for m in names})


def gradients(model: RoHyDR, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
    model.zero_grad()
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        total = sum(model.losses(complete, observed, stage).values(), torch.zeros(()))
    assert torch.isfinite(total)
    if total.requires_grad:
        total.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


def step(model: RoHyDR, complete: Batch, observed: Batch, *stages: str) -> None:
    steps = [s for s in stage_steps(model, TrainingConfig(weight_decay=0.1)) if s.stage.name in stages]
    assert [s.stage.name for s in steps] == list(stages)
    with torch.random.fork_rng():
        update(model, steps, [(complete, observed)], rate=0.01, clip_norm=0.0, cast=torch.enable_grad(), where="here")


def state(model: RoHyDR, prefix: str) -> dict[str, Tensor]:
    return {n: x.clone() for n, x in model.state_dict().items() if n.startswith(prefix)}
