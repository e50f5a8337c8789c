"""Text model of textualised features: equal words give equal answers, and an absent modality says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import DataError
from lacuna.models import Recognizer, build
from lacuna.synthetic import duet
from small_systems import prepared, without

TALK = duet.generate(duet.preset("tiny"))


def fitted(**settings: object) -> tuple[Recognizer, Batch]:
    return prepared("text_compound", "classification", **settings)


def reordered(batch: Batch, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    """The batch with its tokens and their presence in another order."""
    return replace(
        batch, tokens={"text": change(batch.tokens["text"])}, present={**batch.present, "text": change(batch.present["text"])}
    )


def talk(**settings: object) -> tuple[Recognizer, Batch]:
    batch = collate(TALK, np.arange(len(TALK)), TALK.schema(), fit_statistics(TALK))
    model = build("text_compound", TALK.schema(), width=16, **settings)
    model.prepare(lambda: [batch])
    return model.eval(), batch


def nudged(model: Recognizer, batch: Batch, by: float) -> tuple[Batch, torch.Tensor]:
    """The batch with all audio frames moved, and the utterances whose words are the same (U,) bool."""
    moved = batch.features["audio"] + by * batch.present["audio"].unsqueeze(2)
    other = replace(batch, features={**batch.features, "audio": moved})
    return other, (model.words(other)[0] == model.words(batch)[0]).all(dim=1)


def test_equal_words_give_equal_answers_and_other_words_other_answers() -> None:
    model, batch = fitted()
    other, same = nudged(model, batch, 0.05)
    assert 0 < same.sum() < len(same)
    difference = (model(other).logits - model(batch).logits).abs().amax(dim=1)
    assert (difference[same] == 0).all()
    assert (difference[~same] > 0).all()


def test_the_rival_reads_the_values_themselves() -> None:
    model, batch = fitted(inputs="values")
    other = replace(batch, features={m: 1.01 * x for m, x in batch.features.items()})
    assert ((model(other).logits - model(batch).logits).abs().amax(dim=1) > 0).all()


def test_the_bins_of_a_column_hold_equal_shares_of_the_training_split() -> None:
    model, batch = fitted(bins=3)
    words, said = model.words(batch)
    assert said.all()
    shares = torch.stack([(words % 3 == bin_number).double().mean(dim=0) for bin_number in range(3)])
    assert (shares - 1 / 3).abs().max() < 0.05
    assert torch.equal(words.div(3, rounding_mode="floor"), torch.arange(words.shape[1]).expand_as(words))


@pytest.mark.parametrize("inputs", ["words", "values"])
def test_an_absent_modality_adds_no_word(inputs: str) -> None:
    model, batch = fitted(inputs=inputs)
    _, said = (model.words if inputs == "words" else model.values.values)(without(batch, "audio"))
    assert said.sum(dim=1).tolist() == [6 + 4] * len(batch)  # the columns of text and vision
    with torch.no_grad():  # embeddings of the words of audio change no answer without audio
        width = 3 if inputs == "words" else 1
        before = model(without(batch, "audio")).logits, model(batch).logits
        model.embedding[6 * width : 11 * width] += 5.0
        model.salience[6 * width : 11 * width] += 5.0
    assert torch.equal(model(without(batch, "audio")).logits, before[0])
    assert (model(batch).logits - before[1]).abs().max() > 1e-2


def test_the_transcript_is_read_word_by_word_in_any_order_where_the_corpus_has_token_ids() -> None:
    model, batch = talk()
    alone = batch.observe({m: torch.zeros_like(p) for m, p in batch.present.items() if m != "text"})
    features = {**alone.features, "text": torch.randn(alone.features["text"].shape)}
    assert torch.equal(model(replace(alone, features=features)).logits, model(alone).logits), "frames of text are not read"
    torch.testing.assert_close(model(reordered(alone, lambda x: x.flip(1))).logits, model(alone).logits)
    assert (model(reordered(alone, lambda x: x.roll(1, 0))).logits - model(alone).logits).abs().max() > 1e-3


def test_a_transcript_alone_is_a_text() -> None:
    _, batch = talk()
    model = build("text_compound", replace(TALK.schema(), modalities=TALK.schema().modalities[:1]), width=16).eval()
    model.prepare(lambda: [batch])
    assert (model(batch).logits - model(without(batch, "text")).logits).abs().amax(dim=1)[batch.available()[:, 0]].min() > 0


def test_token_ids_that_are_lost_are_named() -> None:
    model, batch = talk()
    with pytest.raises(DataError, match="reads the words of transcripts, but these frames have no token ids"):
        model(replace(batch, tokens={}))
    model, batch = talk(inputs="values")
    assert torch.isfinite(model(replace(batch, tokens={})).logits).all()
