"""Studies: search settings of a model that are better on validation, with workers that may be killed at any moment.

:func:`run_study` runs a study, :func:`trials_table` and :func:`importances` read its results.
"""

from lacuna.tuning.budget import Chosen, all_within_budget, within_budget
from lacuna.tuning.results import StudyFacts, best_of, importances, states, study_facts, summaries, trials_table
from lacuna.tuning.run import run_study
from lacuna.tuning.space import TRAINING, Searched, dimension, search
from lacuna.tuning.storage import Place, studies_of
from lacuna.tuning.study import StudyConfig

__all__ = [
    "TRAINING",
    "Chosen",
    "Place",
    "Searched",
    "StudyConfig",
    "StudyFacts",
    "all_within_budget",
    "best_of",
    "dimension",
    "importances",
    "run_study",
    "search",
    "states",
    "studies_of",
    "study_facts",
    "summaries",
    "trials_table",
    "within_budget",
]
