"""The importer contract and the registry of importers.

An importer is one module in this folder with one class::

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
from lacuna.corpus.identity import identify
from lacuna.corpus.importers.sources import folder_files
from lacuna.corpus.schema import check_name
from lacuna.corpus.storage.format import MANIFEST, open_corpus
from lacuna.errors import ConfigError, DataError, LacunaError, UnsafePickleError
from lacuna.registry import Registry, check_settings


@dataclass(frozen=True)
class Options:
    """Base of every importer's frozen, typed options; every field has a default."""


@dataclass(frozen=True)
class Recognition:
    """What an importer recognised in a file or folder.

    Attributes:
        what: description, e.g. "MMSA pickle, unaligned, splits train, valid, test".
        options: options that loading needs besides the path, each with a valid value.
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
        """Return what the path holds, or ``None`` if this importer cannot read it.

        Inspects as little content as possible. A file of another format is not an error.
        """

    def resembles(self, path: Path) -> bool:
        """Return whether the path was probably made for this importer.

        Used when no importer recognises the path: the error of this importer then explains why.
        """
        return False

    @abstractmethod
    def load(self, path: Path, *, name: str, options: O) -> Corpus:
        """Read the path into a corpus with :func:`lacuna.corpus.assemble.assemble`.

        Raises:
            DataError: the content is malformed; the message says where and how.
        """


_REGISTRY: Registry[Importer[Any]] = Registry("importer", "lacuna.corpus.importers")
_RESERVED = {"path", "importer", "name"}
I = TypeVar("I", bound=type[Importer[Any]])  # noqa: E741
importer_class = _REGISTRY.get


def register(name: str, *, reads: str) -> Callable[[I], I]:
    """Return a class decorator that registers an importer.

    Args:
        name: e.g. ``mosi-csv``.
        reads: one line that describes what it reads.

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
    """Return the description of every importer by name, sorted by name."""
    return {name: importer_class(name).reads for name in _REGISTRY.names()}


def recognise(path: Path) -> dict[str, Recognition]:
    """Return what each importer recognises in ``path``, by importer name; empty if none recognises it."""
    recognitions: dict[str, Recognition] = {}
    for name in _REGISTRY.names():
        try:
            recognition = importer_class(name)().recognise(Path(path))
        except Exception:  # inspecting a foreign file must never fail
            recognition = None
        if recognition is not None:
            recognitions[name] = recognition
    return recognitions


def meant(path: Path) -> str | None:
    """Return the importer that comes nearest to a path that no importer recognises; ``None`` if there is none."""
    for name in _REGISTRY.names():
        try:
            if importer_class(name)().resembles(path):
                return name
        except Exception:  # inspecting a foreign file must never fail
            continue
    return None


def elsewhere(path: Path) -> str | None:
    """Return advice on what next to or inside an unreadable path can be read; ``None`` if nothing can.

    Args:
        path: a file inside a corpus folder, or a folder that contains corpora.
    """
    if not path.is_dir():
        folder = path.absolute().parent
        return f"give the folder: {path.parent if path.parent.name else folder}" if _readable(folder) or meant(folder) else None
    try:
        inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError:
        return None
    if len(inside) > _MAX_ENTRIES:
        return None
    readable = [entry.name for entry in inside if _readable(entry) or meant(entry)]
    if len(readable) == 1:
        return f"to read {readable[0]}, give its path: {path / readable[0]}"
    return f"give the path of one of the {len(readable)} readable entries: {', '.join(readable)}" if readable else None


_DATA_FILES = (
    ".pkl",
    ".pickle",
    ".p",
    ".pk",
    ".npy",
    ".npz",
    ".csv",
    ".parquet",
    ".h5",
    ".hdf5",
    ".safetensors",
    ".csd",
    ".mat",
    ".feather",
    ".arrow",
)
_MAX_FILES = 1000  # inspect at most this many files of a folder for what they are
_MAX_ENTRIES = 20  # inspect the entries of a folder one by one only up to this number


def _readable(path: Path) -> bool:
    return (path / MANIFEST).is_file() or bool(recognise(path))


def import_corpus(path: str | Path, /, *, importer: str | None = None, name: str | None = None, **options: Any) -> Corpus:
    """Read a foreign file or folder into a corpus.

    Args:
        path: what to read; a stored Lacuna corpus is opened and its files are verified against their hashes.
        importer: name of the importer; ``None`` = recognise by content.
        name: name of the corpus; ``None`` = derived from the file name.
        options: fields of the importer's options that differ from their defaults.

    Returns:
        The checked corpus.

    Raises:
        DataError: the path does not exist, no importer recognises it, or its content is malformed.
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
    except (DataError, UnsafePickleError) as error:
        raise _no_data(path) or error from None
    except LacunaError:
        raise
    except MemoryError:
        raise DataError(
            "the data does not fit into memory",
            corpus=path.name,
            hint="use a machine with more memory, or convert the data in parts",
        ) from None
    except Exception as error:  # a malformed file may break a parser anywhere; the cause stays in the traceback
        raise _no_data(path) or DataError(
            f"importer '{chosen.name}' cannot read this path",
            corpus=path.name,
            expected=chosen.reads,
            found=f"{type(error).__name__}: {error}",
            hint="run `python -m lacuna doctor` on the path",
        ) from error


def missing(path: Path) -> DataError:
    """Return the error for a path that does not exist."""
    return DataError(
        "there is nothing to import",
        expected="a file or a folder",
        found=f"no such path: {path.absolute()}",
        hint="check the path, or set LACUNA_SHARED_DATA / ingest.path",
    )


def make_options(importer: str, cls: type[O], given: Mapping[str, Any]) -> O:
    """Return typed options from plain values of YAML or a command line.

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
    """Return a valid corpus, modality or target name made from ``text``; ``corpus`` if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_") or "corpus"


def _no_data(path: Path) -> DataError | None:
    """Return an error that names a file which is no data (a Git LFS pointer, a web page, a cut-off download), if there is one."""
    inside = [file for file in folder_files(path).values() if file.suffix.lower() in _DATA_FILES]
    for file in [path] if path.is_file() else inside[:_MAX_FILES]:
        try:
            identity = identify(file)
        except OSError:
            continue
        if identity.action:
            return DataError(f"{file.name} is {identity.kind}", corpus=path.name, hint=identity.action)
    return None


def _the_one(path: Path) -> str:
    recognitions = recognise(path)
    if len(recognitions) == 1:
        return next(iter(recognitions))
    if recognitions:
        listing = "; ".join(f"'{name}' recognises {r.what}" for name, r in recognitions.items())
        raise ConfigError(f"several importers recognise {path.name}: {listing}. Choose one with `importer`")
    if error := _no_data(path):
        raise error
    if name := meant(path):
        return name
    if advice := elsewhere(path):
        raise DataError(f"no importer recognises {path.name}", hint=advice)
    listing = "".join(f"\n    {name}: {reads}" for name, reads in list_importers().items())
    raise DataError(
        "no importer recognises this path",
        corpus=path.name,
        expected=f"one of{listing}",
        hint="choose an `importer` to see what it misses, or arrange your data as importer 'table' describes",
    )
