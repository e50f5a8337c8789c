"""Distribution shift: repartitions with a shifted test, corruptions of features, other corpora with mapped classes.

:func:`repartition` re-splits a corpus into parts and measures their shift, :func:`repartitioned` returns the corpus with these
splits, and :func:`only_part` keeps the labels of one part of its test. :func:`corruption` returns a corruption by name;
:func:`mapped` maps the classes of another corpus to ours.
"""

from lacuna.shift.corrupt import Corruption, corruption, list_corruptions
from lacuna.shift.division import PARTS
from lacuna.shift.measure import ShiftMeasures
from lacuna.shift.other import mapped
from lacuna.shift.parts import only_part, repartitioned
from lacuna.shift.repartition import Repartition, load_repartition, repartition, save_repartition
from lacuna.shift.settings import RepartitionConfig

__all__ = [
    "PARTS",
    "Corruption",
    "Repartition",
    "RepartitionConfig",
    "ShiftMeasures",
    "corruption",
    "list_corruptions",
    "load_repartition",
    "mapped",
    "only_part",
    "repartition",
    "repartitioned",
    "save_repartition",
]
