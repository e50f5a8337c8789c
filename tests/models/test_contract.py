"""The contract of every recogniser. A new model is tested as soon as it is registered, with the settings of its ``tiny``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import Recognizer, build, list_models, model_class
from lacuna.models.evidence import EvidenceModel
from lacuna.models.layers.paired_gru import PairedGRU
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.training.loader import Loader
from standin import StandIn, generate

MODELS = list_models()
THREE = (("text", 6), ("audio", 5), ("vision", 4))
SHAPES = {
    "vectors": StandIn(dialogues=6, turns=5, dims=THREE, absent=0.2),
    "sequences": StandIn(dialogues=6, turns=5, dims=THREE, frames=7, absent=0.2),
    "one-modality": StandIn(dialogues=6, turns=5, dims=THREE[:1], frames=3),
    "four-modalities": StandIn(dialogues=6, turns=5, dims=(*THREE, ("pulse", 1)), signal=(0.9, 0.6, 0.4, 0.4), absent=0.3),
}
Made = tuple[Recognizer, Batch, Corpus]


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(name: str, shape: str = "vectors", task: str = "classification", rows: list[int] | None = None) -> Made:
    corpus = generate(SHAPES[shape], task)
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 7, model.needs_dialogue))
    batch = collate(corpus, np.arange(len(corpus)) if rows is None else np.array(rows), schema, statistics)
    return model.eval(), batch, corpus


def masks(batch: Batch, seed: int = 0, share: float = 0.5) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return batch.observe({m: torch.rand(p.shape, generator=generator) >= share for m, p in batch.present.items()})


@pytest.mark.parametrize("task", ["classification", "soft", "regression"])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_with_the_right_shape_and_a_finite_gradient(name: str, shape: str, task: str) -> None:
    model, complete, _ = make(name, shape, task)
    observed = masks(complete)
    prediction = model(observed)
    assert prediction.logits.shape == (len(complete), model.schema.target.width)
    assert prediction.logits.dtype == torch.float32
    assert torch.isfinite(prediction.logits).all()
    assert len({stage.name for stage in model.stages}) == len(model.stages), f"model '{name}': give each stage its own name"
    for stage in model.stages:
        total = sum(model.losses(complete, observed, stage.name).values())
        assert total.ndim == 0
        assert torch.isfinite(total)
        if model.learns:
            model.zero_grad()
            total.backward()
            assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
            assert any((p.grad != 0).any() for p in model.parameters() if p.grad is not None)


def test_does_not_write_into_its_input(name: str) -> None:
    model, complete, _ = make(name, "sequences")
    observed = masks(complete)
    before = {m: x.clone() for m, x in observed.features.items()}, {m: p.clone() for m, p in observed.present.items()}
    model.train()
    with torch.random.fork_rng():
        for stage in model.stages:
            model.losses(complete, observed, stage.name)
    for m in before[0]:
        assert torch.equal(before[0][m], observed.features[m])
        assert torch.equal(before[1][m], observed.present[m])


def test_observed_frames_are_returned_unchanged(name: str) -> None:
    model, complete, _ = make(name, "sequences")
    observed = masks(complete)
    recovered = model(observed).recovered
    assert bool(recovered) == model.recovers, f"model '{name}': declare recovers = {bool(recovered)}"
    for m, frames in recovered.items():
        assert frames.shape == observed.features[m].shape
        assert torch.isfinite(frames).all()
        assert torch.equal(frames[observed.present[m]], observed.features[m][observed.present[m]])


def test_what_is_not_observed_has_no_influence(name: str) -> None:
    """A zero is not silence: whatever numbers lie behind an absent frame, the answer is the same."""
    model, complete, _ = make(name, "sequences")
    observed = masks(complete)
    other = {m: torch.where(observed.present[m][..., None], x, 1e3) for m, x in complete.features.items()}
    again = masks(replace(complete, features=other))
    assert torch.equal(model(observed).logits, model(again).logits)


@pytest.mark.parametrize("gone", ["nothing", "one modality", "all but one", "everything"])
def test_any_set_of_modalities_may_be_missing(name: str, gone: str) -> None:
    model, complete, _ = make(name, "sequences")
    hidden = {"nothing": [], "one modality": ["text"], "all but one": ["text", "audio"], "everything": list(complete.features)}[
        gone
    ]
    observed = complete.observe({m: torch.zeros_like(complete.present[m]) for m in hidden})
    prediction = model(observed)
    assert torch.isfinite(prediction.logits).all()
    assert all(torch.isfinite(x).all() for x in prediction.recovered.values())


def test_answers_one_utterance_and_dialogues_of_one_turn(name: str) -> None:
    model, one, _ = make(name, rows=[3])
    assert model(one).logits.shape[0] == 1
    model, firsts, _ = make(name, rows=[0, 5, 10])
    assert torch.isfinite(model(firsts).logits).all()


@pytest.mark.parametrize("shape", ["vectors", "sequences"])
def test_order_and_company_in_the_batch_do_not_matter(name: str, shape: str) -> None:
    """CIDer's published code answers by position in the batch (positions were added along the wrong axis)."""
    model, complete, _ = make(name, shape)
    observed = masks(complete)
    logits = model(observed).logits
    order = torch.randperm(len(complete), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(observed.take(order)).logits, logits[order], rtol=1e-4, atol=1e-5)
    if not model.needs_dialogue:
        one = observed.take(torch.tensor([7]))
        hint = f"model '{name}' reads other utterances: declare needs_dialogue = True\n"
        torch.testing.assert_close(model(one).logits, logits[[7]], rtol=1e-4, atol=1e-5, msg=lambda text: hint + text)
    alone = torch.nonzero(observed.dialogue == observed.dialogue[7]).squeeze(1)
    torch.testing.assert_close(model(observed.take(alone)).logits, logits[alone], rtol=1e-4, atol=1e-5)


