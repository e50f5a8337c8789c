"""What a person sees of the pipeline: `kedro viz build` on a finished run, opened in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.browser

pytest.importorskip("kedro_viz", reason="Kedro-Viz is not installed: pip install -e '.[viz]'")
ROOT = Path(__file__).parents[1]
NAMESPACES = ("features", "ingest", "preprocess", "mask", "train", "recover", "evaluate", "report")
SETTINGS = (
    "ingest.duet.preset=tiny,train.models=prior+linear,train.seeds=0,train.training.epochs=1,"
    "evaluate.patterns=rmm,evaluate.rates=0.0+0.5+1.0,evaluate.mask_seeds=0,evaluate.replicates=100"
)


def kedro(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "kedro", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder under an address of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def test_every_dataset_of_the_catalog_has_a_layer() -> None:
    catalog = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text("utf-8"))
    without = [
        name
        for name, entry in catalog.items()
        if not name.startswith("_") and not entry.get("metadata", {}).get("kedro-viz", {}).get("layer")
    ]
    assert without == []


@pytest.mark.timeout(900)
def test_the_page_shows_pipelines_layers_previews_and_short_docs(tmp_path: Path) -> None:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path / name)
    kedro(tmp_path, "run", "--params", SETTINGS)
    output = kedro(tmp_path, "viz", "build", "--include-previews")
    assert "could not be previewed" not in " ".join(output.split()), output

    api = tmp_path / "build/api"
    main = json.loads((api / "main").read_text("utf-8"))
    assert {*main["layers"]} == {"recordings", "corpus", "features", "masks", "models", "scores", "report", "predictions"}
    assert {node["name"] for node in main["nodes"] if node["type"] == "modularPipeline"} == {*NAMESPACES}
    places = {node["name"]: api / "nodes" / node["id"] for node in main["nodes"] if node["type"] in ("task", "data")}
    details = {name: json.loads(path.read_text("utf-8")) for name, path in places.items()}
    expected = {
        "curves_figure": "PlotlyPreview",
        "summary_scores": "TablePreview",
        "metrics": "JSONPreview",
        "recognizers": "TablePreview",
        "report": "HTMLPreview",
        "statistics": "TablePreview",
        "masks": "TablePreview",
        "masks_figure": "PlotlyPreview",
        "completed_corpus": "JSONPreview",
        "completed_scores": "TablePreview",
    }
    assert {name: details[name].get("preview_type") for name in expected} == expected
    assert details["curves_figure"]["preview"]["data"]
    assert "weighted_f1" in details["summary_scores"]["preview"]["data"][0]
    for name in (node["name"] for node in main["nodes"] if node["type"] == "data" and node["name"] != "corpus"):
        assert details[name].get("preview"), f"{name} has no preview"  # Kedro-Viz shows none of a transcoded dataset: the corpus

    names = {node["id"]: node["name"] for node in main["nodes"]}
    edges = {(names[edge["source"]], names[edge["target"]]) for edge in main["edges"]}
    chain = [
        *(("features", "extracted"), ("extracted", "ingest")),
        *(("ingest", "corpus"), ("corpus", "preprocess"), ("corpus", "mask"), ("mask", "masks"), ("corpus", "train")),
        *(("train", "recognizers"), ("recognizers", "recover"), ("recover", "completed_corpus"), ("recognizers", "evaluate")),
        *(("evaluate", "summary_scores"), ("summary_scores", "report")),
    ]
    assert [edge for edge in chain if edge not in edges] == []
    for node in main["nodes"]:
        if node["type"] == "task":
            assert '"""' in details[node["name"]]["code"], f"{node['name']} says nothing of itself"

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: the page was built, and not opened")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=15000"]
    with served(tmp_path / "build") as address:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        shown = subprocess.run([browser, *options, profile, "--dump-dom", address], capture_output=True, text=True, check=True)
    graph = shown.stdout[shown.stdout.index("pipeline-flowchart") :]  # the drawing itself, not the list beside it
    for name in (*NAMESPACES, "recognizers", "summary_scores", "curves_figure"):
        assert f">{name}</text>" in graph, name
