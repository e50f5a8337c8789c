"""Errors that say what is wrong, where, what was expected, what was found, and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known name that is nearest to a misspelt one, or an empty string if none is near.

    >>> suggestion("rmfn", ["outage", "rmfm"])
    " (did you mean 'rmfm'?)"
    >>> suggestion("xyz", ["outage", "rmfm"])
    ''
    """
    by_lower_case = {other.lower(): other for other in known}
    nearest = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[nearest[0]]!r}?)" if nearest else ""


class LacunaError(Exception):
    """Base class of all errors that Lacuna raises on purpose."""


class ConfigError(LacunaError):
    """A setting is unknown, out of bounds, or does not fit the corpus."""


class TrainingError(LacunaError):
    """Training had to stop: a loss was not finite, or a checkpoint does not belong to this run.

    Args:
        what: the message.
        utterances: ids of all utterances concerned; the message names a few of them.
        facts: further values to keep with the error, by name.

    ``utterances`` and ``facts`` are kept as attributes.
    """

    def __init__(self, what: str, utterances: Iterable[str] = (), facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(what)
        self.utterances: tuple[str, ...] = tuple(utterances)
        self.facts: dict[str, Any] = dict(facts or {})


class BusyError(TrainingError):
    """Another process holds the lock: wait until it ends, or do something else first."""


class UnsafePickleError(LacunaError):
    """A pickle needs an object that is not on the allow-list; no code of it was executed."""


class DataError(LacunaError):
    """The data cannot be used as they are.

    Args:
        what: one sentence that names the problem.
        corpus: name of the corpus, or of the file it is read from.
        utterance: id of the first utterance concerned.
        modality: name of the modality concerned.
        expected: what is valid.
        found: what the data hold.
        hint: what to do.

    All arguments are kept as attributes. The message holds those that are not ``None``.

    >>> print(DataError("a frame is not finite", corpus="mosi", utterance="v1_3", hint="set ingest.nonfinite"))
    a frame is not finite
      where: corpus 'mosi', utterance 'v1_3'
      do: set ingest.nonfinite
    """

    def __init__(
        self,
        what: str,
        *,
        corpus: str | None = None,
        utterance: str | None = None,
        modality: str | None = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.corpus = corpus
        self.utterance = utterance
        self.modality = modality
        self.expected = expected
        self.found = found
        self.hint = hint
        where = ", ".join(
            f"{label} '{value}'"
            for label, value in (("corpus", corpus), ("utterance", utterance), ("modality", modality))
            if value is not None
        )
        parts = (("where", where or None), ("expected", expected), ("found", found), ("do", hint))
        lines = [what, *(f"  {label}: {value}" for label, value in parts if value is not None)]
        super().__init__("\n".join(lines))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is exhausted: that of Python, numpy and Arrow, or torch's on a GPU or the CPU.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 24 bytes"))
    True
    """
    texts = ["can't allocate memory", "not enough memory", "Cannot allocate memory", "std::bad_alloc", "out of memory"]
    texts += ["failed to map segment from shared object", "can't start new thread"]  # of imports and of threads
    texts += ["could not create a primitive"]  # oneDNN says no more than that
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the second is that of torch
        return True
    return isinstance(error, RuntimeError | OSError | ImportError) and any(text in str(error) for text in texts)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that a disk, a quota or the largest size of a file is used up.

    >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    texts = ("No space left on device", "database or disk is full", "Disk quota exceeded")
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in numbers or any(text in str(error) for text in texts)


KEPT = "what is finished is kept, and the same command goes on from there"
MEMORY_HINT = "close other programs, use fewer --workers or a smaller batch_size, or use a machine with more memory"


def causes(error: BaseException) -> list[BaseException]:
    """Return an error and those that it follows from, the last one first."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def exhausted(error: BaseException) -> str | None:
    """Return the message of an error that follows from exhausted memory, a full disk or a killed process; ``None`` for others."""
    for cause in causes(error):
        first_line = (str(cause) or type(cause).__name__).splitlines()[0]
        if type(cause).__name__ in ("TerminatedWorkerError", "BrokenProcessPool"):
            what = "a process of this command was killed, probably because memory was exhausted"
            return f"{what}\n  do: {MEMORY_HINT}; {KEPT}"
        if is_out_of_memory(cause):
            return f"memory is exhausted\n  found: {first_line}\n  do: {MEMORY_HINT}; {KEPT}"
        if is_disk_full(cause):
            return f"the disk is full\n  found: {first_line}\n  do: make room there; {KEPT}"
    return None


@contextmanager
def readable(what: str, where: str, hint: str) -> Iterator[None]:
    """Raise a :class:`DataError` for whatever a damaged or edited file makes its reader raise.

    Args:
        what: one sentence that says what cannot be read.
        where: name of the file, run or corpus.
        hint: what to do.

    Raises:
        DataError: the block raised something else than an error of Lacuna or of exhausted memory.
    """
    try:
        yield
    except LacunaError:
        raise
    except Exception as error:  # edited values break their users anywhere
        if is_out_of_memory(error):
            raise
        found = f"{type(error).__name__}: {error}"[:300]
        raise DataError(what, corpus=where, found=found, hint=hint) from error


_EXTRAS = {
    "diffusers": "models",
    "torch_geometric": "models",
    "kedro": "kedro",
    "kedro_datasets": "kedro",
    "optuna": "tune",
    "h5py": "h5",
    "ray": "cluster",
    "tensorboard": "tensorboard",
    "av": "media",
    "ai_edge_litert": "media",
    "tokenizers": "media",
    "transformers": "media",
    "fastapi": "serve",
    "uvicorn": "serve",
    "onnx": "export",
    "onnxscript": "export",
}


@contextmanager
def naming_extras(what: str) -> Iterator[None]:
    """Turn the failing import of an optional package into an error that names the extra to install.

    Args:
        what: what needs the package, for the message, e.g. ``model 'gcnet'``.

    Raises:
        ConfigError: a package of an extra is not installed.

    >>> with naming_extras("model 'gcnet'"):
    ...     raise ModuleNotFoundError("No module named 'torch_geometric'", name="torch_geometric")
    Traceback (most recent call last):
    ...
    lacuna.errors.ConfigError: model 'gcnet' needs the package torch_geometric: pip install "lacuna[models]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in _EXTRAS:
            raise
        raise ConfigError(f'{what} needs the package {package}: pip install "lacuna[{_EXTRAS[package]}]"') from None