def test_padding_has_no_influence(name: str) -> None:
    model, complete, _ = make(name, "sequences")
    observed = masks(complete)
    longer = replace(
        observed,
        features={m: torch.nn.functional.pad(x, (0, 0, 0, 9)) for m, x in observed.features.items()},
        present={m: torch.nn.functional.pad(p, (0, 9)) for m, p in observed.present.items()},
    )
    torch.testing.assert_close(model(longer).logits, model(observed).logits, rtol=1e-4, atol=1e-5)


def test_is_deterministic_and_survives_its_state(name: str) -> None:
    model, complete, _ = make(name, "sequences")
    observed = masks(complete)
    logits = model(observed).logits
    assert torch.equal(logits, model(observed).logits)
    twin, _, _ = make(name, "sequences")
    assert torch.equal(logits, twin(observed).logits)
    fresh = build(name, model.schema, **model_class(name).tiny)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(logits, fresh.eval()(observed).logits)


def test_may_be_an_ensemble_with_calibrated_probabilities(name: str) -> None:
    """The settings `ensemble` and `calibrate` work for every model: learning, recovery, draws, state and validation."""
    corpus = generate(SHAPES["sequences"])
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    settings = {**model_class(name).tiny, "ensemble": 2, "calibrate": True}
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **settings)
    model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 7, model.needs_dialogue))
    observed = masks(collate(corpus, np.arange(len(corpus)), schema, statistics))
    if model.learns:
        sum(model.losses(observed, observed, model.stages[0].name).values()).backward()
    model.eval()
    with torch.no_grad():
        before = model(observed).logits
        model.settle(lambda: [observed], lambda logits: sum(0 * float(x.sum()) for x in logits))
        prediction = model(observed)
        temperature = model.temperature(observed.available())
        torch.testing.assert_close(prediction.logits * temperature, model.inner(observed).logits)
        assert before.shape == prediction.logits.shape
        for m, frames in prediction.recovered.items():
            assert torch.equal(frames[observed.present[m]], observed.features[m][observed.present[m]])
        if model.samples:
            drawn = model.sample(observed, 3, seed=0)
            assert {m: x.shape for m, x in drawn.items()} == {m: (3, *x.shape) for m, x in observed.features.items()}
        fresh = build(name, schema, **settings).eval()
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(observed).logits, prediction.logits)


