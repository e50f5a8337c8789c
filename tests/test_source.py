"""What a cached run depends on: its own code, not the code of other models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lacuna import source
from lacuna.models import configure, list_models, model_class
from lacuna.source import code_digest, dependencies
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe

Edit = Callable[[str, Callable[[str], str]], None]


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Change a file of the package as a person would, as far as hashes see it; the argument gets and returns its text."""
    cached = (source._tree, source._imported, source._normal)
    files = dict(source._FILES)
    monkeypatch.setattr(source, "_FILES", files)

    def change(path: str, text: Callable[[str], str]) -> None:
        files[path] = text(files.get(path, b"").decode()).encode()
        for function in cached:
            function.cache_clear()

    yield change
    for function in cached:
        function.cache_clear()


@pytest.fixture(scope="module")
def recipes() -> dict[str, Recipe]:
    corpus = generate(preset("tiny"))
    return {name: Recipe.of(corpus, name) for name in list_models()}


def digests(recipes: dict[str, Recipe]) -> dict[str, str]:
    return {name: recipe.code(configure(name, **recipe.settings)) for name, recipe in recipes.items()}


def changed(recipes: dict[str, Recipe], before: dict[str, str]) -> set[str]:
    return {name for name, digest in digests(recipes).items() if digest != before[name]}


def test_a_new_model_file_retrains_nothing(recipes: dict[str, Recipe], edit: Edit) -> None:
    before = digests(recipes)
    edit("models/new_system.py", lambda _: "from lacuna.models.base import Recognizer\n")
    edit("models/layers/new_layer.py", lambda _: "WIDTH = 1\n")
    assert not changed(recipes, before)


def test_comments_docstrings_and_log_lines_retrain_nothing(recipes: dict[str, Recipe], edit: Edit) -> None:
    before = digests(recipes)
    edit("models/build.py", lambda text: text.replace("def configure", "# a comment\n\n\ndef configure"))
    edit("training/fit.py", lambda text: text.replace('"""Train a recogniser', '"""Train and select a recogniser'))
    edit("training/checkpoint.py", lambda text: text.replace("_log.warning(", "_log.error("))
    edit("training/logs.py", lambda text: text + "\nWIDTH = 99\n")
    assert not changed(recipes, before)


@pytest.mark.parametrize("layer", ["diffusion", "graph", "attention", "pooling", "recurrent"])
def test_an_edited_layer_retrains_the_models_that_use_it_and_no_other(recipes: dict[str, Recipe], edit: Edit, layer: str) -> None:
    before, module = digests(recipes), f"lacuna.models.layers.{layer}"
    users = {
        name
        for name in recipes
        if module in dependencies(["lacuna.training.fit", model_class(name).__module__], leave_out=["lacuna.models.wrappers"])
    }
    edit(f"models/layers/{layer}.py", lambda text: text + "\nCHANGED = 1\n")
    assert changed(recipes, before) == users
    assert users


def test_an_edited_model_retrains_itself_and_what_is_built_on_it(recipes: dict[str, Recipe], edit: Edit) -> None:
    before = digests(recipes)
    edit("models/cider.py", lambda text: text + "\nCHANGED = 1\n")
    assert changed(recipes, before) == {"cider", "cider_as_published"}


def test_an_edited_wrapper_retrains_only_runs_that_switch_it_on(recipes: dict[str, Recipe], edit: Edit) -> None:
    plain = recipes["mlp"]
    with_window = Recipe.of(generate(preset("tiny")), "mlp", settings={"window": 1})
    runs = {"mlp": plain, "cider": recipes["cider"]}
    before, before_window = digests(runs), with_window.code(configure("mlp", window=1))
    edit("models/wrappers/window.py", lambda text: text + "\nCHANGED = 1\n")
    assert changed(runs, before) == set()
    assert with_window.code(configure("mlp", window=1)) != before_window


def test_an_edited_loop_retrains_everything(recipes: dict[str, Recipe], edit: Edit) -> None:
    before = digests(recipes)
    edit("training/steps.py", lambda text: text + "\nCHANGED = 1\n")
    assert changed(recipes, before) == set(recipes)


def test_a_model_outside_of_lacuna_is_hashed_with_what_it_imports(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somebodys_model.py").write_text("from lacuna.models.layers.diffusion import *\nWIDTH = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import somebodys_model  # noqa: F401

    assert "lacuna.models.layers.diffusion" in dependencies(["somebodys_model"])
    assert code_digest(["somebodys_model"]) != code_digest(["lacuna.models.layers.diffusion"])
