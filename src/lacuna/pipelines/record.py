"""The record of a Kedro run: which settings decided its results, so that no other settings replace them unasked."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lacuna.atomic import partial_folder, write_json
from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.storage.writer import MANIFEST
from lacuna.errors import ConfigError
from lacuna.metrics.scores import primary
from lacuna.pipelines.parameters import Ingest, Models, Predict, Train
from lacuna.runs import PROJECT_RUNS, RUN, headline_of, now

NOT_DECISIVE = {"workers", "device", "threads", "batch_size", "checkpoints", "cache"}
_UNPROTECTED = {"tune", "predict"}  # namespaces: studies are kept by name, and predictions by file


class Record:
    """``run.json`` of a Kedro run.

    It holds the settings of each section of the parameters (``ingest``, ``train``, ...) from which results of the run follow. A
    section is recorded as soon as a node that reads it has finished. Sections of shifted tests have the prefix ``ood.``.

    Args:
        project: its folder.
        run: name of the run.
        environment: that the settings come from.
        replace: whether results of other settings may be replaced.
        remedy: what to do instead, for commands without ``--params``.
    """

    def __init__(self, project: Path, run: str, environment: str, *, replace: bool = False, remedy: str = "") -> None:
        self.project, self.run, self.environment, self.replace, self.remedy = project, run, environment, replace, remedy
        self.path = project / PROJECT_RUNS / run / RUN

    def load(self) -> dict[str, Any]:
        """Return the content, empty for a new run.

        Raises:
            ConfigError: the file is damaged.
        """
        if not self.path.is_file():
            return {}
        try:
            content: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it is not a JSON object")
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}\n  do: --params run=NAME, or delete the file") from None
        return content

    def check(self, pipeline: Any, catalog: Any) -> None:
        """Refuse to replace results of other settings.

        Args:
            pipeline: what is to be run.
            catalog: with its parameters.

        Raises:
            ConfigError: the run has results of other settings, or the file of predictions is that of another input.
        """
        if self.replace:
            return
        recorded = self.load()
        self.check_settings(_sections(pipeline.nodes, catalog))
        if "predictions" in pipeline.all_outputs() and catalog.get("predictions").exists():
            file, settings = self._predictions(catalog)
            if recorded.get("predictions", {}).get(file) != settings:
                raise ConfigError(
                    f"{file} exists and has the predictions of another input or model\n"
                    "  do: --params predict.out=FILE.csv, or --params replace=true"
                )

    def check_settings(self, new: Mapping[str, Any]) -> None:
        """Refuse to replace results of other settings.

        Args:
            new: settings by section.

        Raises:
            ConfigError: the run has results of other settings.
        """
        recorded = {} if self.replace else self.load().get("settings", {})
        changed = [
            line for name, settings in new.items() if name in recorded for line in differences(recorded[name], settings, name)
        ]
        if changed:
            raise ConfigError(
                f"run '{self.run}' has results of other settings, which this command would replace\n  "
                + "\n  ".join(changed)
                + f"\n  do: {self._remedy()}"
            )

    def check_corpus(self, corpus: Corpus, source: object) -> None:
        """Refuse another corpus than the one that the results of the run were made from, e.g. a table that was edited since.

        Args:
            corpus: that is to be saved.
            source: where it was read, for the message.

        Raises:
            ConfigError: the content differs.
        """
        folder = self.path.with_name("corpus")
        if self.replace or not (folder / MANIFEST).is_file() or {*self.load().get("settings", {})} <= {"ingest"}:
            return
        old = open_corpus(folder)
        with partial_folder(folder.parent) as place:
            new = open_corpus(save_corpus(corpus, place))
        if new.digest != old.digest:
            raise ConfigError(
                f"the corpus at '{source}' is not the one that the results of run '{self.run}' were made from\n"
                f"  before: {len(old)} utterances, now: {len(new)}; what changed is the data, or how this version reads them\n"
                f"  do: {self._remedy()}"
            )

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Record settings that results of the run rest on, by section."""
        content = self.load()
        self._save(content, {**content, "settings": {**content.get("settings", {}), **settings}})

    def note(self, nodes: Iterable[Any], catalog: Any, outputs: Mapping[str, Any]) -> None:
        """Record the settings that results of some nodes rest on.

        Args:
            nodes: that have run.
            catalog: with their parameters.
            outputs: of the nodes, by the names of the catalog.
        """
        nodes = list(nodes)
        before = self.load()
        settings = {**before.get("settings", {}), **_sections(nodes, catalog)}
        content = {**before, "settings": settings}
        if any("predictions" in node.outputs for node in nodes):
            file, predicted = self._predictions(catalog)
            content["predictions"] = {**content.get("predictions", {}), file: predicted}
        if "summary_scores" in outputs and "sweeps" in outputs:
            models = [one.model for one in outputs["sweeps"]]
            content["headline"] = headline_of(outputs["summary_scores"], models, primary(outputs["sweeps"][0].target))
        if settings or "predictions" in content:
            self._save(before, content)

    def _save(self, before: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """Write the record if it has changed."""
        if json.dumps(content) == json.dumps(before):
            return
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        write_json(self.path, {**content, "environment": self.environment, "created": now(), "command": command})

    def _predictions(self, catalog: Any) -> tuple[str, Any]:
        """Return the file of predictions, relative to the project, and what decides its content."""
        predict: Predict = catalog.load("params:predict")
        settings = predict.model_dump(mode="json", exclude={*NOT_DECISIVE, "out"})
        return os.path.relpath(catalog.get("predictions")._describe()["filepath"], self.project), settings

    def _remedy(self) -> str:
        if self.remedy:
            return self.remedy
        number = 2
        while (self.project / PROJECT_RUNS / f"{self.run}-{number}").exists():
            number += 1
        return f"--params run={self.run}-{number} (a run beside it), or --params replace=true"


def differences(old: Any, new: Any, name: str) -> list[str]:
    """Return what differs between two settings, one line each.

    >>> differences({"models": ["prior", "mlp"], "seeds": [0]}, {"models": ["mlp"], "seeds": [0]}, "train")
    ['train.models: prior, mlp -> mlp']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        names = [
            key for key in {**old, **new} if name != "models" or (key in old and key in new)
        ]  # train.models names the others
        return [line for key in names for line in differences(old.get(key), new.get(key), f"{name}.{key}")]
    return [] if old == new else [f"{name}: {_text(old)} -> {_text(new)}"]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else "none" if value is None else str(value)


def _sections(nodes: Iterable[Any], catalog: Any) -> dict[str, Any]:
    """Return the settings that decide the results of some nodes, by section."""
    found: dict[str, Any] = {}
    for node in nodes:
        namespace = (node.namespace or "").split(".")[0]
        if namespace in _UNPROTECTED:
            continue
        prefix = "ood." if namespace == "ood" else ""
        for dataset in node.inputs:
            if dataset.startswith("params:") and dataset != "params:predict":
                section = dataset.removeprefix("params:")
                found[prefix + section] = decisive(catalog.load(dataset), catalog)
    return found


def decisive(section: Any, catalog: Any = None) -> Any:
    """Return a section without what does not change results.

    Args:
        section: of the parameters.
        catalog: with the other parameters; only ``models`` needs it.
    """
    if isinstance(section, Models):
        train = catalog.load("params:train")
        trained = train.models if isinstance(train, Train) else section.variants
        return {variant: section.of(variant).model_dump(mode="json") for variant in trained}
    content = section.model_dump(mode="json") if hasattr(section, "model_dump") else section
    if isinstance(section, Ingest):
        used = "path" if section.path is not None else "duet" if section.wrist is None else "wrist"
        for other in {"path": ("duet", "wrist"), "duet": ("options", "wrist"), "wrist": ("options", "duet")}[used]:
            content.pop(other)
    return {key: value for key, value in content.items() if key not in NOT_DECISIVE} if isinstance(content, dict) else content