@pytest.mark.parametrize("name", [name for name in MODELS if model_class(name).learns])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_learns_eight_utterances_by_heart(name: str, task: str) -> None:
    model, batch, _ = make(name, task=task, rows=[0, 1, 2, 3, 4, 5, 6, 7])

    def loss() -> torch.Tensor:
        return torch.stack([sum(model.losses(batch, batch, s.name).values(), torch.zeros(())) for s in model.stages]).sum()

    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    first = float(loss().detach())
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        for _ in range(400):
            optimizer.zero_grad()
            total = loss()
            if float(total.detach()) < 0.1 * first:
                return
            total.backward()
            optimizer.step()
    pytest.fail(f"the loss went from {first:.3g} to {float(loss().detach()):.3g} only")


def test_only_a_model_that_samples_has_the_method(name: str) -> None:
    model, complete, _ = make(name)
    observed = masks(complete)
    can_sample = hasattr(model_class(name), "sample")
    assert can_sample == model.samples, f"model '{name}': declare samples = {can_sample}"
    if not model.samples:
        return
    drawn = model.sample(observed, 2, seed=0)  # type: ignore[operator]
    for m, frames in drawn.items():
        assert frames.shape == (2, *observed.features[m].shape)
        seen = observed.present[m].expand(2, -1, -1)
        assert torch.equal(frames[seen], observed.features[m].expand(2, -1, -1, -1)[seen])


def test_what_a_model_learns_is_what_it_declares(name: str) -> None:
    model, _, _ = make(name)
    trainable = any(p.requires_grad for p in model.parameters())
    assert trainable == model.learns, f"model '{name}': declare learns = {trainable}"


def test_recurrent_networks_are_exact_under_autocast(name: str) -> None:
    """On CUDA autocast would run them in float16, whatever it was asked for."""
    model, batch, _ = make(name)
    if isinstance(model, EvidenceModel):
        model.load_state_dict(model.state_dict() | {"vectors": torch.tensor(False)})  # its GRU is for sequences alone
    found: list[torch.dtype] = []
    recurrent = [module for module in model.modules() if isinstance(module, torch.nn.RNNBase | PairedGRU | TwoWayLSTM)]
    ours = [module for module in recurrent if isinstance(module, PairedGRU | TwoWayLSTM)]
    inside = {id(part) for module in ours for part in module.modules() if part is not module}
    recurrent = [module for module in recurrent if id(module) not in inside]

    def note(module: torch.nn.Module, _: object, out: Any) -> None:
        tensor = out if isinstance(out, torch.Tensor) else out[0]  # a tensor or packed sequence, and the last state
        found.append((tensor if isinstance(tensor, torch.Tensor) else tensor.data).dtype)

    for module in recurrent:
        module.register_forward_hook(note)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(masks(batch)).logits
    assert set(found) <= {torch.float32}
    assert len(found) >= len(recurrent), f"model '{name}' has a recurrent network that its prediction does not use; remove it"
    assert torch.isfinite(logits).all()


def test_moves_between_devices(name: str) -> None:
    model, batch, _ = make(name)
    expected = model(batch).logits
    device = "cuda" if torch.cuda.is_available() else "meta"
    there = model.to(device)
    assert all(x.device.type == device for x in (*there.parameters(), *there.buffers()))
    if device == "cuda":
        torch.testing.assert_close(there(batch.to("cuda")).logits.cpu(), expected, rtol=1e-3, atol=1e-4)
