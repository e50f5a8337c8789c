"""`logreg` is the logistic regression of scikit-learn, and validation chooses its penalty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import build
from lacuna.models.layers.logistic import fit_logistic, fit_ridge
from lacuna.models.logreg import STRENGTHS, LogReg
from lacuna.training import Recipe, fit
from standin import StandIn, generate

STANDIN = StandIn(dialogues=20, turns=8, dims=(("text", 6), ("audio", 5)))


def prepared(task: str, **settings: object) -> tuple[LogReg, Batch]:
    corpus = generate(STANDIN, task)
    train, schema = corpus.only("train"), corpus.schema()
    batch = collate(train, np.arange(len(train)), schema, fit_statistics(corpus))
    model = build("logreg", schema, **settings)
    model.prepare(lambda: [batch])
    assert isinstance(model, LogReg)
    return model, batch


@pytest.mark.parametrize("number", range(0, len(STRENGTHS), 3))
def test_probabilities_equal_those_of_scikit_learn(number: int) -> None:
    model, batch = prepared("classification", copies=0)
    model.chosen.fill_(number)
    x, y = model.means(batch).double().numpy(), batch.label.numpy()
    theirs = LogisticRegression(C=STRENGTHS[number], tol=1e-8, max_iter=10_000).fit(x, y).predict_proba(x)
    ours = model(batch).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


def test_scores_equal_those_of_ridge_regression() -> None:
    model, batch = prepared("regression", copies=0)
    x, y = model.means(batch).double().numpy(), batch.label.double().numpy()
    theirs = Ridge(alpha=1 / STRENGTHS[6]).fit(x, y).predict(x)
    model.chosen.fill_(6)
    np.testing.assert_allclose(model(batch).logits[:, 0].numpy(), theirs, atol=1e-4)


def test_soft_labels_weigh_as_rows_of_each_class_would() -> None:
    generator = np.random.default_rng(0)
    x, shares = generator.normal(size=(60, 4)), generator.dirichlet(np.ones(3), size=60)
    soft = fit_logistic(x, shares, [0.5], tolerance=1e-7)[0]
    rows = fit_logistic(np.repeat(x, 3, axis=0), np.tile(np.eye(3), (60, 1)), [0.5], shares.reshape(-1), tolerance=1e-7)[0]
    np.testing.assert_allclose(soft[0], rows[0], atol=1e-4)


def test_a_stronger_penalty_makes_smaller_weights() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 4))
    for fits in (
        fit_logistic(x, np.eye(3)[generator.integers(3, size=50)], [0.01, 0.1, 1]),
        fit_ridge(x, x[:, 0], [0.01, 0.1, 1]),
    ):
        sizes = [float(np.square(weight).sum()) for weight, _ in fits]
        assert sizes == sorted(sizes)


def test_validation_chooses_the_penalty() -> None:
    fitted = fit(Recipe.of(generate(STANDIN), "logreg"))
    model = fitted.trained.model
    assert isinstance(model, LogReg)
    assert fitted.trained.selection.epochs == 0
    assert torch.isfinite(model.weight).all()
    assert int(model.chosen[0]) != len(STRENGTHS) // 2 or model.weight[0, model.chosen[0]].any()


def test_copies_change_nothing_where_all_modalities_are_observed() -> None:
    (plain, batch), (augmented, _) = prepared("classification", copies=0), prepared("classification", copies=2)
    whole = batch.available().all(dim=1)
    assert torch.equal(plain(batch).logits[whole], augmented(batch).logits[whole])
    hidden = batch.observe({"audio": torch.zeros_like(batch.present["audio"])})
    assert not torch.equal(plain(hidden).logits, augmented(hidden).logits)
