"""CM-RoBERTa: self- and cross-attention read the same input, and unimodal evidence reaches the head past the fusion."""

from __future__ import annotations

import pytest
import torch

from lacuna.models.cm_roberta import ParallelLayer
from small_systems import everything, small

KEYS = torch.ones(3, 5, dtype=torch.bool)


@pytest.fixture
def layer() -> ParallelLayer:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return ParallelLayer(8, 2, 1, 0.0).eval()


def streams() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 5, 8, generator=generator), torch.randn(3, 7, 8, generator=generator)


def test_self_and_cross_attention_are_parallel(layer: ParallelLayer) -> None:
    """Stacked attention would read the result of the other one, so its parts would not add up."""
    x, y = streams()
    y_keys = torch.ones(3, 7, dtype=torch.bool)
    alone, cross = layer.self_attention(x, x, KEYS), layer.cross_attention[0](x, y, y_keys)
    torch.testing.assert_close(layer.attended(x, KEYS, [(y, y_keys)]), alone + cross)
    assert (layer(x, KEYS, [(y, y_keys)]) - layer(x, KEYS, [(y.flip(0), y_keys)])).abs().max() > 1e-3


def test_a_missing_stream_leaves_self_attention_alone(layer: ParallelLayer) -> None:
    x, y = streams()
    nothing = torch.zeros(3, 7, dtype=torch.bool)
    assert torch.equal(layer.attended(x, KEYS, [(y, nothing)]), layer.self_attention(x, x, KEYS))


def test_unimodal_evidence_reaches_the_head_past_the_fusion() -> None:
    model, batch = small("cm_roberta"), everything()
    with torch.no_grad():
        model.norm.weight.zero_()  # what the fusion says is cut off
        model.norm.bias.zero_()
        model.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        logits = model(batch).logits
    assert (logits - logits[0]).abs().amax(dim=1)[1:].median() > 1e-2
