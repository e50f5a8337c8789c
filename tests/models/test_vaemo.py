"""VAEmo: the first stage counts only hidden frames that were observed, and the second one follows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lacuna.models.vaemo import hidden_frame_error, hide
from small_systems import everything, small, without


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75, 0.99])
def test_hidden_frames_were_observed_and_one_stays_visible(share: float) -> None:
    batch = without(everything(), "audio").observe(
        {m: torch.rand(p.shape, generator=torch.Generator().manual_seed(1)) < 0.5 for m, p in everything().present.items()}
    )
    keys = list(batch.present.values())
    hidden = hide(keys, share)
    assert all((h & ~k).sum() == 0 for h, k in zip(hidden, keys, strict=True))
    n_observed, n_hidden = (torch.cat(x, dim=1).sum(dim=1) for x in (keys, hidden))
    assert torch.equal(n_hidden, (share * n_observed).floor().long())
    assert (n_hidden < n_observed)[n_observed > 0].all()


def test_the_error_counts_hidden_frames_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = [torch.randn(4, 3, d, generator=generator) for d in (5, 2)]
    rebuilt = [torch.randn(x.shape, generator=generator) for x in frames]
    hidden = [torch.rand(4, 3, generator=generator) < 0.5 for _ in frames]
    error = hidden_frame_error(rebuilt, frames, hidden)
    each = [(r - x).square().mean(dim=2)[h] for r, x, h in zip(rebuilt, frames, hidden, strict=True)]
    torch.testing.assert_close(error, torch.cat(each).mean())
    other = [torch.where(h.unsqueeze(2), x, 1e3) for x, h in zip(frames, hidden, strict=True)]
    assert torch.equal(hidden_frame_error(rebuilt, other, hidden), error)
    assert hidden_frame_error(rebuilt, frames, [torch.zeros_like(h) for h in hidden]) == 0


def test_the_encoder_does_not_see_the_frames_that_it_reconstructs() -> None:
    model, batch = small("vaemo"), everything()
    streams, keys = model._coded(batch)  # type: ignore[operator]
    hidden = hide(keys, 0.75)
    changed = {m: torch.where(h.unsqueeze(2), x + 3.0, x) for (m, x), h in zip(batch.features.items(), hidden, strict=True)}
    other, _ = model._coded(replace(batch, features=changed))  # type: ignore[operator]
    for x, y in zip(model._rebuilt(streams, keys, hidden), model._rebuilt(other, keys, hidden), strict=True):  # type: ignore[operator]
        assert torch.equal(x, y)


def test_the_stage_of_classification_follows_that_of_reconstruction() -> None:
    first, second = small("vaemo", pretraining=3).stages
    assert [epoch for epoch in range(6) if first.runs(epoch)] == [0, 1, 2]
    assert [epoch for epoch in range(6) if second.runs(epoch)] == [3, 4, 5]
    names = [name for name, _ in small("vaemo").named_parameters()]
    left = {name.split(".")[0] for name in names if not name.startswith(first.parameters)}
    assert left == {"head"}
    assert [stage.name for stage in small("vaemo", pretraining=0).stages] == ["task"]
