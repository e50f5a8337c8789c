"""The best settings of a study as a Kedro environment: a folder in ``conf``, ignored by git, that ``kedro run --env`` reads."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml  # type: ignore[import-untyped]
from kedro.io.core import DatasetError

from lacuna.atomic import write_text
from lacuna.datasets.base import PlacedDataset
from lacuna.errors import DataError

PREFIX, SUFFIX = "tuned_", "_tuned"  # of the environment, and of a tuned variant
HEADER = (
    "# Written by `kedro run --pipelines tune`, which replaces this file without asking.\n"
    "# To edit or commit it, copy the folder to another name.\n"
)
ORIGIN = r"^# ([\w-]+): (study .*)$"  # which study a variant comes from
PARAMETERS, GLOBALS = "parameters.yml", "globals.yml"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TunedEnvironment:
    """What the environment adds to the one in which the study was run.

    Attributes:
        variant: name of the tuned variant.
        of: the variant that was tuned.
        model: its registered model.
        settings: of the model.
        training: training settings of the tuned variant.
        compared: variants that are trained beside the two.
        seeds: of training.
        checkpoints: folder of the study's own environment, so that nothing is trained twice.
        source: the environment in which the study was run; ``None`` = that with the name of the run, or ``local``.
        origin: the study and its result, in words.
    """

    variant: str
    of: str
    model: str
    settings: dict[str, Any]
    training: dict[str, Any]
    compared: tuple[str, ...]
    seeds: tuple[int, ...]
    checkpoints: str
    source: str | None
    origin: str


class EnvironmentDataset(PlacedDataset[TunedEnvironment]):
    """A folder ``conf/tuned_<run>`` with a file of parameters and a file of globals."""

    @property
    def entry(self) -> str:
        """Return the folder and the command that uses it."""
        return f"{self._path} (kedro run --env {Path(self._path).name})"

    def load(self) -> NoReturn:
        """Refuse: Kedro reads the folder, not a node."""
        raise DatasetError("an environment is used by `kedro run --env`, not loaded")

    def save(self, data: TunedEnvironment) -> None:
        """Write the environment; tuned variants of other studies of the same run stay in it.

        Raises:
            DataError: the folder was not written by a study; nothing is overwritten.
        """
        folder = Path(self._path)
        parameters = folder / PARAMETERS
        previous = parameters.read_text("utf-8") if parameters.is_file() else HEADER
        if not previous.startswith(HEADER):
            raise DataError(f"{parameters} was not written by the tune pipeline", hint="rename its folder, and run again")
        source = _source(folder, data.source)
        document = environment_document(_read(source, "parameters"), data, yaml.safe_load(previous) or {})
        origins = dict(re.findall(ORIGIN, previous, re.MULTILINE)) | {data.variant: data.origin}
        notes = "".join(f"# {variant}: {origin}\n" for variant, origin in origins.items())
        write_text(folder / GLOBALS, HEADER + yaml.safe_dump({**_read(source, "globals"), "run": folder.name}))
        write_text(parameters, HEADER + notes + yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True))

    def _exists(self) -> bool:
        return (Path(self._path) / PARAMETERS).is_file()


def environment_document(source: Mapping[str, Any], tuned: TunedEnvironment, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the environment.

    Args:
        source: parameters of the environment in which the study was run, as written (without interpolation).
        tuned: what to add.
        previous: parameters that the environment has now, with the variants of other studies.
    """
    models, train = dict(source.get("models") or {}), dict(source.get("train") or {})
    other_studies = {
        variant: entry
        for variant, entry in (previous.get("models") or {}).items()
        if variant.endswith(SUFFIX) and variant not in models and variant != tuned.variant
    }
    tuned_variants = {*other_studies, tuned.variant}
    pairs = tuned_variants | {variant.removesuffix(SUFFIX) for variant in tuned_variants}
    trained = [variant for variant in (previous.get("train") or {}).get("models", []) if variant in pairs]
    train["models"] = list(dict.fromkeys([*tuned.compared, *trained, tuned.of, tuned.variant]))
    train["seeds"] = list(tuned.seeds)
    train["checkpoints"] = tuned.checkpoints
    train["budget"] = None  # the settings are chosen
    entry = {"model": tuned.model, "settings": tuned.settings, "training": tuned.training}
    return {**source, "train": train, "models": {**models, **other_studies, tuned.variant: entry}}


def _source(folder: Path, name: str | None) -> Path:
    """Return the folder of the environment in which the study was run."""
    if name is not None:
        if not (folder.parent / name).is_dir():
            raise DataError(f"tune.environment '{name}' is not a folder of {folder.parent}", hint="name one, or null")
        return folder.parent / name
    same_name = folder.parent / folder.name.removeprefix(PREFIX)
    return same_name if same_name.is_dir() else folder.parent / "local"


def _read(source: Path, kind: str) -> dict[str, Any]:
    """Return all parameters or globals of an environment as one document, without interpolation."""
    merged: dict[str, Any] = {}
    paths = sorted(source.rglob("*.yml"))
    for path in paths:
        if path.relative_to(source).parts[0].startswith(kind):
            merged = _merge(merged, yaml.safe_load(path.read_text("utf-8")) or {})
    others = [path.name for path in paths if not path.relative_to(source).parts[0].startswith(("parameters", "globals"))]
    if kind == "parameters" and others:
        _log.warning("the tuned environment copies parameters and globals of %s, but not %s", source.name, ", ".join(others))
    return merged


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
