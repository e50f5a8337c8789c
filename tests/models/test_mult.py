"""MulT: every modality reads every other one, in the order of its frames."""

from __future__ import annotations

from dataclasses import replace

import torch

from small_systems import everything, small, without


def test_a_summary_reads_the_other_modalities_and_is_zero_without_its_own() -> None:
    model, batch = small("mult"), everything()
    parts = len(batch.features)

    def summaries(*missing: str) -> list[torch.Tensor]:
        with torch.no_grad():
            return list(model.summaries(without(batch, *missing)).chunk(parts, dim=1))  # type: ignore[operator]

    text, audio, vision = summaries()
    text_without, audio_missing, vision_without = summaries("audio")
    present = batch.present["audio"].any(dim=1)
    assert (audio_missing == 0).all()
    assert (text - text_without).abs().amax(dim=1)[present & batch.present["text"].any(dim=1)].min() > 1e-5
    assert (vision - vision_without).abs().amax(dim=1)[present & batch.present["vision"].any(dim=1)].min() > 1e-5
    assert len(model.fusion.cross) == parts * (parts - 1)
    assert (audio[present] != 0).any(dim=1).all()


def test_the_order_of_frames_matters() -> None:
    model, batch = small("mult"), everything()
    backwards = replace(
        batch,
        features={m: x.flip(1) for m, x in batch.features.items()},
        present={m: p.flip(1) for m, p in batch.present.items()},
    )
    assert (model(batch).logits - model(backwards).logits).abs().max() > 1e-4
