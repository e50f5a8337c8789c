"""The contract that every importer keeps, and the registry that knows them all.

An importer is one module beside this one with one class::

    @dataclass(frozen=True)
    class MineOptions(Options):
        nonfinite: Policy = "refuse"

    @register("mine", reads="a .npz with 'features' and 'labels'")
    class Mine(Importer[MineOptions]):
        Options = MineOptions

        def recognise(self, path: Path) -> Recognition | None: ...
        def load(self, path: Path, *, name: str, options: MineOptions) -> Corpus: ...
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import check_name
from lacuna.corpus.storage.format import MANIFEST, open_corpus
from lacuna.errors import ConfigError, DataError, LacunaError
from lacuna.registry import Registry, check_settings


@dataclass(frozen=True)
class Options:
    """Base of every importer's frozen, typed options; every field has a default."""


@dataclass(frozen=True)
class Recognition:
    """What an importer saw in a file or folder.

    Attributes:
        what: in words, e.g. "MMSA pickle, unaligned, splits train, valid, test".
        options: options that the load needs beside the path, each with a value that works.
    """

    what: str
    options: Mapping[str, Any] = field(default_factory=dict)


O = TypeVar("O", bound=Options)  # noqa: E741


class Importer(ABC, Generic[O]):
    """Reads one source format; holds no state."""

    name: ClassVar[str]
    reads: ClassVar[str]
    Options: ClassVar[type[Any]] = Options

    @abstractmethod
    def recognise(self, path: Path) -> Recognition | None:
        """Look at the content, cheaply: what is it in words, or ``None`` if this importer does not read it.

        A file of another format is never an error here.
        """

    def resembles(self, path: Path) -> bool:
        """It is meant for this importer, also where it cannot be read as it is: then this importer's error is the one to show."""
        return False

    @abstractmethod
    def load(self, path: Path, *, name: str, options: O) -> Corpus:
        """Read it into a corpus through :func:`lacuna.corpus.assemble.assemble`.

        Raises:
            DataError: the content is malformed; the message says where and how.
        """


_REGISTRY: Registry[Importer[Any]] = Registry("importer", "lacuna.corpus.importers")
_RESERVED = {"path", "importer", "name"}
I = TypeVar("I", bound=type[Importer[Any]])  # noqa: E741
importer_class = _REGISTRY.get


def register(name: str, *, reads: str) -> Callable[[I], I]:
    """Class decorator that makes an importer available.

    Args:
        name: e.g. ``mosi-csv``.
        reads: one line that says what it reads.

    Raises:
        ConfigError: the name is taken, or an option cannot be one (no default, or a name that ``import_corpus`` uses).
    """

    def add(cls: I) -> I:
        for option in fields(cls.Options):
            if option.name in _RESERVED or option.default is option.default_factory is MISSING:
                raise ConfigError(f"importer '{name}' cannot have an option '{option.name}' (reserved, or without a default)")
        cls.reads = reads
        return _REGISTRY.register(name)(cls)

    return add


def list_importers() -> dict[str, str]:
    """Every importer's name, sorted, with the line that says what it reads."""
    return {name: importer_class(name).reads for name in _REGISTRY.names()}


def recognise(path: Path) -> dict[str, Recognition]:
    """Every importer that reads ``path``, by name, with what it saw; empty if none does."""
    seen: dict[str, Recognition] = {}
    for name in _REGISTRY.names():
        try:
            found = importer_class(name)().recognise(Path(path))
        except Exception:  # a look at a foreign file is never an error, whatever the file does to the parser
            found = None
        if found is not None:
            seen[name] = found
    return seen


def meant(path: Path) -> str | None:
    """The importer that a path is meant for although none reads it as it is; ``None`` if nothing tells."""
    return next((name for name in _REGISTRY.names() if importer_class(name)().resembles(path)), None)


