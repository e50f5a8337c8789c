"""Give malformed and hostile files to doctor and importers: each needs a clear error within ten seconds and runs nothing."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from project import ROOT, Place

sys.path[:0] = [str(ROOT / "tests" / "corpus"), str(ROOT / "tests")]  # which make the files
NATIVE = (".parquet", ".feather", ".arrow", ".h5", ".csd", ".mat")  # a library may abort: only the doctor has a process for it
LIMIT = 10.0  # seconds of computing until an answer, of the process and its children
NO_ANSWER = 60.0  # seconds after which a reader counts as hanging
Case = Callable[[Path], tuple[Path, str | None]]  # writes into a folder; returns what to read, and the importer


def malformed_cases() -> dict[str, Case]:
    """Return the malformed corpora of the tests: each one spoils one thing in a form that an importer reads."""
    import test_malformed as tests

    import conftest as forms
    from lacuna.corpus import save_corpus

    def mosi(change: Any) -> Case:
        return lambda folder: (forms.mosi_folder(folder / "mosi", change), "mosi-csv")

    def mmsa(change: Any) -> Case:
        def write(folder: Path) -> tuple[Path, str]:
            content = forms.mmsa_content()
            change(content)
            return forms.dump(folder / "a.pkl", content), "mmsa"

        return write

    def own(change: Any) -> Case:
        def write(folder: Path) -> tuple[Path, str]:
            change(place := forms.own_folder(folder / "own"))
            return place, "table"

        return write

    def archive(importer: str, arrays: Any) -> Case:
        return lambda folder: (np.savez(folder / "a.npz", **arrays), (folder / "a.npz", importer))[1]

    def stored(change: Any) -> Case:
        def write(folder: Path) -> tuple[Path, None]:
            save_corpus(forms.build(), folder / "corpus")
            change(folder / "corpus")
            return folder / "corpus", None

        return write

    cases: dict[str, Case] = {f"mosi-csv: {name}": mosi(change) for name, (change, _) in tests.MOSI.items()}
    cases |= {f"mmsa: {name}": mmsa(change) for name, (change, _) in tests.MMSA.items()}
    cases |= {f"table: {name}": own(change) for name, (change, _) in tests.TABLE.items()}
    cases |= {f"archive: {name}": archive(importer, arrays) for name, (importer, arrays, _) in tests.OTHER.items()}
    cases |= {f"stored: {name}": stored(change) for name, (change, _) in tests.STORED.items()}
    return cases


def hostile_cases() -> dict[str, Case]:
    """Return the hostile files of the tests."""
    from hostile_files import HOSTILE

    def write(name: str) -> Case:
        return lambda folder: ((folder / name).write_bytes(HOSTILE[name]()), (folder / name, None))[1]

    return {name: write(name) for name in HOSTILE}


def cases(place: Place, done: set[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each case that is not done: ``command`` is its group, ``seed`` its number."""
    from hostile_files import MARKER

    context = multiprocessing.get_context("fork")
    for group, own in (("malformed", malformed_cases()), ("hostile", hostile_cases())):
        for number, (name, write) in enumerate(own.items()):
            if (group, number) in done:
                continue
            folder = place.root / "hostile"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            pipe, other = context.Pipe()
            child = context.Process(target=_read, args=(write, folder, other))
            child.start()
            other.close()
            problem, seconds, began = "no answer: it hangs", NO_ANSWER, time.perf_counter()
            try:
                began = pipe.recv()
                if pipe.poll(NO_ANSWER):
                    problem, seconds = pipe.recv()
            except EOFError:
                problem = "its reader ended the process"
            child.kill()
            child.join()
            if any(folder.rglob(MARKER)):
                problem = "it executed a program"
            row = {"command": group, "seed": number, "case": name, "tried": 1, "survived": int(not problem)}
            row |= {"problem": f"{name}: {problem}" if problem else "", "seconds": round(seconds, 2)}
            yield row | {"wall": round(time.perf_counter() - began, 2)}


def _read(write: Case, folder: Path, pipe: Any) -> None:
    """Write a case, send the time, read it with doctor and importer, and send what is wrong and the longest time in seconds."""
    os.chdir(folder)
    path, importer = write(folder)
    pipe.send(time.perf_counter())
    pipe.send(_judge(path, importer))


def _seconds() -> float:
    """Return the seconds that this process and its children have computed; on a busy machine the clock shows more."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _judge(path: Path, importer: str | None) -> tuple[str, float]:
    from lacuna.corpus.doctor import examine, render
    from lacuna.corpus.importers import import_corpus
    from lacuna.errors import LacunaError

    began = _seconds()
    diagnosis = examine(path, importer=importer)
    seconds = _seconds() - began
    if diagnosis.usable or not diagnosis.errors or not all(diagnosis.errors) or not render(diagnosis):
        return "the doctor finds no error", seconds
    if path.suffix not in NATIVE and (path.is_file() or importer):
        began = _seconds()
        try:
            import_corpus(path, **({"importer": importer} if importer else {}))
        except LacunaError as error:
            if not str(error):
                return "the message is empty", seconds
        except Exception as error:
            return f"import_corpus raises {type(error).__name__}", seconds
        else:
            return "import_corpus reads it", seconds
        seconds = max(seconds, _seconds() - began)
    return ("" if seconds < LIMIT else f"it took {seconds:.1f} s"), seconds
