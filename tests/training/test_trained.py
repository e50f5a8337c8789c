"""What is kept of a training run: whole or absent, readable or refused with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lacuna.training.trained as module
from lacuna.atomic import TEMPORARY, temporary_prefix
from lacuna.corpus import Corpus
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import ConfigError, DataError
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit, load_recognizers, save_recognizer, save_recognizers
from lacuna.training.trained import MANIFEST, load_recognizer
from standin import StandIn, generate


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(StandIn(dialogues=10, turns=4))


@pytest.fixture(scope="module")
def trained(corpus: Corpus) -> TrainedRecognizer:
    parts = corpus.only("train"), corpus.only("valid")
    return fit(Recipe("mlp", corpus.schema(), *parts, fit_statistics(corpus), TrainingConfig(epochs=1))).trained


def test_comes_back_as_it_was(trained: TrainedRecognizer, tmp_path: Path) -> None:
    back = load_recognizer(save_recognizer(trained, tmp_path))
    assert (back.name, back.seed, back.selection, back.schema) == (trained.name, trained.seed, trained.selection, trained.schema)
    assert all(torch.equal(v, back.model.state_dict()[k]) for k, v in trained.model.state_dict().items())
    assert back.dialogues.tolist() == trained.dialogues.tolist()
    assert len(back.dialogues) == 8  # of ten, two are for the test


def test_knows_what_it_has_seen(trained: TrainedRecognizer, corpus: Corpus) -> None:
    trained.check_unseen(corpus.only("test"))
    for split in ("train", "valid"):
        with pytest.raises(DataError, match=r"was trained on dialogues that it is to be scored on(.|\n)*train again"):
            trained.check_unseen(corpus.only(split))


@pytest.mark.parametrize("damage", ["no json", "wrong format", "weights cut", "key missing", "other model"])
def test_damage_is_told(trained: TrainedRecognizer, tmp_path: Path, damage: str) -> None:
    folder = save_recognizer(trained, tmp_path)
    manifest = json.loads((folder / MANIFEST).read_text())
    if damage == "weights cut":
        weights = folder / manifest["weights"]["name"]
        weights.write_bytes(weights.read_bytes()[:-9])
    else:
        changed = {
            "wrong format": manifest | {"format": 99},
            "key missing": {k: v for k, v in manifest.items() if k != "schema"},
            "other model": manifest | {"name": "linear", "config": {}},
        }
        (folder / MANIFEST).write_text("{" if damage == "no json" else json.dumps(changed[damage]))
    with pytest.raises(DataError):
        load_recognizer(folder)


def test_a_label_tells_variants_apart(trained: TrainedRecognizer, tmp_path: Path) -> None:
    assert trained.variant == trained.name == "mlp"
    variant = replace(trained, variant="mlp_wide-2")
    save_recognizers([variant, trained], tmp_path)
    assert [(r.variant, r.name) for r in load_recognizers(tmp_path)] == [("mlp_wide-2", "mlp"), ("mlp", "mlp")]
    assert {p.parent.name for p in tmp_path.glob("*/seed-*")} == {"mlp_wide-2", "mlp"}
    with pytest.raises(DataError, match="two recognisers are called 'mlp', seed 0"):
        save_recognizers([trained, trained], tmp_path)


def test_a_label_cannot_mislead(trained: TrainedRecognizer) -> None:
    with pytest.raises(ConfigError, match="variant 'linear' cannot be given to a 'mlp'"):
        replace(trained, variant="linear")
    for unsafe in ("../mlp", "MLP", "a b", "m.lp"):
        with pytest.raises(DataError, match="variant name"):
            replace(trained, variant=unsafe)


def test_what_was_saved_before_there_were_variants_is_read(trained: TrainedRecognizer, tmp_path: Path) -> None:
    folder = save_recognizer(trained, tmp_path)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["variant"], manifest["selection"]["training"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 1}))
    assert load_recognizer(folder).variant == "mlp"


def test_a_variant_name_makes_no_other_run(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.of(corpus, "mlp", TrainingConfig(epochs=1), {"hidden": 8})
    first = fit(recipe, tmp_path, variant="mlp_small")
    monkeypatch.setattr(sys.modules["lacuna.training.fit"]._Run, "go", lambda *_: pytest.fail("trained again"))
    second = fit(recipe, tmp_path, variant="mlp_other")
    assert [f.trained.variant for f in (first, second)] == ["mlp_small", "mlp_other"]
    assert first.trained.selection == second.trained.selection
    assert first.trained.selection.training["epochs"] == 1
    with pytest.raises(ConfigError, match="variant 'linear'"):
        fit(recipe, variant="linear")


def test_an_interrupted_save_leaves_the_former_set(
    trained: TrainedRecognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_recognizers([trained, replace(trained, seed=1)], tmp_path)
    saves = iter([save_recognizer])

    def once(*arguments: object) -> Path:
        return next(saves)(*arguments)  # type: ignore[arg-type]  # the second save fails

    monkeypatch.setattr(module, "save_recognizer", once)
    with pytest.raises((StopIteration, RuntimeError)):
        save_recognizers([replace(trained, seed=7), replace(trained, seed=8)], tmp_path)
    assert [r.seed for r in load_recognizers(tmp_path)] == [0, 1]
    monkeypatch.undo()
    save_recognizers([replace(trained, seed=9)], tmp_path)
    assert [r.seed for r in load_recognizers(tmp_path)] == [9]
    assert len(list(tmp_path.glob("*/seed-*"))) == 1


@pytest.mark.parametrize("damage", ["manifest", "weights cut", "weights gone"])
def test_saving_again_repairs_a_damaged_folder(trained: TrainedRecognizer, tmp_path: Path, damage: str) -> None:
    save_recognizers([trained], tmp_path)
    (folder,) = tmp_path.glob("*/seed-*")
    weights = next(folder.glob("*.safetensors"))
    {
        "manifest": lambda: (folder / MANIFEST).write_text("{"),
        "weights cut": lambda: weights.write_bytes(weights.read_bytes()[:-9]),
        "weights gone": weights.unlink,
    }[damage]()
    with pytest.raises(DataError, match="do: repeat the command that trained it"):
        load_recognizers(tmp_path)
    save_recognizers([trained], tmp_path)
    assert load_recognizers(tmp_path)[0].variant == trained.variant


def test_saving_again_deletes_what_a_killed_process_left(trained: TrainedRecognizer, tmp_path: Path) -> None:
    save_recognizers([trained], tmp_path)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for parent in (tmp_path, tmp_path / trained.variant):
        (parent / temporary_prefix().replace(str(os.getpid()), str(process.pid))).mkdir()
    save_recognizers([trained], tmp_path)
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))


@pytest.mark.parametrize("index", ["{", "{}", "[1]", '["../../outside"]'])
def test_an_edited_index_is_refused(trained: TrainedRecognizer, tmp_path: Path, index: str) -> None:
    save_recognizers([trained], tmp_path)
    (tmp_path / "recognizers.json").write_text(index)
    with pytest.raises(DataError, match=r"recognizers\.json cannot be read"):
        load_recognizers(tmp_path)
