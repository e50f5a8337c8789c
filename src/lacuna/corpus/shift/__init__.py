"""Distribution shift: repartitions with a shifted test, corruptions of features, other corpora with mapped classes.

:func:`repartition` deals a corpus into parts and measures them, :func:`repartitioned` is the corpus with those splits, and
:func:`only_part` shows one part of its test. :func:`corruption` makes a corruption by name; :func:`mapped` reads another corpus
with our classes.
"""

from lacuna.corpus.shift.corrupt import Corruption, corruption, list_corruptions
from lacuna.corpus.shift.division import PARTS
from lacuna.corpus.shift.measure import Measured
from lacuna.corpus.shift.other import mapped
from lacuna.corpus.shift.parts import only_part, repartitioned
from lacuna.corpus.shift.repartition import Repartition, load_repartition, repartition, save_repartition
from lacuna.corpus.shift.settings import RepartitionConfig

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
