"""The setting `dialogue`: models of single utterances read the other turns of a dialogue, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError
from lacuna.models import Recognizer, build, list_models, model_class
from lacuna.training.loader import Loader
from standin import StandIn, generate

CORPUS = generate(
    StandIn(dialogues=6, turns=5, dims=(("text", 6), ("audio", 5), ("vision", 4)), signal=(0.9, 0.6, 0.4), frames=4, absent=0.2)
)
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)
RECOVERING = ["ae", "cider", "cider_as_published", "cra", "dicmor", "imder", "mmin", "repaint", "rohydr"]
WITHOUT = {
    "clip_caer",
    "combined",
    "gbdt",
    "knn",
    "logreg",
    "mhpf",
    "prior",
    "ridge",
}  # no head of layers/head.py, or one that combines
SINGLE = [name for name in list_models() if not model_class(name).needs_dialogue and name not in WITHOUT]


def made(name: str, dialogue: int) -> tuple[Recognizer, Batch]:
    """A prepared model with random weights in its dialogue encoder, which starts from zero, and a masked batch."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.random.default_generator.manual_seed(0)
        model = build(name, SCHEMA, **model_class(name).tiny, dialogue=dialogue)
        model.prepare(lambda: Loader(CORPUS.only("train"), SCHEMA, STATISTICS, 7, model.needs_dialogue))
        for parameter_name, parameter in model.named_parameters():
            if ".context." in parameter_name or name == "linear":
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    batch = collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)
    generator = torch.Generator().manual_seed(0)
    return model.eval(), batch.observe({m: torch.rand(p.shape, generator=generator) >= 0.3 for m, p in batch.present.items()})


@pytest.mark.parametrize("name", SINGLE)
def test_reads_the_turns_of_its_dialogue_and_no_others(name: str) -> None:
    model, batch = made(name, 8)
    assert model.needs_dialogue
    logits = model(batch).logits
    changed = batch.observe({m: (torch.arange(len(batch)) != 7).unsqueeze(1) for m in batch.present})  # turn 2 of dialogue 1
    difference = (model(changed).logits - logits).abs().amax(dim=1)
    same = batch.dialogue == batch.dialogue[7]
    assert (difference[same] > 1e-6).all()
    assert (difference[~same] < 1e-6).all()
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(batch.take(order)).logits, logits[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cider", "rohydr", "mlp"])
def test_padding_has_no_influence_on_any_turn(name: str) -> None:
    model, batch = made(name, 8)
    longer = replace(
        batch,
        features={m: torch.nn.functional.pad(x, (0, 0, 0, 3)) for m, x in batch.features.items()},
        present={m: torch.nn.functional.pad(p, (0, 3)) for m, p in batch.present.items()},
    )
    torch.testing.assert_close(model(longer).logits, model(batch).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SINGLE)
def test_every_stage_learns_with_finite_gradients(name: str) -> None:
    model, batch = made(name, 8)
    model.train()
    reached = False
    with torch.random.fork_rng():
        for stage in model.stages:
            model.zero_grad()
            sum(model.losses(batch, batch, stage.name).values()).backward()  # type: ignore[union-attr]
            gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            assert all(torch.isfinite(g).all() for g in gradients.values())
            reached |= any(".context." in n and bool((g != 0).any()) for n, g in gradients.items())
    assert reached


@pytest.mark.parametrize("name", SINGLE)
def test_off_by_default_and_at_the_start_it_adds_nothing(name: str) -> None:
    """Without the setting there is no encoder; with it, the answer of untrained weights does not depend on other turns."""
    plain = build(name, SCHEMA, **model_class(name).tiny)
    assert not any("context." in parameter for parameter, _ in plain.named_parameters())
    assert not plain.needs_dialogue
    model = build(name, SCHEMA, **model_class(name).tiny, dialogue=8).eval()
    batch = made(name, 0)[1]
    alone = batch.take(torch.tensor([7]))
    torch.testing.assert_close(model(alone).logits, model(batch).logits[[7]], rtol=1e-4, atol=1e-5)


def test_works_with_the_other_wrappers_and_within_an_ensemble() -> None:
    settings = {"ensemble": 2, "window": 1, "maci": {}, "calibrate": True, "dialogue": 8, "recovered_by": "ridge"}
    model = build("mlp", SCHEMA, **settings).eval()
    batch = made("mlp", 0)[1]
    with torch.no_grad():
        model.settle(lambda: [batch], lambda logits: sum(0 * float(x.sum()) for x in logits))
    assert torch.isfinite(model(batch).logits).all()


@pytest.mark.parametrize(("name", "message"), [("context_gru", "reads dialogues already"), ("ridge", "has no head")])
def test_a_model_that_cannot_have_an_encoder_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, SCHEMA, dialogue=8)
