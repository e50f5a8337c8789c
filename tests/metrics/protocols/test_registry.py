"""Every protocol is listed, documented, callable from tables, and refuses what it cannot score."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols import get_protocol, list_protocols, protocols_markdown, score_tables

NAMES = list_protocols()


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_says_what_it_is(name: str) -> None:
    one = get_protocol(name)
    assert one.source
    assert one.formula
    assert f"| `{name}` | {one.status} |" in protocols_markdown()
    documentation = inspect.getdoc(one.function) or ""
    for option in one.options:
        assert f"{option}:" in documentation, f"document the option {option}"
    if one.status == "reconstruction":
        assert "reconstruction" in documentation + (inspect.getmodule(one.function).__doc__ or "")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named(name: str) -> None:
    first = get_protocol(name).predictions[0]
    with pytest.raises(DataError, match=f"no column '{first}'"):
        score_tables(name, pd.DataFrame({"something": [1]}), pd.DataFrame({"something": [1]}))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no option 'nonsense'"):
        score_tables(name, pd.DataFrame(), nonsense=1)


def test_a_misspelt_protocol_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'dynamics'"):
        get_protocol("dynamic")


def test_the_truth_is_needed_where_the_protocol_says_so() -> None:
    with pytest.raises(ConfigError, match="needs a table of the truth"):
        score_tables("classes", pd.DataFrame({"id": ["a"], "predicted": ["joy"]}))


TRUTH = pd.DataFrame({"id": ["a", "b"], "label": ["joy", "fear"]})


def test_models_and_sets_of_modalities_are_scored_separately() -> None:
    predictions = pd.DataFrame(
        {
            "id": ["a", "b", "a", "b"],
            "predicted": ["joy", "fear", "joy", "joy"],
            "model": "gpt",
            "modalities": ["text+audio", "text+audio", "text", "text"],
        }
    )
    table = score_tables("classes", predictions, TRUTH)
    accuracy = table[table["metric"] == "accuracy"].set_index("modalities")["value"]
    assert accuracy.to_dict() == {"text+audio": 1.0, "text": 0.5}


def test_a_row_without_prediction_is_an_error_that_names_the_id() -> None:
    with pytest.raises(DataError, match="utterance 'b'"):
        score_tables("classes", pd.DataFrame({"id": ["a"], "predicted": ["joy"]}), TRUTH)


def test_an_id_is_scored_once() -> None:
    with pytest.raises(DataError, match="more than once in the predictions"):
        score_tables("classes", pd.DataFrame({"id": ["a", "a", "b"], "predicted": "joy"}), TRUTH)


def test_the_truth_decides_which_rows_are_scored_and_in_which_order() -> None:
    predictions = pd.DataFrame({"id": ["z", "b", "a"], "predicted": ["joy", "fear", "joy"]})
    table = score_tables("classes", predictions, TRUTH)
    assert table.set_index("metric")["value"]["accuracy"] == 1
    assert set(table["n"]) == {2}
