"""Check all parameters of a run before anything runs, and describe every mistake in one message."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from lacuna import pipelines
from lacuna.errors import ConfigError, LacunaError, suggestion
from lacuna.pipelines.parameters import LIGHT, Evaluate, Features, Ingest, ModelParameters, Models, Predict, Train, check_variants
from lacuna.registry import names_in_source

KINDS: Mapping[str, type[BaseModel]] = {
    "features": Features,
    "ingest": Ingest,
    "train": Train,
    "models": Models,
    "evaluate": Evaluate,
    "predict": Predict,
}
OTHERS = ("ood", "recover", "tune")  # sections whose types are beside their nodes
OF_RUN = ("run", "quick", "replace")  # parameters of the run itself; no node reads them
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "settings by name",
    "model": "settings by name",
    "path": "a path",
}


def pipeline_names() -> list[str]:
    """Return the names of all pipelines, without importing them."""
    return [module.name for module in pkgutil.iter_modules(pipelines.__path__) if module.ispkg]


def check_pipelines(names: Iterable[str]) -> None:
    """Check the names of pipelines.

    Raises:
        ConfigError: a name is unknown.

    >>> try:
    ...     check_pipelines(["traim"])
    ... except ConfigError as error:
    ...     print(str(error).split(";")[0])
    there is no pipeline 'traim' (did you mean 'train'?)
    """
    known = pipeline_names()
    for name in names:
        if name not in (*known, "__default__"):
            raise ConfigError(f"there is no pipeline '{name}'{suggestion(name, known)}; there are: {', '.join(known)}")


def sections() -> dict[str, type[BaseModel]]:
    """Return the type of each section of the parameters, as the nodes of all pipelines declare them."""
    types: dict[str, type[BaseModel]] = {}
    for name in pipeline_names():
        for node in import_module(f"{pipelines.__name__}.{name}").create_pipeline().nodes:
            hints = get_type_hints(node.func)
            inputs = node._inputs
            if isinstance(inputs, Mapping):
                named = dict(inputs)
            else:
                listed = [inputs] if isinstance(inputs, str) else list(inputs or [])
                named = dict(zip(inspect.signature(node.func).parameters, listed, strict=False))
            for argument, dataset in named.items():
                if dataset.startswith("params:") and issubclass(hints[argument], BaseModel):
                    types[dataset.removeprefix("params:")] = hints[argument]
    return types


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check every parameter of a run.

    Names, types and bounds are checked before torch is imported, so that a misspelt name is refused at once; values that only
    the classes of the library can judge are checked after that.

    Args:
        parameters: all of them, with those of the command line.

    Raises:
        ConfigError: at least one is unknown, missing or out of bounds; the message has a line for each.
    """
    if "torch" not in sys.modules and (lines := mistakes(parameters, light=True)):
        raise ConfigError("\n".join(lines))
    if lines := mistakes(parameters):
        raise ConfigError("\n".join(lines))


def mistakes(parameters: Mapping[str, Any], *, light: bool = False) -> list[str]:
    """Return what is wrong with the parameters of a run, one text for each mistake.

    Args:
        parameters: all of them.
        light: import no pipeline, no model and not torch; then only names, types and bounds of :data:`KINDS` are checked.
    """
    types = KINDS if light else sections()
    known = [*sorted({*types, *OTHERS}), *OF_RUN]
    lines = [
        f"there is no parameter '{name}'{suggestion(name, known)}; there are: {', '.join(known)}"
        for name in parameters
        if name not in known
    ]
    checked: dict[str, BaseModel] = {}
    for name, kind in types.items():
        try:
            checked[name] = kind.model_validate(parameters.get(name) or {}, context=LIGHT if light else None)
        except ValidationError as error:
            lines += problems(error, name, kind=kind)
    train, models = checked.get("train"), checked.get("models")
    if isinstance(train, Train) and isinstance(models, Models):
        try:
            check_variants(train, models, names_in_source("lacuna.models") if light else None)
        except LacunaError as error:
            lines.append(str(error))
    for name in ("quick", "replace"):
        if not isinstance(parameters.get(name, False), bool):
            lines.append(f"{name}: expected true or false, found {parameters[name]!r}")
    return lines


def problems(error: ValidationError, *where: str, kind: type[BaseModel]) -> list[str]:
    r"""Return what is wrong, one text for each setting.

    Args:
        error: of pydantic.
        where: the path of the settings in the parameters.
        kind: the type that was to be filled.

    >>> from lacuna.pipelines.parameters import Predict
    >>> try:
    ...     Predict.model_validate({"path": "x", "modle": "mlp", "batch_size": 0})
    ... except ValidationError as error:
    ...     print(*(text.split(";")[0] for text in problems(error, "predict", kind=Predict)), sep="\n")
    predict.batch_size: expected more than 0, found 0
    there is no setting 'predict.modle' (did you mean 'model'?)
    """
    texts = []
    for one in error.errors():
        location = [str(part) for part in one["loc"]]
        name = ".".join((*where, *location))
        if one["type"] == "extra_forbidden":
            fields = sorted(_class_at(kind, location[:-1]).model_fields)
            parent = ".".join((*where, *location[:-1]))
            hint = suggestion(location[-1], fields)
            known = f"{parent} has" if parent else "there are"
            texts.append(f"there is no setting '{name}'{hint}; {known}: {', '.join(fields)}")
        elif one["type"] == "value_error":
            texts.append(f"{name}: {one['ctx']['error']}")
        elif one["type"] == "missing":
            texts.append(f"{name} is missing")
        else:
            texts.append(f"{name}: expected {_expected(one['type'], one.get('ctx', {}))}, found {one['input']!r}")
    return list(dict.fromkeys(texts))


def _expected(kind: str, limits: Mapping[str, Any]) -> str:
    bounds = {
        "greater_than": "more than {gt}",
        "greater_than_equal": "at least {ge}",
        "less_than": "less than {lt}",
        "less_than_equal": "at most {le}",
        "literal_error": "one of {expected}",
        "too_short": "at least {min_length} value",
    }
    return (
        bounds[kind].format(**limits) if kind in bounds else _EXPECTED.get(kind.split("_", maxsplit=1)[0], kind.replace("_", " "))
    )


def _class_at(kind: type[BaseModel], location: list[str]) -> type[BaseModel]:
    """Return the type of the settings at a location within settings of a type."""
    for part in location:
        if kind is Models:
            kind = ModelParameters
            continue
        field = kind.model_fields.get(part)
        if field is not None and inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            kind = field.annotation
    return kind