def elsewhere(path: Path) -> str | None:
    """What beside or inside an unreadable path can be read, as advice in words; ``None`` if nothing can.

    Args:
        path: a file of a corpus that is a folder, or a folder around files that are corpora.
    """
    if not path.is_dir():
        folder = path.absolute().parent
        return f"name the folder: {path.parent if path.parent.name else folder}" if _readable(folder) or meant(folder) else None
    try:
        inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError:
        return None
    if len(inside) > _LOOKS:
        return None
    found = [entry.name for entry in inside if _readable(entry) or meant(entry)]
    if len(found) == 1:
        return f"read {found[0]}? Then name it: {path / found[0]}"
    return f"name one of the {len(found)} inside that can be read: {', '.join(found)}" if found else None


_LOOKS = 20  # entries of a folder that are looked at one by one


def _readable(path: Path) -> bool:
    return (path / MANIFEST).is_file() or bool(recognise(path))


def import_corpus(path: str | Path, /, *, importer: str | None = None, name: str | None = None, **options: Any) -> Corpus:
    """Read a foreign file or folder into a corpus.

    Args:
        path: what to read; one of our own corpora is opened, and its files compared with their hashes.
        importer: name of the importer; ``None`` = recognise it by content.
        name: name of the corpus; ``None`` = made from the file's name.
        options: fields of the importer's options that differ from their defaults.

    Returns:
        The checked corpus.

    Raises:
        DataError: nothing there, no importer recognises it, or its content is malformed.
        ConfigError: several importers recognise it, or an importer or option is unknown.
    """
    path = Path(path)
    if not path.exists():
        raise missing(path)
    if importer is None and (path / MANIFEST).is_file() and not options:
        corpus = open_corpus(path, verify=True)
        return replace(corpus, name=check_name("corpus", name)) if name else corpus
    chosen = importer_class(importer or _the_one(path))()
    settings = make_options(chosen.name, chosen.Options, options)
    try:
        return chosen.load(path, name=name or slug(path.stem if path.is_file() else path.resolve().name), options=settings)
    except LacunaError:
        raise
    except MemoryError:
        raise DataError("the data does not fit into memory", corpus=path.name) from None
    except Exception as error:  # a malformed foreign file may break a parser anywhere; the cause stays in the traceback
        raise DataError(
            f"importer '{chosen.name}' cannot read this",
            corpus=path.name,
            expected=chosen.reads,
            found=f"{type(error).__name__}: {error}",
            hint="see `python -m lacuna doctor` on it",
        ) from error


def missing(path: Path) -> DataError:
    """The error for a path with nothing there."""
    return DataError(
        "nothing to import",
        expected="a file or a folder",
        found=f"no such path: {path.absolute()}",
        hint="check the path, or set LACUNA_SHARED_DATA / ingest.path",
    )


def make_options(importer: str, cls: type[O], given: Mapping[str, Any]) -> O:
    """Typed options from plain values, as they come from YAML or a command line.

    Args:
        importer: for the message.
        cls: the importer's options.
        given: by option name; lists become tuples, and a string becomes the number or the tuple that the option needs.

    Raises:
        ConfigError: an unknown option (the message names the known ones) or a value that does not fit.
    """
    from pydantic import TypeAdapter, ValidationError  # here: slow to import

    known = {f.name: f for f in fields(cls)}
    check_settings("importer", importer, cls, given, "option")
    values = {
        key: [part.strip() for part in value.split(",")] if isinstance(value, str) and "tuple" in str(known[key].type) else value
        for key, value in given.items()
    }
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        raise ConfigError(f"option '{where}' of importer '{importer}': {first['msg']}, not {first['input']!r}") from None


def slug(text: str) -> str:
    """A corpus, modality or class name made of what a name may hold; ``corpus`` if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_") or "corpus"


def _the_one(path: Path) -> str:
    seen = recognise(path)
    if len(seen) == 1:
        return next(iter(seen))
    if seen:
        told = "; ".join(f"'{name}' sees {r.what}" for name, r in seen.items())
        raise ConfigError(f"several importers recognise {path.name}: {told}. Say which one with `importer`")
    if name := meant(path):
        return name
    if advice := elsewhere(path):
        raise DataError(f"no importer recognises {path.name}", hint=advice)
    told = "".join(f"\n    {name}: {reads}" for name, reads in list_importers().items())
    raise DataError(
        "no importer recognises this",
        corpus=path.name,
        expected=f"one of{told}",
        hint="name the importer to see what it misses, or arrange your own data as importer 'table' describes",
    )
