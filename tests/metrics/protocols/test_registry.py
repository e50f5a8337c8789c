"""Every protocol is listed, documented, callable from tables, and refuses what it cannot score."""

from __future__ import annotations

import inspect

import numpy as np
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


def samples() -> dict[str, list[pd.DataFrame | None]]:
    """Return predictions and truth of 12 rows for every protocol."""
    generator = np.random.default_rng(0)
    n, ids = 12, [f"u{i}" for i in range(12)]

    def table(**columns: object) -> pd.DataFrame:
        return pd.DataFrame({"id": ids, **columns})

    def labels(*names: str) -> np.ndarray:
        return generator.choice(names, n)

    def numbers(names: str) -> dict[str, np.ndarray]:
        return {name: generator.uniform(-1, 1, n) for name in names.split()}

    def shares(prefix: str, names: str) -> dict[str, np.ndarray]:
        return {f"{prefix}{name}": generator.integers(1, 5, n) for name in names.split()}

    basic = "neutral anger disgust fear happiness sadness surprise other"
    clips = {"clip": np.repeat(["c", "d"], 6), "time": np.tile(np.arange(6.0), 2)}
    intervals = {"video": np.repeat(["v", "w", "x"], 4), "onset": np.tile(np.arange(4) * 20, 3), "label": labels("a", "b")}
    dialogue = {"dialogue": np.repeat(["c", "d"], 6), "turn": np.tile(np.arange(6), 2), "speaker": labels("x", "y")}
    va, vad, one = "valence arousal", "valence arousal dominance", ("a", "b", "")
    return {
        "affwild2_va": [table(**numbers(va)), table(**numbers(va))],
        "all_inclusive": [table(**shares("p_", "a b")), table(**shares("votes_", "a b"))],
        "classes": [table(predicted=labels(*one)), table(label=labels("a", "b"))],
        "compound": [table(**shares("p_", basic), **clips), table(label=labels("sadly angry", "sadly fearful"))],
        "conflict": [
            table(predicted=labels(*one)),
            table(label=labels("a", "b"), label_audio=labels("a", "b"), label_video=labels("a", "b")),
        ],
        "dynamics": [
            table(predicted=labels(*one), next=labels(*one)),
            table(label=labels("a", "b"), **dialogue),
        ],
        "emer": [table(clues=labels("a smile", ""), labels=labels("a;b", "")), table(clues="a smile", labels=labels("a", "b"))],
        "humans": [table(**shares("votes_", "a b"), modality="both"), table(label=labels("a", "b"))],
        "mer": [table(predicted=labels(*one), **numbers("valence")), table(label=labels("a", "b"), **numbers("valence"))],
        "micro_expressions": [
            table(**intervals, offset=intervals["onset"] + 8),
            table(**intervals, offset=intervals["onset"] + 9),
        ],
        "micro_questions": [
            table(answer=labels("a", "b c", "")),
            table(answer=labels("a", "b c"), kind=labels("coarse", "fine", "text")),
        ],
        "mme_emotion": [table(steps=labels("1;0;1", "0.5", "")), None],
        "msp_podcast": [table(**numbers(vad)), table(**numbers(vad))],
        "multi_label": [table(labels=labels("a;b", "")), table(labels=labels("a", "b;c"))],
        "music_va": [table(**numbers(va)), table(**numbers(va))],
        "mvei": [table(predicted=labels("yes", "no")), table(label=labels("true", "false"), dimension=labels("p", "q"))],
        "open_vocabulary": [table(labels=labels("a;b", "")), table(labels=labels("a", "b;c"))],
        "preference": [table(predicted=labels("a", "b", "tie")), table(label=labels("a", "b", "tie"))],
    }


def test_every_protocol_has_a_sample() -> None:
    assert sorted(samples()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    predictions, truth = samples()[name]
    shuffled = [
        None if table is None else table.sample(frac=1, random_state=seed) for seed, table in enumerate((predictions, truth))
    ]
    in_order, again = score_tables(name, predictions, truth), score_tables(name, *shuffled)
    keys = ["subset", "metric"]
    pd.testing.assert_frame_equal(in_order.sort_values(keys, ignore_index=True), again.sort_values(keys, ignore_index=True))
    assert in_order["value"].notna().any()


@pytest.mark.parametrize("name", NAMES)
def test_no_metric_is_there_twice(name: str) -> None:
    table = score_tables(name, *samples()[name])
    assert not table.duplicated(["subset", "metric"]).any()
    assert (table["n"] >= 0).all()
