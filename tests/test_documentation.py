"""Examples in docstrings and in the documentation run, links resolve, generated tables are current, and templates work."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import logging
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import lacuna
from lacuna.corpus.importers.base import list_importers
from lacuna.missing import Layout, MaskPlan, list_patterns, pattern
from lacuna.models import models_markdown

SOURCE = Path(lacuna.__file__).parent
ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "docs" / "tutorials" / "templates"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]

NOT_RUN = "<!-- not run -->"
BLOCK = re.compile(rf"^({NOT_RUN}\n+)?```python\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _code(path: Path) -> list[str]:
    """The Python blocks of a page that are not marked with ``NOT_RUN``."""
    return [code for marker, code in BLOCK.findall(path.read_text("utf-8")) if not marker]


def _prose(path: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)


def _anchors(path: Path) -> set[str]:
    """Anchors of the headings of a page, as mkdocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", _prose(path), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


WITH_EXAMPLES = sorted(_module(path) for path in SOURCE.rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_are_true(module: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    logging.disable(logging.CRITICAL)  # another test may have set up a handler that writes to the standard output
    try:
        result = doctest.testmod(importlib.import_module(module), optionflags=options)
    finally:
        logging.disable(logging.NOTSET)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {module} print something else"


@pytest.mark.parametrize("name", ["load_corpus", "create_model", "evaluate", "list_models", "load_model", "model_card"])
def test_every_function_of_the_front_door_is_documented(name: str) -> None:
    text = getattr(lacuna, name).__doc__ or ""
    assert text.strip()
    assert "Args:" in text, f"lacuna.{name} needs a section Args"


@pytest.mark.parametrize("page", [page for page in PAGES if _code(page)], ids=_name)
def test_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example"}
    for code in _code(page):
        small = code.replace('preset="demo"', 'preset="tiny"').replace("epochs=10", "epochs=1")  # README shows a real result
        exec(compile(small, _name(page), "exec"), namespace)


def test_the_model_table_of_the_readme_is_current() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.split("<!-- models:begin -->")[1].split("<!-- models:end -->")[0]
    assert table.strip() == models_markdown().strip(), "paste lacuna.models.models_markdown() between the markers of README.md"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_internal_links_of_a_page_resolve(page: Path) -> None:
    broken = []
    for link in LINK.findall(_prose(page)):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if link.startswith(("http:", "https:")):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken, f"{_name(page)} links to {', '.join(broken)}, which {'do' if broken[1:] else 'does'} not exist"


def _put_in_place(name: str, registry: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load a template, so that it registers itself until the end of the test."""
    monkeypatch.setattr(f"{registry}._REGISTRY._classes", dict(importlib.import_module(registry)._REGISTRY._classes))
    spec = importlib.util.spec_from_file_location(f"lacuna_template_{name}", TEMPLATES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_model_template_trains_and_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "gated" not in lacuna.list_models()
    _put_in_place("model", "lacuna.models.base", monkeypatch)
    corpus = lacuna.load_corpus("duet", preset="tiny")
    model = lacuna.create_model("gated", hidden=8).fit(corpus, epochs=1)
    answers = model.predict(corpus.only("test"))
    probabilities = answers.filter(like="p_")
    assert len(answers) == len(corpus.only("test"))
    assert probabilities.shape[1] == len(corpus.target().classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert lacuna.model_card("gated").info.title == "Gated mean fusion"


def test_the_pattern_template_removes_the_first_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "late_start" not in list_patterns()
    _put_in_place("pattern", "lacuna.missing.registry", monkeypatch)
    layout = Layout.of(lacuna.load_corpus("duet", preset="tiny"))
    rows = np.arange(len(layout))
    for rate in (0.0, 0.3, 0.5, 1.0):
        mask = MaskPlan(pattern("late_start"), rate, seed=0).over(layout)
        n_removed = n_present = 0
        for modality, count in layout.count.items():
            lost = np.round(rate * count)
            position = np.arange(count.max())
            expected = (position >= lost[:, None]) & (position < count[:, None])  # (U, T)
            np.testing.assert_array_equal(mask.present(rows)[modality], expected)
            n_removed, n_present = n_removed + lost.sum(), n_present + count.sum()
        assert mask.measured() == pytest.approx(n_removed / n_present)
        assert mask.measured() == pytest.approx(rate, abs=0.05)


def test_the_importer_template_reads_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "simple" not in list_importers()
    _put_in_place("importer", "lacuna.corpus.importers.base", monkeypatch)
    r = np.random.default_rng(0)
    ids, labels = [f"clip{i:02d}" for i in range(12)], ["joy", "anger", "anger"] * 4
    text, audio = r.normal(size=(12, 4)).astype(np.float32), r.normal(size=(12, 3)).astype(np.float32)
    np.savez(tmp_path / "clips.npz", ids=ids, emotions=labels, text=text, audio=audio)
    corpus = lacuna.load_corpus(tmp_path / "clips.npz")
    assert corpus.target().classes == ("anger", "joy")
    assert [(m.name, m.dim) for m in corpus.modalities] == [("text", 4), ("audio", 3)]
    assert all(len(corpus.only(split)) for split in ("train", "valid", "test"))
    for row, name in enumerate(corpus.ids):
        source = ids.index(name)
        np.testing.assert_array_equal(corpus.frames["text"].of(row), text[source][None])
        np.testing.assert_array_equal(corpus.frames["audio"].of(row), audio[source][None])
        assert corpus.target().classes[corpus.utterances.labels["emotion"][row]] == labels[source]
