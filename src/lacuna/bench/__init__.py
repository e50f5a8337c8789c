"""The grid: corpora x models x seeds as cells that can be interrupted at any time, and their reports.

:func:`plan` gives every cell its key, :func:`run_grid` runs the cells that are not finished (here or on a cluster),
:func:`gather` reads their results, :func:`write_report_of` and :func:`write_leaderboard` write the pages.
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
