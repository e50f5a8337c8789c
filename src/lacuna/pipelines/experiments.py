"""Experiments: ``experiments/<study>/config.yml``, one flat file a study, as cells of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml  # type: ignore[import-untyped]
from pydantic import BeforeValidator, Field, PositiveInt, ValidationError, model_validator

from lacuna.bench import Cell, Gathered, gather, plan
from lacuna.corpus import open_corpus
from lacuna.corpus.schema import check_name
from lacuna.errors import ConfigError, DataError
from lacuna.pipelines.environments import Environment, read_environment
from lacuna.pipelines.parameters import Listed, ModelParameters, Parameters, PatternParameters, Rate, Seed, ThinParameters
from lacuna.pipelines.validation import problems
from lacuna.settings import environments
from lacuna.training import model_settings

CONFIG, PAGE = "config.yml", "results.md"
CELLS = Path("data/09_bench")  # relative to the project


def _by_variant(value: Any) -> Any:
    """Return models by variant: a list, ``mlp+knn``, or a mapping whose empty entries change nothing."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split("+")]
    if isinstance(value, list):
        if twice := next((name for name in value if value.count(name) > 1), None):
            raise ValueError(f"'{twice}' is named twice")
        value = dict.fromkeys(value)
    return {name: {} if entry is None else entry for name, entry in value.items()} if isinstance(value, dict) else value


