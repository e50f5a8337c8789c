"""What a study found, as an environment of Kedro's: a folder under ``conf`` that ``kedro run --env`` takes up."""

from __future__ import annotations

import hashlib
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

SUFFIX = "_tuned"
MARK = "# Written by `kedro run --pipelines tune`; to change it, copy it to an environment of another name. sha256 "
NOTE = r"^# ([\w-]+): (.*)$"  # where a variant comes from
PARAMETERS, GLOBALS = "parameters.yml", "globals.yml"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TunedEnvironment:
    """What an environment adds to the one that a study was run in.

    Attributes:
        variant: of the tuned model.
        of: the variant that was tuned.
        model: which registered model it is.
        settings: of the model.
        training: training settings of its own.
        compared: variants that are trained beside the two.
        seeds: of training.
        checkpoints: where those of the study's own environment lie: what was trained there is not trained again.
        source: the environment that the study was run in; ``None`` = that of the run's name, or ``local``.
        told: where the settings come from, in words.
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
    told: str


class EnvironmentDataset(PlacedDataset[TunedEnvironment]):
    """A folder ``conf/<run>_tuned`` with two files that carry a digest; a file that was changed by hand is left alone."""

    @property
    def entry(self) -> str:
        """How to use it."""
        return f"{self._path} (kedro run --env {Path(self._path).name})"

    def load(self) -> NoReturn:
        """Kedro reads it, not a node."""
        raise DatasetError("an environment is taken up by `kedro run --env`, not loaded")

    def save(self, data: TunedEnvironment) -> None:
        """Write the environment; variants that earlier studies put there stay.

        Raises:
            DataError: a file was not written by a study, or was changed since; nothing is overwritten.
        """
        folder = Path(self._path)
        source = _source(folder, data.source)
        former, told = _former(folder / PARAMETERS), {}
        for path in (folder / PARAMETERS, folder / GLOBALS):
            _check_own(path)
        if former:
            told = dict(re.findall(NOTE, (folder / PARAMETERS).read_text("utf-8"), re.MULTILINE))
        told[data.variant] = data.told
        document = environment_document(_read(source, "parameters"), data, former)
        notes = "".join(f"# {variant}: {text}\n" for variant, text in told.items())
        write_text(folder / GLOBALS, _signed(yaml.safe_dump({**_read(source, "globals"), "run": folder.name})))
        write_text(folder / PARAMETERS, _signed(notes + yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)))

    def _exists(self) -> bool:
        return (Path(self._path) / PARAMETERS).is_file()


def environment_document(own: Mapping[str, Any], tuned: TunedEnvironment, former: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the environment.

    Args:
        own: those of the environment that the study was run in, as written (nothing interpolated).
        tuned: what to add.
        former: what the environment holds by now, for the variants of other studies.
    """
    models, train = dict(own.get("models") or {}), dict(own.get("train") or {})
    earlier = {
        variant: entry
        for variant, entry in (former.get("models") or {}).items()
        if variant.endswith(SUFFIX) and variant not in models and variant != tuned.variant
    }
    entry = {"model": tuned.model, "settings": tuned.settings, "training": tuned.training}
    known = {*earlier, tuned.variant}
    before = [at for at in (former.get("train") or {}).get("models", []) if at in known or f"{at}{SUFFIX}" in known]
    train["models"] = list(dict.fromkeys([*tuned.compared, *before, tuned.of, tuned.variant]))
    train["seeds"] = list(tuned.seeds)
    train["checkpoints"] = tuned.checkpoints
    return {**own, "train": train, "models": {**models, **earlier, tuned.variant: entry}}


def _source(folder: Path, named: str | None) -> Path:
    """The environment that the study was run in."""
    if named is not None:
        if not (folder.parent / named).is_dir():
            raise DataError(f"tune.environment '{named}' is no folder of {folder.parent}", hint="name one, or null")
        return folder.parent / named
    same = folder.parent / folder.name.removesuffix(SUFFIX)
    return same if same.is_dir() else folder.parent / "local"


def _read(source: Path, what: str) -> dict[str, Any]:
    """All parameters or globals of an environment as one document, nothing interpolated."""
    merged: dict[str, Any] = {}
    if not source.is_dir():
        return merged
    for path in sorted(p for p in source.rglob("*.yml") if p.relative_to(source).parts[0].startswith(what)):
        merged = _deep(merged, yaml.safe_load(path.read_text("utf-8")) or {})
    if what == "parameters":
        others = [p.name for p in source.rglob("*.yml") if not p.relative_to(source).parts[0].startswith((what, "globals"))]
        if others:
            _log.warning("the tuned environment takes parameters and globals of %s, but not %s", source.name, ", ".join(others))
    return merged


def _deep(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        old = merged.get(key)
        merged[key] = _deep(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _former(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = (yaml.safe_load(path.read_text("utf-8")) or {}) if path.is_file() else {}
    return content


def _signed(text: str) -> str:
    return f"{MARK}{hashlib.sha256(text.encode()).hexdigest()[:16]}\n{text}"


def _check_own(path: Path) -> None:
    """Refuse to overwrite what a person wrote."""
    if not path.is_file():
        return
    first, _, rest = path.read_text("utf-8").partition("\n")
    if f"{first}\n{rest}" != _signed(rest):
        raise DataError(
            f"{path.parent.name}/{path.name} was not written by a study, or was changed since",
            expected="a file as `tune` left it, which may be replaced",
            hint="rename its folder to keep it, or delete the file, and run again: the study is kept, nothing is trained twice",
        )
