"""Reports: figures, one self-contained HTML page, tables in three formats, model cards.

Fill a :class:`Report` with the tables of :mod:`lacuna.evaluation` and call :func:`write_report`.
"""

from lacuna.reporting.core.frames import long_history
from lacuna.reporting.core.provenance import run_facts
from lacuna.reporting.core.style import Style, styles
from lacuna.reporting.core.table import Table, Value, to_csv, to_latex, to_markdown
from lacuna.reporting.core.words import Finding
from lacuna.reporting.robustness.cards import model_card
from lacuna.reporting.robustness.facts import ModelFacts, Report, RunFacts
from lacuna.reporting.robustness.figures import areas, curves, recall_by_class, training
from lacuna.reporting.robustness.findings import headline
from lacuna.reporting.robustness.matrices import comparisons, confusion, subsets
from lacuna.reporting.robustness.page import render_html
from lacuna.reporting.robustness.report import composed, write_report
from lacuna.reporting.robustness.results import results_page
from lacuna.reporting.robustness.tables import all_tables, areas_table, comparisons_table, rates_table, subsets_table
from lacuna.reporting.study.page import StudyPage, render_study, study_plots

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
