"""Which stage of a training runs in which epoch, where stages follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from lacuna.models.base import Stage

Schedule = Literal["interleaved", "alternating", "sequential"]
SCHEDULES: tuple[Schedule, ...] = ("interleaved", "alternating", "sequential")


def scheduled(phases: Sequence[Sequence[Stage]], schedule: Schedule, first: int, length: int) -> tuple[Stage, ...]:
    """The stages of all phases, each in the epochs that are its own.

    Args:
        phases: stages that are stepped in the same epochs, phase by phase.
        schedule: all phases in every epoch, or by turns of epochs, or one after the other.
        first: epoch in which the first phase begins.
        length: epochs of a phase that others follow, if ``sequential``; the last one has no end.
    """
    stages = []
    for number, phase in enumerate(phases):
        begin, last = first + number * length, number == len(phases) - 1
        for stage in phase:
            if schedule == "alternating":
                stages.append(replace(stage, first=first, every=len(phases), turn=number))
            elif schedule == "sequential":
                stages.append(replace(stage, first=begin, end=None if last else begin + length))
            else:
                stages.append(replace(stage, first=first))
    return tuple(stages)
