"""Run commands with a limit of address space: they say that memory is exhausted, and succeed with the same results without it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from functools import partial
from typing import Any

from kills import finish, fresh, judge, prepare
from project import COMMANDS, Place

NAMES = ("ingest", "train", "evaluate", "save")
MEBIBYTES = (400, 600, 800, 1000, 1200, 1400, 1700, 2000)  # of address space; torch alone maps about 1,000
SAID = ("memory", "bad_alloc")  # in small letters; the second is all that a C++ library says when it ends the process itself


def _limit(mebibytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))


def cases(place: Place, done: set[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each command and limit that is not done; ``seed`` is the limit in MiB."""
    for name in NAMES:
        for limit in MEBIBYTES:
            if (name, limit) in done:
                continue
            command = COMMANDS[name]
            ready, undisturbed = prepare(name, place)
            folder = fresh(place, ready)
            status, seconds = finish(command, place, preexec_fn=partial(_limit, limit))
            said, problem = place.said(), ""
            if status == 124:
                problem = "it hangs"
            elif status and not said.strip():
                problem = "the message is empty"
            elif status and not any(word in said.lower() for word in SAID):
                problem = "the message does not say memory"
            row = {"command": name, "seed": limit, "tried": 1, "ended": status, "seconds": round(seconds, 1)}
            if problem:
                row["output"] = said[-1500:]
            if status:
                status, _ = finish(command, place)
            if again := judge(command, folder, undisturbed, status):
                problem = f"{problem}; without the limit: {again}".strip("; ")
            yield row | {"survived": int(not problem), "problem": problem}
