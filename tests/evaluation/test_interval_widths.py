"""Intervals of values: predictions, sweeps and shifted tests use the same widths, which follow the model's own variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lacuna
from lacuna.evaluation import sweep
from lacuna.evaluation.predict import predict
from lacuna.evaluation.prediction_table import predict_frame
from lacuna.evaluation.shift.tests import answers
from lacuna.evaluation.sureness import STATISTICS
from lacuna.missing import MaskPlan
from standin import StandIn, generate

PLANS = [MaskPlan("rmm", rate) for rate in (0.0, 0.3)]
SMALL = {"hidden": 8, "base": False, "interaction": False, "means": False, "gru": False}


@pytest.mark.parametrize(("name", "settings", "equal"), [("evidence", SMALL, False), ("linear", {}, True)])
def test_intervals_are_wide_where_the_model_is_unsure(name: str, settings: dict[str, Any], equal: bool) -> None:
    """The widths of a model without variance are equal for all utterances with the same modalities."""
    corpus = generate(StandIn(dialogues=50, turns=3), "regression")
    target, test = corpus.targets[0].name, corpus.only("test")
    trained = lacuna.create_model(name, **settings).fit(corpus, epochs=1).trained
    table = predict_frame(trained, test)
    reach = table["high"] - table["value"]
    assert np.isfinite(reach).all()
    assert (reach.round(5).groupby(table["absent"]).nunique() == 1).all() == equal

    swept = sweep(trained, test, PLANS, training_labels=corpus.only("train").utterances.labels[target])
    assert swept.sets is not None
    width, covered = (swept.sets.values[0, :, STATISTICS.index(column)].sum() for column in ("size", "covered"))
    assert width == pytest.approx(2 * reach.sum(), rel=1e-4)
    assert covered == ((table["value"] - test.utterances.labels[target]).abs() <= reach).sum()

    spread = predict(trained, test).spread
    assert (spread == 1).all() == equal
    np.testing.assert_allclose(answers(trained, test, PLANS).spread[0], spread, rtol=1e-5)
