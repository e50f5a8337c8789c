"""The registry of evaluation protocols: what `lacuna score --list` shows and the documentation prints."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import pandas as pd

from lacuna.errors import ConfigError, DataError, suggestion

GROUPS = ("model", "seed", "modalities")  # columns of a prediction file that hold several systems or conditions
Status = Literal["published", "stand-in", "reconstruction"]


class ProtocolScore(NamedTuple):
    """One value of a protocol.

    Attributes:
        metric: name of the value.
        value: float; NaN where the value is not defined, for example without any event.
        n: units that the value is computed from.
        subset: part of the data, ``all`` for everything.
    """

    metric: str
    value: float
    n: int
    subset: str = "all"


Scorer = TypeVar("Scorer", bound=Callable[..., list[ProtocolScore]])


@dataclass(frozen=True)
class ScoringProtocol:
    """How a publication scores predictions.

    Attributes:
        name: as in `lacuna score --protocol`.
        title: noun phrase.
        source: who publishes the protocol.
        status: ``published``: the formula is the source's. ``stand-in``: replaces a part of the source that cannot be repeated
            exactly, such as a language model as judge. ``reconstruction``: the source's formula was not found; this one is ours.
        formula: in one line.
        predictions: required columns of the predictions; ``p_*`` stands for one column a class.
        truth: required columns of the truth; empty = no truth is needed.
        optional: columns that are used where they exist.
        function: takes both tables and the options of the protocol.
    """

    name: str
    title: str
    source: str
    status: Status
    formula: str
    predictions: tuple[str, ...]
    truth: tuple[str, ...]
    optional: tuple[str, ...]
    function: Callable[..., list[ProtocolScore]]

    @property
    def options(self) -> dict[str, Any]:
        """Return the default of each option."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


_PROTOCOLS: dict[str, ScoringProtocol] = {}


def protocol(
    name: str,
    *,
    title: str,
    source: str,
    status: Status,
    formula: str,
    predictions: Sequence[str],
    truth: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Callable[[Scorer], Scorer]:
    """Return a decorator that registers a function as a protocol; the arguments are those of :class:`ScoringProtocol`.

    Raises:
        ConfigError: another function has this name.
    """

    def add(function: Scorer) -> Scorer:
        other = _PROTOCOLS.get(name)
        if other is not None and other.function.__qualname__ != function.__qualname__:
            raise ConfigError(f"two protocols are called '{name}': rename one of them")
        columns = tuple(predictions), tuple(truth), tuple(optional)
        _PROTOCOLS[name] = ScoringProtocol(name, title, source, status, formula, *columns, function)
        return function

    return add


def list_protocols() -> list[str]:
    """Return the names of all protocols, sorted.

    Example:
        >>> "dynamics" in list_protocols()
        True
    """
    package = importlib.import_module(__package__ or "lacuna.metrics.protocols")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_PROTOCOLS)


def get_protocol(name: str) -> ScoringProtocol:
    """Return a protocol by name.

    Raises:
        ConfigError: the name is unknown; the message suggests the nearest name and lists all names.
    """
    known = list_protocols()
    if name not in known:
        raise ConfigError(f"unknown protocol {name!r}{suggestion(name, known)}; known: {', '.join(known)}")
    return _PROTOCOLS[name]


def score_tables(name: str, predictions: pd.DataFrame, truth: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Return the scores of a protocol.

    Args:
        name: of the protocol.
        predictions: the columns that the protocol names. Rows that differ in ``model``, ``seed`` or ``modalities`` are
            systems of their own and scored separately.
        truth: the columns that the protocol names.
        **options: of the protocol.

    Returns:
        Columns ``model``, ``seed`` and ``modalities`` where the predictions have them, then ``subset``, ``metric``, ``value``
        (NaN where not defined) and ``n``.

    Raises:
        ConfigError: the protocol or an option is unknown, or a value of an option is not valid.
        DataError: a column is missing, or the tables do not belong together.

    Example:
        >>> predictions = pd.DataFrame({"id": ["a", "b"], "predicted": ["joy", "joy"]})
        >>> truth = pd.DataFrame({"id": ["a", "b"], "label": ["joy", "fear"]})
        >>> table = score_tables("classes", predictions, truth)
        >>> float(table.set_index("metric")["value"]["accuracy"])
        0.5
    """
    chosen = get_protocol(name)
    if unknown := sorted(set(options) - set(chosen.options)):
        known = ", ".join(chosen.options) or "none"
        raise ConfigError(
            f"protocol '{name}' has no option {unknown[0]!r}{suggestion(unknown[0], chosen.options)}; it has: {known}"
        )
    _check_columns(name, "predictions", predictions, chosen.predictions)
    if chosen.truth and truth is None:
        raise ConfigError(f"protocol '{name}' needs a table of the truth with columns {', '.join(chosen.truth)}")
    if truth is not None:
        _check_columns(name, "truth", truth, chosen.truth)
    groups = [column for column in GROUPS if column in predictions]
    parts = predictions.groupby(groups, sort=False, dropna=False) if groups else [((), predictions)]
    rows = []
    for key, part in parts:
        for one in chosen.function(part.reset_index(drop=True), truth, **options):
            rows.append((*key, one.subset, one.metric, one.value, one.n))
    return pd.DataFrame(rows, columns=[*groups, "subset", "metric", "value", "n"])


def _check_columns(name: str, which: str, table: pd.DataFrame, required: Sequence[str]) -> None:
    columns = [str(column) for column in table.columns]
    for column in required:
        prefix = column.removesuffix("*")
        if not (column in columns or (prefix != column and any(c.startswith(prefix) for c in columns))):
            raise DataError(
                f"protocol '{name}': the table of {which} has no column '{column}'{suggestion(column, columns)}",
                expected=", ".join(required),
                found=", ".join(columns) or "no columns",
                hint="add or rename the column: docs/explanation/protocols.md",
            )


def protocols_markdown() -> str:
    """Return a Markdown table of all protocols, for the documentation."""
    lines = ["| protocol | status | formula | predictions; truth | source |", "|---|---|---|---|---|"]
    for name in list_protocols():
        p = _PROTOCOLS[name]
        columns = f"{', '.join(p.predictions)}; {', '.join(p.truth) or 'none'}"
        extra = f" (optional: {', '.join(p.optional)})" if p.optional else ""
        formula = p.formula.replace("|", "\\|")
        lines.append(f"| `{name}` | {p.status} | {formula} | {columns}{extra} | {p.source} |")
    return "\n".join(lines) + "\n"
