"""HBAF: without text its answer is that of the audio path alone; contrasts read pairs only."""

from __future__ import annotations

import math

import torch

from lacuna.models.layers.contrast import cosine_distance, info_nce
from small_systems import everything, small, without


def test_without_text_the_answer_is_that_of_the_audio_path_alone() -> None:
    model, batch = small("hbaf"), without(everything(), "text", "vision")
    before, complete = model(batch).logits.detach(), model(everything()).logits.detach()
    changed = 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("head", "sureness")) or (".audio." in f".{name}." and "<-" not in name):
                continue
            parameter.add_(1.0)
            changed += 1
    assert changed > 20
    assert torch.equal(model(batch).logits, before)
    assert (model(everything()).logits - complete).abs().max() > 1e-3


def test_contrasts_read_only_utterances_that_have_both_modalities() -> None:
    x, y = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind()
    both = torch.tensor([True, True, False, True, False, True])
    other = torch.where(both[:, None], y, 100.0)
    assert torch.equal(info_nce(x, y, both, 0.1), info_nce(x, other, both, 0.1))
    assert torch.equal(cosine_distance(x, y, both), cosine_distance(x, other, both))
    torch.testing.assert_close(info_nce(x, y, both, 0.1), info_nce(x[both], y[both], torch.ones(4, dtype=torch.bool), 0.1))
    nobody = torch.zeros(6, dtype=torch.bool)
    assert info_nce(x, y, nobody, 0.1) == cosine_distance(x, y, nobody) == 0


def test_info_nce_of_vectors_that_say_nothing_is_the_logarithm_of_the_batch() -> None:
    loss = info_nce(torch.ones(6, 4), torch.ones(6, 4), torch.ones(6, dtype=torch.bool), 0.1)
    assert math.isclose(float(loss), math.log(6), rel_tol=1e-5)
