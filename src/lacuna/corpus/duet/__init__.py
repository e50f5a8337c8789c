"""Duet: a generated corpus whose best possible answer is known, under any mask. See ``docs/duet.md``."""

from lacuna.corpus.duet.channels import Signal, Words
from lacuna.corpus.duet.generate import generate, settings_of, write
from lacuna.corpus.duet.oracle import Belief, Oracle, posterior, recover
from lacuna.corpus.duet.reading import Reading
from lacuna.corpus.duet.recovery import Recovery
from lacuna.corpus.duet.settings import PRESETS, Duet, preset
from lacuna.corpus.duet.world import World, draw_world

__all__ = [
    "PRESETS",
    "Belief",
    "Duet",
    "Oracle",
    "Reading",
    "Recovery",
    "Signal",
    "Words",
    "World",
    "draw_world",
    "generate",
    "posterior",
    "preset",
    "recover",
    "settings_of",
    "write",
]
