"""Distribution shift: repartitions with a shifted test, corruptions of features, other corpora with mapped classes.

:func:`repartition` deals a corpus into parts and measures them, :func:`repartitioned` is the corpus with those splits, and
:func:`only_part` shows one part of its test. :func:`corruption` makes a corruption by name; :func:`mapped` reads another corpus
with our classes.
"""

from lacuna.shift.corrupt import Corruption, corruption, list_corruptions
from lacuna.shift.division import PARTS
from lacuna.shift.measure import Measured
from lacuna.shift.other import mapped
from lacuna.shift.parts import only_part, repartitioned
from lacuna.shift.repartition import Repartition, load_repartition, repartition, save_repartition
from lacuna.shift.settings import RepartitionConfig

__all__ = [
    "PARTS",
    "Corruption",
    "Measured",
    "Repartition",
    "RepartitionConfig",
    "corruption",
    "list_corruptions",
    "load_repartition",
    "mapped",
    "only_part",
    "repartition",
    "repartitioned",
    "save_repartition",
]
