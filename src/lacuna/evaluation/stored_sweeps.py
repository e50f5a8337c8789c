"""Sweeps as arrays and headings, which safetensors and JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from lacuna.corpus.schema import Target
from lacuna.errors import readable
from lacuna.evaluation.conditions import Condition
from lacuna.evaluation.sureness import SetCounts
from lacuna.evaluation.sweep import Sweep

_HEADINGS = "headings"  # array of a file of sweeps: the headings as UTF-8 JSON


def arrays_of(sweeps: Sequence[Sweep]) -> dict[str, NDArray[Any]]:
    """Return the counts of sweeps by name."""
    arrays: dict[str, NDArray[Any]] = {f"counts.{i}": s.counts for i, s in enumerate(sweeps)}
    arrays |= {f"sets.{i}": s.sets.values for i, s in enumerate(sweeps) if s.sets is not None}
    return arrays | {f"constant.{i}": s.baseline for i, s in enumerate(sweeps)}


def heading_of(one: Sweep) -> dict[str, Any]:
    """Return everything of a sweep but its counts, as JSON values."""
    return {
        "corpus": one.corpus,
        "model": one.model,
        "seed": one.seed,
        "target": asdict(one.target),
        "conditions": [[c.pattern, c.setting, c.rate, c.mask_seed, c.measured] for c in one.conditions],
        "fingerprint": one.fingerprint,
        "sets": None if one.sets is None else {"names": list(one.sets.names), "merged": one.sets.merged.tolist()},
    }


def sweeps_of(headings: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]) -> tuple[Sweep, ...]:
    """Return the sweeps with these headings; inverse of :func:`heading_of` and :func:`arrays_of`."""
    return tuple(
        Sweep(
            corpus=head["corpus"],
            model=head["model"],
            seed=head["seed"],
            target=Target(**head["target"]),
            conditions=tuple(Condition(*condition) for condition in head["conditions"]),
            counts=arrays[f"counts.{i}"],
            baseline=arrays[f"constant.{i}"],
            fingerprint=head["fingerprint"],
            sets=_sets_of(head.get("sets"), arrays.get(f"sets.{i}")),
        )
        for i, head in enumerate(headings)
    )


def _sets_of(head: Mapping[str, Any] | None, values: NDArray[Any] | None) -> SetCounts | None:
    """Return the counts of prediction sets; ``None`` for a recogniser without them."""
    if head is None or values is None:
        return None
    return SetCounts(tuple(head["names"]), np.asarray(head["merged"], np.int64), values)


def sweeps_to_bytes(sweeps: Sequence[Sweep]) -> bytes:
    """Return sweeps as the content of one safetensors file."""
    headings = json.dumps([heading_of(s) for s in sweeps], default=list).encode()
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays_of(sweeps).items()}
    return bytes(save({**arrays, _HEADINGS: np.frombuffer(headings, np.uint8)}))


def sweeps_from_bytes(content: bytes, where: str) -> tuple[Sweep, ...]:
    """Return the sweeps of :func:`sweeps_to_bytes`.

    Args:
        content: of the file.
        where: its name, for the message.

    Raises:
        DataError: the content is damaged.
    """
    with readable("stored sweeps cannot be read", where, "evaluate the run again"):
        arrays = load(content)
        return sweeps_of(json.loads(arrays[_HEADINGS].tobytes()), arrays)
