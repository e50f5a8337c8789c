"""Tokens in place of frames, and a fusion that reads only those that exist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lacuna.corpus.batch import collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.tokens import Tokens
from lacuna.training import Loader
from small_rohydr import corpus_of, without


def test_tokens_stand_on_one_grid_and_gaps_are_asked_for() -> None:
    corpus = corpus_of(frames=7)
    schema, statistics = corpus.schema(), fit_statistics(corpus)
    tokens = Tokens(schema, 8, 3)
    tokens.fit(lambda: Loader(corpus.only("train"), schema, statistics, 64))
    batch = collate(corpus, np.arange(len(corpus)), schema, statistics)
    assert int(tokens.number) == 3
    assert tokens.stride.tolist() == [3, 3, 3]
    seen = tokens(batch)
    for m, (name, x) in enumerate(batch.features.items()):
        first = batch.present[name][:, :3]
        mean = (x[:, :3] * first[..., None]).sum(1) / first.sum(1, keepdim=True)
        torch.testing.assert_close(seen.raw[m][:, 0], mean)
    row = int((batch.present["text"].sum(1) == 7).nonzero()[0])
    holes = {m: p.clone() for m, p in batch.present.items()}
    holes["text"][row, :3] = False
    assert tokens(replace(batch, present=holes)).missing[row].tolist()[0] == [True, False, False]
    alone = tokens(without(batch, "audio", "vision"))
    reach = alone.observed[:, 0].sum(1)
    assert torch.equal(alone.missing[:, 1].sum(1), reach)  # as far as the text goes
    assert tokens(without(batch, *batch.features)).missing.all()
    back = tokens.decode(seen, seen.coded)
    assert all(torch.equal(a, b) for a, b in zip(back, seen.raw, strict=True))


def test_fusion_reads_no_token_that_does_not_exist() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        fusion = CrossModalFusion([4, 3], 8, 2, 1, 1, 0.0).eval()
        raw = [torch.randn(5, 3, 4), torch.randn(5, 3, 3)]
        keys = torch.rand(5, 2, 3) > 0.4
    loud = [torch.where(keys[:, m, :, None], x, 1e3) for m, x in enumerate(raw)]
    torch.testing.assert_close(fusion(raw, keys.unbind(1)), fusion(loud, keys.unbind(1)))
