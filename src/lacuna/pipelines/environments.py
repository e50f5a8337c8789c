"""Environments of ``conf/`` for commands other than ``kedro run``: the same files, settings and folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lacuna.atomic import write_json
from lacuna.corpus import check, open_corpus, save_corpus
from lacuna.errors import ConfigError, suggestion
from lacuna.loading import corpus_facts
from lacuna.missing import Thin
from lacuna.pipelines.features.nodes import extract_features
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.pipelines.parameters import Evaluate, Features, Ingest, Models, Train, check_variants
from lacuna.pipelines.record import Record, decisive
from lacuna.pipelines.validation import KINDS, problems
from lacuna.settings import BASE, CONFIG_LOADER_ARGS, ConfigLoader, environments


@dataclass(frozen=True)
class Environment:
    """An environment whose settings were checked.

    Attributes:
        name: of the environment.
        features: recordings that are encoded.
        ingest: where the corpus comes from.
        train: what is trained.
        models: settings by variant.
        evaluate: how trained models are scored.
        parameters: all settings, as ``kedro run`` passes them to its report.
        corpus: folder of the corpus.
        facts: JSON file with the facts about the corpus.
        checkpoints: folder of training runs.
    """

    name: str
    features: Features
    ingest: Ingest
    train: Train
    models: Models
    evaluate: Evaluate
    parameters: Mapping[str, Any]
    corpus: Path
    facts: Path
    checkpoints: Path


def project_of(folder: Path) -> Path:
    """Return the project's folder: ``folder`` or one above it.

    Raises:
        ConfigError: ``folder`` is not inside a project.
    """
    for candidate in (folder, *folder.parents):
        if (candidate / "conf" / BASE).is_dir() and (candidate / "pyproject.toml").is_file():
            return candidate
    raise ConfigError(f"{folder} is not inside a Lacuna project: change to the folder that holds conf/base and pyproject.toml")


def read_environment(project: Path, name: str, changes: Mapping[str, Any] | None = None) -> Environment:
    """Read the settings of an environment as ``kedro run --env NAME`` does.

    Args:
        project: its folder.
        name: of a folder in ``conf/``, or ``duet`` for plain ``kedro run``.
        changes: parameters that replace those of the environment, as ``--params`` does; nested settings are merged.

    Raises:
        ConfigError: there is no such environment, or a setting is wrong.
    """
    known = environments(project / "conf")
    if name not in known:
        raise ConfigError(f"there is no environment '{name}' in conf/{suggestion(name, known)}; there are: {', '.join(known)}")
    loader = ConfigLoader(project / "conf", name, changes, **CONFIG_LOADER_ARGS)
    parameters = json.loads(json.dumps(loader["parameters"], default=str))
    checked: dict[str, Any] = {}
    wrong: list[str] = []
    for key, kind in KINDS.items():
        try:
            checked[key] = kind.model_validate(parameters.get(key) or {})
        except ValidationError as error:
            wrong += problems(error, key, kind=kind)
    if wrong:
        raise ConfigError("\n  ".join([f"environment '{name}' has wrong settings", *wrong]))
    check_variants(checked["train"], checked["models"])
    return Environment(
        name=name,
        features=checked["features"],
        ingest=checked["ingest"],
        train=checked["train"],
        models=checked["models"],
        evaluate=checked["evaluate"],
        parameters=parameters | checked,
        corpus=_beside(_place(project, loader["catalog"], "corpus@all"), checked["ingest"]),
        facts=_beside(_place(project, loader["catalog"], "corpus_facts"), checked["ingest"]),
        checkpoints=project / checked["train"].checkpoints,
    )


def ingest_corpus(environment: Environment, project: Path) -> dict[str, Any]:
    """Import (or generate) the corpus of an environment, as the ingest pipeline does.

    The corpus is that of the run of this name, so it is recorded as one, and no corpus that results rest on is replaced.

    Returns:
        The facts about the corpus.

    Raises:
        ConfigError: the run has results of another corpus.
        DataError: the source cannot be read, or the corpus is not valid.
    """
    features, ingest = environment.features, environment.ingest
    if features.path is not None:
        features = features.model_copy(update={"path": project / features.path})
    if ingest.path is not None:
        ingest = ingest.model_copy(update={"path": project / ingest.path})
    name = environment.name
    settings = {"ingest": decisive(environment.ingest), "features": decisive(environment.features)}
    again = f"kedro run --env {name} --pipelines ingest --params replace=true (its models and report must be made again, too)"
    record = Record(project, environment.corpus.parent.name, name, remedy=again)
    record.check_settings(settings)
    extracted, _ = extract_features(features)
    corpus = check(read_source(ingest, features, extracted))
    record.check_corpus(corpus, environment.ingest.path or environment.ingest.name)
    save_corpus(corpus, environment.corpus)
    record.note_settings(settings)
    facts = corpus_facts(open_corpus(environment.corpus))
    write_json(environment.facts, facts)
    return facts


def _beside(path: Path, ingest: Ingest) -> Path:
    """Return another path for a thinned corpus, so that a grid can hold it together with the complete one."""
    if ingest.thin is None:
        return path
    return path.with_name(f"{path.stem}-{Thin(**ingest.thin.model_dump()).slug}{path.suffix}")


def _place(project: Path, catalog: Mapping[str, Any], name: str) -> Path:
    place = str(catalog[name]["filepath"])
    if "://" in place:
        raise ConfigError(f"catalog entry '{name}' is at {place}: `lacuna bench` needs a folder that every worker can open")
    return project / place
