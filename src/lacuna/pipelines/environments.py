"""Environments of this project for other commands than ``kedro run``: the same files, settings and places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kedro.config import OmegaConfigLoader
from pydantic import BaseModel, ValidationError

import lacuna
from lacuna.atomic import write_json
from lacuna.corpus import check, open_corpus, save_corpus
from lacuna.corpus.storage.format import MANIFEST
from lacuna.errors import ConfigError, DataError
from lacuna.loading import corpus_facts
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.pipelines.parameters import Evaluate, Ingest, Models, Predict, Train, check_variants
from lacuna.settings import CONFIG_LOADER_ARGS as LOADER

INGESTED = "ingested.json"  # beside the corpus: what it was made of, so that the same is not made again
_ARGS: dict[str, Any] = dict(LOADER)
BASE: str = _ARGS["base_env"]
Setting = TypeVar("Setting", bound=BaseModel)


@dataclass(frozen=True)
class Environment:
    """An environment with its settings checked and its places known.

    Attributes:
        name: of the environment.
        ingest: where the corpus comes from.
        train: what is trained.
        models: what variants stand for.
        evaluate: what it is put through.
        parameters: all settings, as ``kedro run`` hands them to its report.
        corpus: folder of the corpus.
        facts: JSON file of what a reader should know of it.
        checkpoints: folder of training runs.
    """

    name: str
    ingest: Ingest
    train: Train
    models: Models
    evaluate: Evaluate
    parameters: Mapping[str, Any]
    corpus: Path
    facts: Path
    checkpoints: Path


def project_of(here: Path) -> Path:
    """The project's folder: ``here`` or one above it.

    Raises:
        ConfigError: there is none.
    """
    for folder in (here, *here.parents):
        if (folder / "conf" / BASE).is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise ConfigError(f"{here} is not inside a Lacuna project: change to the folder that holds conf/base and pyproject.toml")


def environments(project: Path) -> list[str]:
    """Names of all environments; the first is what plain ``kedro run`` does."""
    standard = str(_loader(project, None)["globals"]["run"])
    found = sorted(path.parent.name for path in (project / "conf").glob("*/globals.yml"))
    return [standard, *(name for name in found if name not in (standard, BASE))]


def read_environment(project: Path, name: str, **changes: Mapping[str, Any]) -> Environment:
    """Read the settings of an environment as ``kedro run --env NAME`` would.

    Args:
        project: its folder.
        name: of a folder in ``conf/``; the name of the standard run stands for plain ``kedro run``.
        changes: values in place of those of a parameter, such as ``train={"seeds": [0]}``.

    Raises:
        ConfigError: there is no such environment, or a setting is wrong.
    """
    known = environments(project)
    if name not in known:
        raise ConfigError(f"there is no environment '{name}' in conf/; there are: {', '.join(known)}")
    loader = _loader(project, None if name == known[0] and not (project / "conf" / name).is_dir() else name)
    parameters = json.loads(json.dumps(loader["parameters"], default=str))
    for key, values in changes.items():
        parameters[key] = {**parameters[key], **{k: v for k, v in values.items() if v is not None}}
    catalog, train = loader["catalog"], _checked(name, "train", Train, parameters)
    models, ingest = _checked(name, "models", Models, parameters), _checked(name, "ingest", Ingest, parameters)
    evaluate, predict = _checked(name, "evaluate", Evaluate, parameters), _checked(name, "predict", Predict, parameters)
    check_variants(train, models)
    checked = {"train": train, "models": models, "ingest": ingest, "evaluate": evaluate, "predict": predict}
    return Environment(
        name=name,
        ingest=ingest,
        train=train,
        models=models,
        evaluate=evaluate,
        parameters=parameters | checked,
        corpus=_place(project, catalog, "corpus@all"),
        facts=_place(project, catalog, "corpus_facts"),
        checkpoints=project / train.checkpoints,
    )


def ingested(environment: Environment, project: Path) -> dict[str, Any]:
    """Make the corpus of an environment, as the ingest pipeline does, unless it is there and of the same source.

    Args:
        environment: whose corpus.
        project: paths in the settings are relative to it.

    Returns:
        The facts of the corpus.

    Raises:
        DataError: the source cannot be read, or breaks a rule.
    """
    ingest, marker = environment.ingest, environment.corpus.parent / INGESTED
    if ingest.path is not None:
        ingest = ingest.model_copy(update={"path": project / ingest.path})
    made = {"settings": environment.ingest.model_dump(mode="json"), "source": _source(ingest.path), "code": _code()}
    with_digest = _json(marker)
    if with_digest is not None and environment.facts.is_file() and (environment.corpus / MANIFEST).is_file():
        facts = _json(environment.facts) or {}
        try:
            digest = open_corpus(environment.corpus).digest
        except DataError:
            digest = None
        if with_digest == {**made, "digest": digest} and facts.get("digest") == digest:
            return facts
    save_corpus(check(read_source(ingest)), environment.corpus)
    corpus = open_corpus(environment.corpus)
    facts = corpus_facts(corpus)
    write_json(environment.facts, facts)
    write_json(marker, {**made, "digest": corpus.digest})
    return facts


def _loader(project: Path, environment: str | None) -> OmegaConfigLoader:
    env = environment or _ARGS["default_run_env"]
    if not (project / "conf" / env).is_dir():  # nothing is local here
        env = BASE
    return OmegaConfigLoader(conf_source=str(project / "conf"), env=env, **_ARGS)


def _checked(environment: str, key: str, kind: type[Setting], parameters: Mapping[str, Any]) -> Setting:
    try:
        return kind.model_validate(parameters[key])
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, (key, *e['loc'])))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"environment '{environment}' has wrong settings", *lines])) from None


def _place(project: Path, catalog: Mapping[str, Any], name: str) -> Path:
    place = str(catalog[name]["filepath"])
    if "://" in place:
        raise ConfigError(f"catalog entry '{name}' lies at {place}: a grid needs a folder that every worker can open")
    return project / place


def _source(path: Path | None) -> list[list[Any]]:
    """Names, sizes and times of the files that a corpus is read from."""
    if path is None or not path.exists():
        return []
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [[p.relative_to(path.parent).as_posix(), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def _code() -> str:
    files = sorted((Path(lacuna.__file__).parent / "corpus").rglob("*.py"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content
