"""Answers from the past only: no later turn can change them, in any registered model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.evaluation import EvaluationConfig, PatternSpec, has_ceiling, sweep, sweep_ceilings
from lacuna.evaluation.past import answer_from_past, prefixes
from lacuna.evaluation.predict import answer, inference
from lacuna.models import Recognizer, build, list_models, model_class
from lacuna.synthetic.duet import Oracle, preset
from lacuna.synthetic.duet import generate as generate_duet
from lacuna.training import Recipe, TrainingConfig, fit
from lacuna.training.loader import Loader
from standin import StandIn, generate

TURNS = 5
READERS = [name for name in list_models() if model_class(name).needs_dialogue]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=6, turns=TURNS, dims=(("text", 6), ("audio", 5), ("vision", 4)), frames=4, absent=0.2))


def built(name: str, corpus: Corpus, **settings: int) -> tuple[Recognizer, Batch]:
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = build(name, schema, **model_class(name).tiny, **settings)
        model.prepare(lambda: Loader(corpus.only("train"), schema, statistics, 7, model.needs_dialogue))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.2)
    return model.eval(), collate(corpus, np.arange(len(corpus)), schema, statistics)


def other_future(batch: Batch, t: int) -> Batch:
    """Return the batch with all that follows turn t changed: frames, which of them exist, how many there are, and speakers."""
    later = batch.turn > t
    generator = torch.Generator().manual_seed(t)
    features, present = {}, {}
    for name, frames in batch.features.items():
        longer = torch.nn.functional.pad(frames, (0, 0, 0, 3))
        flags = torch.nn.functional.pad(batch.present[name], (0, 3))
        flags = torch.where(later[:, None], torch.rand(flags.shape, generator=generator) < 0.7, flags)
        noise = 5 * torch.randn(longer.shape, generator=generator)
        features[name] = torch.where(later[:, None, None], noise, longer) * flags[..., None]
        present[name] = flags
    speaker = torch.where(later, batch.speaker.flip(0), batch.speaker)
    return replace(batch, features=features, present=present, speaker=speaker)


@pytest.mark.parametrize("name", [*READERS, "linear with a window"])
def test_no_later_turn_changes_an_answer(name: str, corpus: Corpus) -> None:
    model, batch = built(name, corpus) if name in READERS else built("linear", corpus, window=1)
    with inference(model, "cpu"):
        expected, whole = answer_from_past(model, batch).logits, answer(model, batch).logits
        for t in range(TURNS - 1):
            changed = other_future(batch, t)
            so_far = (batch.turn <= t).numpy()
            np.testing.assert_array_equal(answer_from_past(model, changed).logits[so_far], expected[so_far])
        assert (answer_from_past(model, changed).logits != expected).any()
        last = (batch.turn == TURNS - 1).numpy()
    np.testing.assert_allclose(expected[last], whole[last], rtol=1e-3, atol=1e-4)  # the whole dialogue is in the past by then


def test_the_spread_of_a_value_is_from_the_past_too() -> None:
    model, batch = built("evidence", generate(StandIn(dialogues=6, turns=TURNS), "regression"))
    with inference(model, "cpu"):
        past, whole = answer_from_past(model, batch).spread, answer(model, batch).spread
    last = (batch.turn == TURNS - 1).numpy()
    np.testing.assert_allclose(past[last], whole[last], rtol=1e-4)
    assert (past[~last] != whole[~last]).any()


def test_a_later_turn_changes_the_ordinary_answer(corpus: Corpus) -> None:
    """Otherwise the test above would test nothing."""
    model, batch = built("context_gru", corpus)
    with inference(model, "cpu"):
        assert (answer(model, batch).logits[0] != answer(model, other_future(batch, 0)).logits[0]).any()


def test_every_turn_ends_one_prefix(corpus: Corpus) -> None:
    _, batch = built("linear", corpus)
    shuffled = batch.take(torch.cat([torch.arange(10, 13), torch.arange(5)]))  # dialogues of 3 and 5 turns
    ends = []
    for t, (rows, prefix) in enumerate(prefixes(shuffled)):
        assert int(prefix.turn.max()) == t
        ends += rows.tolist()
    assert sorted(ends) == list(range(8))


def test_a_sweep_of_the_past_is_another_sweep(corpus: Corpus) -> None:
    recipe = Recipe.of(corpus, "context_gru", TrainingConfig(epochs=1))
    trained, test = fit(recipe).trained, corpus.only("test")
    plans = EvaluationConfig((PatternSpec("rmm"),), rates=(0.0, 0.5), mask_seeds=(0,)).plans(["text", "audio", "vision"])
    labels = corpus.only("train").utterances.labels[recipe.schema.target.name]
    past, whole = (sweep(trained, test, plans, training_labels=labels, past_only=flag) for flag in (True, False))
    assert past.fingerprint != whole.fingerprint
    again = sweep(trained, test, plans, training_labels=labels, past_only=True, batch_size=TURNS)
    np.testing.assert_allclose(past.counts, again.counts, rtol=1e-5)


def test_the_exact_posterior_of_the_past_is_that_of_the_cut_dialogue() -> None:
    duet = generate_duet(preset("tiny", dialogues=30))
    oracle = Oracle.of(duet)
    so_far = oracle.filtered(duet)
    for t in (0, 2):
        rows = np.flatnonzero(duet.utterances.turn <= t)
        cut = oracle.posterior(duet.take(rows))
        last = duet.utterances.turn[rows] == t
        np.testing.assert_allclose(so_far[rows[last]], cut[last], atol=1e-12)
    assert has_ceiling(duet, "emotion")
    plans = EvaluationConfig((PatternSpec("rmm"),), rates=(0.0,), mask_seeds=(0,)).plans(["text", "audio", "vision"])
    labels = duet.only("train").utterances.labels["emotion"]
    past, whole = (sweep_ceilings(duet.only("test"), plans, training_labels=labels, past_only=flag)[0] for flag in (True, False))
    assert past.pooled.part("log_loss")[0] > whole.pooled.part("log_loss")[0]


def test_the_next_emotion_is_the_posterior_of_an_unobserved_turn() -> None:
    """Hide everything of the last turn: its smoothed posterior, averaged over who speaks, is the prediction before it."""
    duet = generate_duet(preset("tiny", dialogues=12, turns=(4, 4)))
    oracle, u = Oracle.of(duet), duet.utterances
    following = oracle.filtered(duet, following=True)
    np.testing.assert_allclose(following.sum(axis=1), 1)
    last = u.turn == 3
    hidden = {m: np.repeat(~last, frames.count) for m, frames in duet.frames.items()}
    before = np.flatnonzero(last) - 1
    total = np.zeros((len(before), following.shape[1]))
    for other_speaks, weight in ((True, oracle.settings.alternate), (False, 1 - oracle.settings.alternate)):
        speaker = u.speaker.copy()
        for row in before:
            next_speaker = next(s for s in u.speaker[u.dialogue == u.dialogue[row]] if s != u.speaker[row] or not other_speaks)
            speaker[row + 1] = next_speaker if other_speaks else u.speaker[row]
        view = replace(duet, utterances=replace(u, speaker=speaker))
        total += weight * oracle.posterior(view, hidden)[last]
    np.testing.assert_allclose(following[before], total, atol=1e-10)
