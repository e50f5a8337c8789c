"""Duet: a generated corpus whose exact posterior is known under any mask. See ``docs/explanation/duet.md``."""

from lacuna.synthetic.duet.channels import Signal, Words
from lacuna.synthetic.duet.generate import generate, settings_of, write
from lacuna.synthetic.duet.oracle import Belief, Oracle, posterior, recover
from lacuna.synthetic.duet.reading import Reading
from lacuna.synthetic.duet.recovery import Recovery
from lacuna.synthetic.duet.settings import PRESETS, Duet, preset
from lacuna.synthetic.duet.world import World, draw_world

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
