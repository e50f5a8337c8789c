"""The models that fill in what is missing: what they estimate, and in which precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lacuna.corpus import Modality, Schema, Target
from lacuna.corpus.batch import Batch
from lacuna.models import build


def vectors(features: dict[str, Tensor], here: dict[str, Tensor]) -> tuple[Schema, Batch]:
    """A batch of utterances of one frame: (U, d) by modality, and (U,) which of them are there."""
    n = len(next(iter(features.values())))
    schema = Schema(tuple(Modality(m, x.shape[1]) for m, x in features.items()), Target("t", "regression"))
    row = torch.arange(n)
    batch = Batch(
        features={m: (x * here[m][:, None])[:, None] for m, x in features.items()},  # (U, d) -> (U, 1, d)
        present={m: p[:, None] for m, p in here.items()},
        dialogue=row,
        turn=row * 0,
        speaker=row * 0,
        key=row,
        label=torch.zeros(n),
        ids=[str(i) for i in range(n)],
    )
    return schema, batch


def prepared(name: str, schema: Schema, batch: Batch, **settings: Any) -> Any:
    model = build(name, schema, **settings)
    model.prepare(lambda: [batch])
    return model.eval()


def correlated(*, absent: float = 0.0, n: int = 200) -> tuple[Schema, Batch]:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(n, 3, generator=generator)
    features = {m: common @ torch.randn(3, d, generator=generator) for m, d in (("a", 4), ("b", 3), ("c", 2))}
    here = {m: torch.rand(n, generator=generator) >= absent for m in features}
    return vectors(features, here)


def test_who_lacks_a_modality_may_differ_from_who_does_not() -> None:
    """Independent modalities that are recorded together only where both are high tell nothing about each other."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4000, 1, generator=generator)
    both, coin = ((a > 0.5) & (b > 0.5)).squeeze(1), torch.rand(4000, generator=generator) < 0.5
    schema, batch = vectors({"a": a, "b": b}, {"a": both | coin, "b": both | ~coin})
    ridge = prepared("ridge", schema, batch)
    assert abs(float(ridge.gaussian.covariance[0, 1])) < 0.05  # marginal means make it 1
    _, whole = vectors({"a": a, "b": b}, {"a": both | True, "b": both | True})
    filled = ridge.fill(whole.observe({"b": torch.zeros(4000, 1, dtype=torch.bool)}))[:, 1:]
    assert float((filled - b).square().mean()) <= 1.01 * float((ridge.gaussian.centre[1] - b).square().mean())


def test_the_covariance_has_no_negative_eigenvalue() -> None:
    """Each pair alike, but from utterances of its own: a ~ b, b ~ c, a ~ -c together are no covariance."""
    x = torch.randn(300, 1, generator=torch.Generator().manual_seed(0))
    third = torch.arange(300) % 3
    features = {"a": x, "b": x, "c": torch.where(third[:, None] == 2, -x, x)}
    schema, batch = vectors(features, {"a": third != 1, "b": third != 2, "c": third != 0})
    ridge = prepared("ridge", schema, batch, penalty=1e-3)
    assert float(torch.linalg.eigvalsh(ridge.gaussian.covariance.double())[0]) >= -1e-8
    filled = ridge.fill(batch)
    assert float(filled.abs().max()) <= 2 * float(x.abs().max())  # no blow-up along a negative direction


@pytest.mark.parametrize("absent", [0.2, 0.6])
def test_the_covariance_has_no_negative_eigenvalue_by_chance(absent: float) -> None:
    ridge = prepared("ridge", *correlated(absent=absent, n=40))
    assert float(torch.linalg.eigvalsh(ridge.gaussian.covariance.double())[0]) >= -1e-8


def test_of_complete_utterances_it_is_the_usual_covariance() -> None:
    schema, batch = correlated()
    x = torch.cat(list(batch.features.values()), dim=2)[:, 0].double()
    ridge = prepared("ridge", schema, batch)
    torch.testing.assert_close(ridge.gaussian.covariance.double(), torch.cov(x.T, correction=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["knn", "ridge"])
def test_autocast_does_not_round_what_is_filled_in(name: str) -> None:
    schema, batch = correlated(absent=0.3)
    model = prepared(name, schema, batch)
    exact, recovered = model.fill(batch), model(batch).recovered
    model = prepared(name, schema, batch)  # nothing cached
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.fill(batch), exact)
        again = model(batch).recovered
    assert all(torch.equal(again[m], recovered[m]) for m in recovered)


@pytest.mark.parametrize("name", ["knn", "ridge"])
def test_other_numbers_are_computed_anew(name: str) -> None:
    schema, batch = correlated(absent=0.3)
    model = prepared(name, schema, batch)
    exact, double = model.fill(batch), batch._each(lambda x: x.double() if x.is_floating_point() else x)
    model.double()
    torch.testing.assert_close(model.fill(double), exact.double(), rtol=1e-4, atol=1e-5)
    assert model(double).logits.dtype == torch.float64
    coarse = model.bfloat16().fill(batch)  # buffers rounded for good
    assert not torch.equal(coarse, exact)
    assert torch.equal(coarse, model.float().fill(batch))
