"""Each registered model says where it comes from; tables and cards are made from that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lacuna.errors import ConfigError
from lacuna.models import ModelInfo, Recognizer, list_models, model_card, model_class, model_table, register


@pytest.mark.parametrize("name", list_models())
def test_a_model_declares_its_facts(name: str) -> None:
    cls = model_class(name)
    info = cls.__dict__.get("info")
    assert isinstance(info, ModelInfo), f"model '{name}': decorate its class with @register('{name}', title=..., task=...)"
    assert info.name == name
    lacking = ", ".join(f"{fact}=..." for fact in info.undeclared)
    assert not lacking, f"model '{name}': add {lacking} to @register in {cls.__module__}"
    assert cls.__dict__.get("__doc__"), f"model '{name}': write a docstring; its first paragraph is the card's text"


@pytest.mark.parametrize("name", list_models())
def test_a_card_prints_and_shows_what_was_declared(name: str) -> None:
    card = model_card(name)
    text, page = str(card), card._repr_html_()
    assert name in text
    assert card.info.title in text
    assert ("whole dialogues" in text) == model_class(name).needs_dialogue
    assert "`" not in card.description
    assert page.startswith("<table>")
    assert ("<a href=" in page) == bool(card.info.paper)


def test_the_table_has_one_row_a_model() -> None:
    table = model_table()
    assert list(table.columns) == [
        "name",
        "title",
        "paper",
        "year",
        "venue",
        "modalities",
        "task",
        "reconstruction",
        "needs dialogue",
        "recovers",
    ]
    assert list(table["name"]) == list_models()
    gsdnet = table.set_index("name").loc["gsdnet"]
    assert (gsdnet["year"], gsdnet["venue"], gsdnet["needs dialogue"], gsdnet["recovers"]) == (2025, "IJCAI", True, True)
    assert table.set_index("name")["reconstruction"][["gsdnet", "mult"]].tolist() == [True, False]
    baselines = table[table["task"] == "baseline"]
    assert baselines["year"].isna().all()
    assert set(baselines["paper"]) == {""}
    made_for = table.set_index("name")["modalities"]
    assert made_for[["hbaf", "w2v2_dim", "gaam", "mlp"]].tolist() == ["text, audio", "audio", "any", "any"]


def test_html_of_a_card_is_escaped() -> None:
    card = model_card("linear")
    hostile = type(card)(ModelInfo("x", title="<script>"), "a & b", False, False, False, True, {})
    assert "<script>" not in hostile._repr_html_()
    assert "a &amp; b" in hostile._repr_html_()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"modalities": ("voice",)}, "'modalities' must be of text, .*found 'voice'"),
        ({"task": "magic"}, "'task' must be one of baseline, .*found 'magic'"),
        ({"paper": "arXiv 2506.10452"}, "'paper' must be a link .*found 'arXiv 2506.10452'"),
        ({"year": 2020}, ".* declare 'paper' as a link"),
        ({"venue": "ACL"}, ".* declare 'paper' as a link"),
    ],
)
def test_facts_that_are_not_valid_are_refused(facts: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"model 'mine': {message}"):
        register("mine", **facts)  # type: ignore[arg-type]


def test_a_model_without_facts_can_be_registered_but_is_reported() -> None:
    info = ModelInfo("mine", paper="https://arxiv.org/abs/1")
    assert info.undeclared == ["title", "task", "year", "modalities"]
    assert not hasattr(Recognizer, "info")


def test_models_can_be_listed_without_the_libraries_that_some_of_them_need() -> None:
    """These imports take seconds; only a model that uses a library waits for it."""
    code = "import sys, lacuna.models as m; m.model_table(); print(sorted({'torch_geometric', 'diffusers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
