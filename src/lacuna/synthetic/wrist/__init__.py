"""Wrist: a generated corpus of skin conductance, heart rate and skin temperature. See ``docs/explanation/wrist.md``."""

from lacuna.synthetic.wrist.conductance import Conductance
from lacuna.synthetic.wrist.generate import generate, person
from lacuna.synthetic.wrist.settings import PRESETS, STATES, Wrist, preset

__all__ = ["PRESETS", "STATES", "Conductance", "Wrist", "generate", "person", "preset"]
