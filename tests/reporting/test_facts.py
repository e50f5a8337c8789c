from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from lacuna.errors import DataError
from lacuna.models import build
from lacuna.reporting import ModelFacts, Report, long_history
from lacuna.training.trained import Selection, TrainedRecognizer


def test_a_missing_column_is_named(report):
    with pytest.raises(DataError, match="'summary' lacks a column") as caught:
        replace(report, summary=report.summary.drop(columns="constant"))
    assert caught.value.expected == "constant"


def test_an_unmeasured_primary_metric_is_refused(report):
    with pytest.raises(DataError, match="main metric was not measured"):
        replace(report, primary="ccc")


def test_an_empty_summary_is_refused(report):
    with pytest.raises(DataError, match="main metric was not measured"):
        Report(report.facts, report.summary.iloc[:0], "weighted_f1")


def test_two_corpora_in_one_table_are_refused(report):
    other = report.summary.assign(corpus="elsewhere")
    with pytest.raises(DataError, match="mixes corpora"):
        replace(report, summary=pd.concat([report.summary, other]))


def test_empty_tables_count_as_missing(report):
    assert replace(report, areas=report.areas.iloc[:0]).areas is None


def test_missing_settings_become_empty_text(report):
    own = replace(report, summary=report.summary.assign(setting=None))
    assert set(own.summary["setting"]) == {""}


def test_comparisons_at_single_rates_are_kept_only_where_nothing_else_is(report, make):
    assert set(report.comparisons["measure"]) == {"auilc", "subset_mean"}
    assert set(make(rates=(0.5,), subsets=()).comparisons["measure"]) == {"at_rate"}


def test_single_rates_are_judged_by_pattern_and_setting(report):
    one = report.comparisons.iloc[[0]]
    kinds = [("rmm", "a", "auilc"), ("rmm", "a", "at_rate"), ("rmm", "b", "at_rate"), ("rmm", "c", "at_rate")]
    kinds += [("rmm", "", "subset_mean"), ("fixed", "", "subset_mean"), ("fixed", "text", "at_rate"), ("solo", "", "at_rate")]
    table = pd.concat([one.assign(pattern=p, setting=s, measure=m) for p, s, m in kinds])
    kept = replace(report, comparisons=table).comparisons
    found = list(kept[["pattern", "setting", "measure"]].itertuples(index=False, name=None))
    assert found == [k for k in kinds if k not in (("rmm", "a", "at_rate"), ("fixed", "text", "at_rate"))]


def test_history_as_training_logs_it_becomes_one_row_a_quantity():
    wide = pd.DataFrame(
        {"model": "m", "seed": 0, "epoch": [0, 1], "seconds": 0.1, "task/task": [2.0, 1.0], "weighted_f1": [0.1, 0.2]}
    )
    table = long_history(wide)
    assert list(dict.fromkeys(table["metric"])) == ["weighted_f1", "task/task", "seconds"]
    assert len(table) == 6


def test_ranking_puts_references_last_and_follows_the_direction(report):
    assert report.ranked[0] == "mlp"
    assert replace(report, references=("mlp",)).ranked[-1] == "mlp"
    assert replace(report, primary="log_loss").ranked[0] == "mlp"  # the lowest log loss


def test_model_facts_come_from_recognisers():
    from lacuna.corpus.schema import Modality, Schema, Target

    schema = Schema((Modality("text", 3),), Target("emotion", "classification", ("a", "b")))
    model = build("linear", schema)

    def trained(seed):
        selection = Selection("weighted_f1", 0.5 + seed / 10, 3 + seed, 9, "rmm", 8, 1.5)
        return TrainedRecognizer("linear", seed, "duet", model, SimpleNamespace(), selection)

    facts = ModelFacts.of([trained(0), trained(1)])
    assert (facts.name, facts.model, facts.changed) == ("linear", "linear", {})
    variant = ModelFacts.of([replace(trained(0), variant="linear_again")])
    assert (variant.name, variant.model) == ("linear_again", "linear")
    with pytest.raises(DataError, match="describes one variant"):
        ModelFacts.of([trained(0), replace(trained(1), variant="linear_again")])
    assert facts.chosen == {0: 4, 1: 5}
    assert facts.valid == {0: 0.5, 1: 0.6}
    assert facts.description.endswith(".")
    with pytest.raises(DataError, match="describes one variant"):
        ModelFacts.of([])
