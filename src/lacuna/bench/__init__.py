"""The grid: corpora x models x seeds as cells that can be killed at any moment, and what is made of them.

:func:`plan` gives every cell its key, :func:`run_grid` runs those that are not done (here or on a cluster), :func:`gather` reads
what they left, :func:`write_reports` and :func:`write_leaderboard` bring it before people.
"""

from lacuna.bench.cell import Cell, Contest, Job, Protocol, plan
from lacuna.bench.executors import local, on_ray
from lacuna.bench.gathered import Gathered, gather, write_report_of
from lacuna.bench.grid import GridProgress, run_grid
from lacuna.bench.leaderboard import write_leaderboard
from lacuna.bench.run import Outcome, run_job

__all__ = [
    "Cell",
    "Contest",
    "Gathered",
    "GridProgress",
    "Job",
    "Outcome",
    "Protocol",
    "gather",
    "local",
    "on_ray",
    "plan",
    "run_grid",
    "run_job",
    "write_leaderboard",
    "write_report_of",
]
