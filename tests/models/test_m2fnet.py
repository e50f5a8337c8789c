"""M2FNet: the query modality reads the others, and the margin of its triplet loss adapts."""

from __future__ import annotations

import torch

from lacuna.models.layers.triplet import adaptive_triplet
from small_systems import everything, small, without

KNOWN = torch.ones(4, dtype=torch.bool)
CLASSES = torch.tensor([0, 0, 1, 1])


def on_circle(*degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_the_margin_grows_when_a_triplet_is_in_the_wrong_order() -> None:
    apart, mixed = on_circle(0, 5, 180, 185), on_circle(0, 180, 5, 185)
    assert adaptive_triplet(apart, CLASSES, KNOWN, 0.2, 0.3) == 0

    def added(vectors: torch.Tensor) -> float:  # loss beyond that of a fixed margin of 2
        return float(adaptive_triplet(vectors, CLASSES, KNOWN, 2.0, 0.3) - adaptive_triplet(vectors, CLASSES, KNOWN, 2.0, 0.0))

    assert 0 < added(apart) < 0.15 < added(mixed) < 0.3  # half of the slope is added when both distances are equal


def test_utterances_without_the_modality_or_a_label_are_in_no_triplet() -> None:
    vectors = on_circle(0, 90, 10, 100)
    known = torch.tensor([True, True, True, False])
    other = vectors.clone()
    other[3] = -7.0
    assert torch.equal(adaptive_triplet(vectors, CLASSES, known, 0.2, 0.3), adaptive_triplet(other, CLASSES, known, 0.2, 0.3))
    assert adaptive_triplet(vectors, torch.zeros(4, dtype=torch.int64), KNOWN, 0.2, 0.3) == 0


def test_the_triplet_loss_pulls_classes_apart() -> None:
    model, batch = small("m2fnet"), everything()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for _ in range(60):
        loss = model.losses(batch, batch, "task")["triplet"]
        history.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert history[-1] < 0.6 * history[0]


def test_the_fusion_reads_the_other_modalities_of_the_dialogue_for_a_turn_without_the_query_modality() -> None:
    model, batch = small("m2fnet"), without(everything(), "text")
    first = batch.dialogue == batch.dialogue[0]
    features = {m: torch.where((first & (batch.turn == 0))[:, None, None], x + 1.0, x) for m, x in batch.features.items()}
    changed = type(batch)(**{**vars(batch), "features": features}).observe(batch.present)
    difference = (model(changed).logits - model(batch).logits).abs().amax(dim=1)
    assert (difference[first] > 0).all()
    assert (difference[~first] == 0).all()
