"""`gbdt` answers as scikit-learn's trees do, from arrays that need no scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from lacuna.models.layers.boosted_trees import BoostedTrees


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_answers_equal_those_of_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 5)).astype(np.float32)
    x[generator.random(x.shape) < 0.3] = np.nan
    score = np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) ** 2 + 0.1 * generator.normal(size=300)
    trees = BoostedTrees(rounds=12, outputs=classes, leaves=7)
    settings = {"max_iter": 12, "max_leaf_nodes": 7, "early_stopping": False}
    if classes == 1:
        regressor = HistGradientBoostingRegressor(**settings).fit(x, score)
        trees.copy_from(regressor, np.zeros(1, np.int64))
        np.testing.assert_allclose(trees(torch.from_numpy(x), 12)[:, 0].numpy(), regressor.predict(x), atol=1e-5)
        return
    y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    classifier = HistGradientBoostingClassifier(**settings).fit(x, y)
    trees.copy_from(classifier, np.arange(classes) if classes > 2 else np.array([1]))
    found = trees(torch.from_numpy(x), 12).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(x), atol=1e-5)
    again = BoostedTrees(rounds=12, outputs=classes, leaves=7)
    again.load_state_dict(trees.state_dict())
    assert torch.equal(again(torch.from_numpy(x), 5), trees(torch.from_numpy(x), 5))
