"""AffectGPT's pre-fusion: the queries give no attention to a missing modality."""

from __future__ import annotations

import torch

from small_systems import everything, small, without


def test_a_missing_modality_gets_no_attention_and_the_others_get_it() -> None:
    model, names = small("affectgpt_prefusion"), list(everything().features)
    shares = model.attention(everything())  # type: ignore[operator]
    assert shares.shape == (len(everything()), 2, 3)
    for m, name in enumerate(names):
        batch = without(everything(), name)
        rest = model.attention(batch)  # type: ignore[operator]
        assert (rest[..., m] == 0).all()
        gained = (rest - shares)[batch.available().any(dim=1) & everything().available()[:, m]]
        assert (gained.sum(dim=2) <= 1e-6).all()  # the learned key takes a part
        assert (gained[..., [i for i in range(3) if i != m]] >= -1e-6).all()
    assert (model.attention(without(everything(), *names)) == 0).all()  # type: ignore[operator]


def test_every_query_token_reaches_the_answer() -> None:
    model, batch = small("affectgpt_prefusion", queries=3), everything()
    before = model(batch).logits.detach()
    for query in range(3):
        with torch.no_grad():
            model.queries[query].neg_()  # type: ignore[index, union-attr]
            assert (model(batch).logits - before).abs().max() > 1e-4
            model.queries[query].neg_()  # type: ignore[index, union-attr]
