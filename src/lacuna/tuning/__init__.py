"""Studies: which settings of a model are best on validation, found by workers that may be killed at any moment.

:func:`run_study` starts them, :func:`trials_table` and :func:`importances` read what came out.
"""

from lacuna.tuning.place import Place
from lacuna.tuning.results import StudyFacts, best_of, importances, states, study_facts, trials_table
from lacuna.tuning.space import TRAINING, Searched, dimension, search
from lacuna.tuning.study import StudyConfig
from lacuna.tuning.supervisor import run_study

__all__ = [
    "TRAINING",
    "Place",
    "Searched",
    "StudyConfig",
    "StudyFacts",
    "best_of",
    "dimension",
    "importances",
    "run_study",
    "search",
    "states",
    "study_facts",
    "trials_table",
]
