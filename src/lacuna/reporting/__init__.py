"""Reports: figures, one self-contained HTML page, tables in three formats, model cards.

Fill a :class:`Report` with the tables of :mod:`lacuna.evaluation` and call :func:`write_report`.
"""

from lacuna.reporting.cards import model_card
from lacuna.reporting.composed import composed
from lacuna.reporting.facts import ModelFacts, Report, RunFacts
from lacuna.reporting.figures import areas, curves, recall_by_class, training
from lacuna.reporting.finding import Finding
from lacuna.reporting.frames import long_history
from lacuna.reporting.headline import headline
from lacuna.reporting.html import render_html
from lacuna.reporting.matrices import comparisons, confusion, subsets
from lacuna.reporting.provenance import run_facts
from lacuna.reporting.report import write_report
from lacuna.reporting.results import results_page
from lacuna.reporting.study import StudyPage, render_study, study_plots
from lacuna.reporting.style import Style, styles
from lacuna.reporting.table import Table, Value, to_csv, to_latex, to_markdown
from lacuna.reporting.tables import all_tables, areas_table, comparisons_table, rates_table, subsets_table

__all__ = [
    "Finding",
    "ModelFacts",
    "Report",
    "RunFacts",
    "StudyPage",
    "Style",
    "Table",
    "Value",
    "all_tables",
    "areas",
    "areas_table",
    "comparisons",
    "comparisons_table",
    "composed",
    "confusion",
    "curves",
    "headline",
    "long_history",
    "model_card",
    "rates_table",
    "recall_by_class",
    "render_html",
    "render_study",
    "results_page",
    "run_facts",
    "study_plots",
    "styles",
    "subsets",
    "subsets_table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "training",
    "write_report",
]
