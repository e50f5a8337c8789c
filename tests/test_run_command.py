"""``kedro run`` as it is typed: lists, and names that are wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lacuna.cli import cli
from lacuna.pipelines.parameters import Train
from lacuna.pipelines.run_command import parse_parameters
from lacuna.pipelines.validation import pipeline_names

BASE = {"seeds": [0], "training": {}, "checkpoints": "x"}


@pytest.mark.parametrize("typed", ["[linear,mlp]", "linear,mlp", "linear+mlp", "[linear+mlp]", "[linear, mlp]"])
def test_every_way_to_write_a_list_means_the_same(typed: str) -> None:
    given = parse_parameters(f"train.models={typed},train.seeds=1")["train"]
    train = Train.model_validate({**BASE, **given})
    assert (train.models, train.seeds) == (["linear", "mlp"], [1])


@pytest.mark.parametrize("typed", ["=3", "foo", ""])
def test_a_pair_without_a_name_or_value_is_refused(typed: str) -> None:
    if not typed:
        assert parse_parameters(typed) == {}
        return
    with pytest.raises(click.BadParameter, match="is not NAME=VALUE"):
        parse_parameters(typed)


@pytest.mark.parametrize("arguments", ["--pipelines traim", "--pipeline traim", "--pipelines train,traim"])
def test_an_unknown_pipeline_is_refused_before_anything_is_loaded(arguments: str, project: Path) -> None:
    result = CliRunner().invoke(cli, ["run", *shlex.split(arguments)])
    assert result.exit_code == 1
    assert "there is no pipeline 'traim' (did you mean 'train'?); there are: " in result.output


def test_pipelines_are_those_of_the_registry(project: Path) -> None:
    from lacuna.pipeline_registry import register_pipelines

    assert {*register_pipelines()} == {*pipeline_names(), "__default__"}