class Experiment(Parameters):
    """What ``config.yml`` may hold. Everything that it leaves out is as in the environment of its corpus.

    Attributes:
        corpus: an environment of ``conf/``, or several: then the study's page is a leaderboard.
        pipeline: ``evaluate``, to train and score on test; ``train``, to compare variants on validation
            alone; ``ood``, to score on shifted tests.
        models: variants in the order of tables, each with the settings in which it differs from the environment.
        seeds: of training.
        target: what is predicted.
        budget: settings that each variant tries on validation first, the same number for all.
        training: settings for every variant.
        patterns: of missing data, in scoring.
        rates: of missing data, in scoring.
        mask_seeds: of missing data, in scoring.
        recovery_rates: where recovered values are scored.
        thin: what is removed from the training and validation data for good; the corpus is then stored beside the complete one.
        ood: the shifted tests, for ``pipeline: ood``.
    """

    corpus: Annotated[list[str], Field(min_length=1), Listed]
    pipeline: Literal["evaluate", "train", "ood"] = "evaluate"
    models: Annotated[dict[str, ModelParameters] | None, BeforeValidator(_by_variant)] = None
    seeds: Annotated[list[Seed] | None, Listed] = None
    target: str | None = None
    budget: PositiveInt | None = None
    training: dict[str, Any] | None = None
    patterns: Annotated[list[str | PatternParameters] | None, Listed] = None
    rates: Annotated[list[Rate] | None, Listed] = None
    mask_seeds: Annotated[list[Seed] | None, Listed] = None
    recovery_rates: Annotated[list[Rate] | None, Listed] = None
    thin: ThinParameters | None = None
    ood: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check(self) -> Experiment:
        if twice := next((name for name in self.corpus if self.corpus.count(name) > 1), None):
            raise ValueError(f"'{twice}' is named twice")
        if len(self.corpus) > 1 and self.pipeline != "evaluate":
            raise ValueError(f"pipeline '{self.pipeline}' runs on one corpus; found {', '.join(self.corpus)}")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the experiment as parameters of Kedro, to be merged into those of an environment."""
        given = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        models = given.get("models", {})
        train: dict[str, Any] = {name: given[name] for name in ("seeds", "target", "budget", "training") if name in given}
        scoring = {name: given[name] for name in ("patterns", "rates", "mask_seeds", "recovery_rates") if name in given}
        if models:
            train["models"] = list(models)
        tests = {"ood": {**given.get("ood", {}), "evaluate": scoring}} if self.pipeline == "ood" else {"evaluate": scoring}
        ingest = {"ingest": {"thin": given["thin"]}} if "thin" in given else {}
        return {**ingest, "train": train, "models": {name: entry for name, entry in models.items() if entry}, **tests}


@dataclass(frozen=True)
class Study:
    """An experiment with its name.

    Attributes:
        name: of its folder, or of the environments that were named.
        experiment: what is run.
        command: that runs it.
        page: the committed results page, written when the study is finished; ``None`` = none.
    """

    name: str
    experiment: Experiment
    command: str
    page: Path | None = None


def read_study(path: Path) -> Study:
    """Read an experiment.

    Args:
        path: ``config.yml``, or its folder.

    Raises:
        ConfigError: the file cannot be read, or a setting is wrong.
    """
    file = path / CONFIG if path.is_dir() else path
    try:
        content = yaml.safe_load(file.read_text("utf-8")) or {}
        settings = {key: value for key, value in content.items() if not key.startswith("_")}  # `_name` holds YAML anchors
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not a YAML mapping: {error}") from None
    name = check_name("study", file.resolve().parent.name)
    in_project = file.resolve().parents[1].name == "experiments"  # then the page names no folder of this machine
    folder = Path("experiments", name) if in_project else file.parent
    return Study(name, _experiment(settings, str(file)), f"lacuna bench {folder.as_posix()}", file.with_name(PAGE))


def _experiment(settings: Mapping[str, Any], source: str) -> Experiment:
    try:
        return Experiment.model_validate(settings)
    except ValidationError as error:
        wrong = problems(error, kind=Experiment)
        raise ConfigError("\n  ".join([f"{source} is not an experiment", *wrong])) from None


def find_studies(names: tuple[str, ...], project: Path, models: str | None = None, seeds: str | None = None) -> list[Study]:
    """Return what the command line names: experiments by path, and environments, which together are one study.

    Args:
        names: as typed.
        project: its folder.
        models: variants in place of those of each study, ``mlp+knn``; such a study has no committed page.
        seeds: training seeds in place of those of each study, ``0+1``; such a study has no committed page.

    Raises:
        ConfigError: a name is neither, nothing is named, or an option is wrong.
    """
    paths = [name for name in names if (Path(name) / CONFIG).is_file() or Path(name).suffix in (".yml", ".yaml")]
    corpora = [name for name in names if name not in paths]
    known = environments(project / "conf")
    if unknown := next((name for name in corpora if name not in known), None):
        raise ConfigError(f"'{unknown}' is neither an experiment nor an environment\n{_choices(project)}")
    studies = [read_study(Path(name)) for name in paths]
    if corpora:
        command = " ".join(["lacuna bench", *corpora])
        studies.insert(0, Study("-".join(corpora)[:60], _experiment({"corpus": corpora}, command), command))
    if not studies:
        raise ConfigError(f"name experiments or environments, e.g. lacuna bench mosi mmmo\n{_choices(project)}")
    if twice := next((s.name for s in studies if [t.name for t in studies].count(s.name) > 1), None):
        raise ConfigError(f"two studies are called '{twice}': run them one after the other")
    options = {name: value for name, value in (("models", models), ("seeds", seeds)) if value is not None}
    return [_narrowed(study, options) for study in studies] if options else studies


def _narrowed(study: Study, options: Mapping[str, str]) -> Study:
    """Return a study with other models or seeds; it keeps the settings of its variants, and has no committed page."""
    experiment = study.experiment
    changed: dict[str, Any] = {name: value for name, value in options.items() if name == "seeds"}
    if "models" in options:
        known = experiment.model_dump(exclude_unset=True).get("models") or {}
        changed["models"] = {name.strip(): known.get(name.strip()) for name in options["models"].split("+")}
    command = " ".join([study.command, *(f"--{name} {value}" for name, value in options.items())])
    new = _experiment(experiment.model_dump(exclude_unset=True) | changed, command)
    return replace(study, experiment=new, command=command, page=None)


def _choices(project: Path) -> str:
    studies = sorted(path.parent.relative_to(project).as_posix() for path in project.glob(f"experiments/*/{CONFIG}"))
    return f"  environments: {', '.join(environments(project / 'conf'))}\n  experiments: {', '.join(studies) or 'none'}"


def environments_of(study: Study, project: Path) -> dict[str, Environment]:
    """Return the environments of a study with its changes, by the name of the contest on each.

    Raises:
        ConfigError: there is no such environment, or a setting is wrong.
    """
    corpora, changes = study.experiment.corpus, study.experiment.parameters()
    read = {corpus: read_environment(project, corpus, changes) for corpus in corpora}
    return read if len(corpora) > 1 else {study.name: read[corpora[0]]}


def cells_of(environment: Environment, utterances: int) -> list[Cell]:
    """Return a cell for each variant and seed, in the order of the environment, for that number of training utterances."""
    train, cells = environment.train, list[Cell]()
    for variant in train.models:
        own = environment.models.of(variant)
        cell = Cell(
            corpus=environment.corpus,
            target=train.target,
            checkpoints=environment.checkpoints,
            variant=variant,
            model=own.model,
            settings=model_settings(own.model, own.settings, utterances=utterances),
            training=train.config(own, utterances),
            seed=0,
            protocol=environment.evaluate.protocol(),
            budget=train.budget,
        )
        cells += [replace(cell, seed=seed) for seed in train.seeds]
    return cells


def finished(path: Path, project: Path) -> tuple[Gathered, Path]:
    """Return the results of a finished experiment on one corpus, and the folder of that corpus.

    Args:
        path: of the experiment.
        project: its folder.

    Raises:
        DataError: no cell is finished.
    """
    study = read_study(path)
    ((name, environment),) = environments_of(study, project).items()
    if not environment.facts.is_file():
        raise DataError("the experiment was not run yet", corpus=environment.name, hint=f"run it: lacuna bench {path}")
    cells = cells_of(environment, len(open_corpus(environment.corpus).only("train")))
    return gather(plan(name, cells), project / CELLS), environment.corpus
