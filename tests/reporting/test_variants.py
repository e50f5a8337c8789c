from dataclasses import dataclass, replace

from lacuna.models import Maci, configure
from lacuna.reporting import ModelFacts, model_card, render_html, results_page
from lacuna.reporting.core.frames import panels
from lacuna.reporting.core.settings import changed, trials_text, variants_text
from lacuna.reporting.robustness.results import run_lines
from lacuna.reporting.robustness.sureness import gains_table, sureness_tables
from lacuna.reporting.robustness.tables import rates_table


@dataclass(frozen=True)
class Listed:
    layers: object = (1, 2)


def test_only_changed_settings_are_listed():
    assert changed(configure("mlp")) == {}
    assert changed(configure("mlp", hidden=8, dropout=0.5)) == {"hidden": 8}
    part = configure("mlp", maci={"backdoor": False})
    assert changed(part) == {"maci": True, "maci.backdoor": False}
    assert changed(Maci()) == {}


def test_lists_and_tuples_are_the_same_setting():
    assert changed(Listed([1, 2])) == {}
    assert changed(Listed([1, 3])) == {"layers": [1, 3]}


def test_variants_of_a_model_are_described():
    facts = {
        "cider": ModelFacts("cider", "cider"),
        "plain": ModelFacts("plain", "cider", changed={"alignment": False, "k": [1, 2]}),
        "same": ModelFacts("same", "cider"),
        "knn": ModelFacts("knn", "knn", changed={"k": 3}),
    }
    expected = "plain: cider with alignment false, k [1, 2]; same: cider with its default settings; knn with k 3"
    assert variants_text(facts) == expected
    assert variants_text({"mlp": ModelFacts("mlp"), "knn": ModelFacts("knn", "knn")}) == ""


def test_an_unusual_training_setting_is_listed():
    rates = {"a": 0.1, "b": 0.1, "c": 0.2}
    facts = {name: ModelFacts(name, name, training={"learning_rate": rate, "epochs": 3}) for name, rate in rates.items()}
    assert variants_text(facts) == "c, trained with learning_rate 0.2"
    del facts["b"]
    assert variants_text(facts) == "a, trained with learning_rate 0.1; c, trained with learning_rate 0.2"


def test_trials_are_told_for_every_model_unless_none_was_searched():
    facts = {name: ModelFacts(name, trials=number) for name, number in (("prior", 1), ("mlp", 8), ("knn", 8))}
    assert trials_text(facts) == "8 for each model but prior 1 (1 = its own settings alone)"
    assert trials_text({"prior": facts["prior"]}) == ""
    assert trials_text({"mlp": facts["mlp"]}) == "8 for each model (1 = its own settings alone)"


def test_card_tables_and_pages_tell_the_trials_of_a_model(report):
    own = replace(report, models={**report.models, "knn": replace(report.models["knn"], trials=8)})
    assert "- settings: the best of 8 trials on validation\n" in model_card(own, "knn")
    assert "trials on validation" not in model_card(report, "knn")
    assert ("Trials on validation", "1 for each model but knn 8 (1 = its own settings alone)") in run_lines(own)
    assert "Trials on validation: 1 for each model but knn 8" in rates_table(own, own.primary, panels(own.summary)[0]).note
    assert "Trials" not in results_page(report)


def test_the_report_shows_which_modality_would_help_most(report):
    gains = {"nothing": {"text": (0.5, 0.1), "audio": (0.6, 0.4)}, "audio": {"text": (0.4, 0.1)}}
    own = replace(report, models={**report.models, "knn": replace(report.models["knn"], gains=gains)})
    (table,) = gains_table(own)
    assert table.columns == ("Model", "Available", "text", "audio")
    assert [row[:2] for row in table.rows] == [("knn", "nothing"), ("knn", "audio")]
    nothing, audio = table.rows
    assert [nothing[2].mark, nothing[3].mark, audio[2].mark, audio[3]] == ["", "", "best", ""]  # the largest is not sure
    assert table in sureness_tables(own)
    assert gains_table(report) == []


def test_card_and_pages_name_the_model_of_a_variant(report):
    about = replace(report.models["knn"], model="mlp", changed={"hidden": 8}, training={"epochs": 3})
    own = replace(report, models={**report.models, "knn": about})
    assert "- model: mlp with hidden 8\n" in model_card(own, "knn")
    assert "epochs = 3" in model_card(own, "knn")
    for page in (results_page(own), render_html(own)):
        assert "knn: mlp with hidden 8" in page
    assert "- Variants" not in results_page(report)
