"""The record of a Kedro run: which settings decided its results, so that no other settings replace them unasked."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lacuna.atomic import write_json
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
    """

    def __init__(self, project: Path, run: str, environment: str, *, replace: bool = False) -> None:
        self.project, self.run, self.environment, self.replace = project, run, environment, replace
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
        except ValueError as error:
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
        new = _sections(pipeline.nodes, catalog)
        changed = [
            line
            for name, settings in new.items()
            if name in recorded.get("settings", {})
            for line in differences(recorded["settings"][name], settings, name)
        ]
        if changed:
            raise ConfigError(
                f"run '{self.run}' has results of other settings, which this command would replace\n  "
                + "\n  ".join(changed)
                + f"\n  do: --params run={self._free_name()} (a run beside it), or --params replace=true"
            )
        if "predictions" in pipeline.all_outputs() and catalog.get("predictions").exists():
            file, settings = self._predictions(catalog)
            if recorded.get("predictions", {}).get(file) != settings:
                raise ConfigError(
                    f"{file} exists and has the predictions of another input or model\n"
                    "  do: --params predict.out=FILE.csv, or --params replace=true"
                )

    def note(self, nodes: Iterable[Any], catalog: Any, outputs: Mapping[str, Any]) -> None:
        """Record the settings that results of some nodes rest on.

        Args:
            nodes: that have run.
            catalog: with their parameters.
            outputs: of the nodes, by the names of the catalog.
        """
        nodes = list(nodes)
        content = self.load()
        before = json.dumps(content)
        settings = content.setdefault("settings", {})
        settings.update(_sections(nodes, catalog))
        if any("predictions" in node.outputs for node in nodes):
            file, predicted = self._predictions(catalog)
            content.setdefault("predictions", {})[file] = predicted
        if "summary_scores" in outputs and "sweeps" in outputs:
            models = [one.model for one in outputs["sweeps"]]
            content["headline"] = headline_of(outputs["summary_scores"], models, primary(outputs["sweeps"][0].target))
        if json.dumps(content) == before or not (settings or "predictions" in content):
            return
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        write_json(self.path, {**content, "environment": self.environment, "created": now(), "command": command})

    def _predictions(self, catalog: Any) -> tuple[str, Any]:
        """Return the file of predictions, relative to the project, and what decides its content."""
        predict: Predict = catalog.load("params:predict")
        settings = predict.model_dump(mode="json", exclude={*NOT_DECISIVE, "out"})
        return os.path.relpath(catalog.get("predictions")._describe()["filepath"], self.project), settings

    def _free_name(self) -> str:
        number = 2
        while (self.project / PROJECT_RUNS / f"{self.run}-{number}").exists():
            number += 1
        return f"{self.run}-{number}"


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
                found[prefix + section] = _decisive(catalog.load(dataset), catalog)
    return found


def _decisive(section: Any, catalog: Any) -> Any:
    """Return a section without what does not change results."""
    if isinstance(section, Models):
        train = catalog.load("params:train")
        trained = train.models if isinstance(train, Train) else section.variants
        return {variant: section.of(variant).model_dump(mode="json") for variant in trained}
    content = section.model_dump(mode="json") if hasattr(section, "model_dump") else section
    if isinstance(section, Ingest):
        content.pop("options" if section.path is None else "duet")  # the other one is not used
    return {key: value for key, value in content.items() if key not in NOT_DECISIVE} if isinstance(content, dict) else content
