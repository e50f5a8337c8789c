"""``kedro run --pipelines report``: one self-contained page, tables and model cards."""

from kedro.pipeline import Node, Pipeline

from lacuna.evaluation import Tables
from lacuna.pipelines.report.nodes import compose_report, draw_figures


def create_pipeline() -> Pipeline:
    """Return the pipeline from tables to report and figures."""
    tables = {name: f"{name}_scores" for name in (*Tables._fields[1:], "history", "recovery", "examples", "dynamics")}
    tables["points"] = "recovered_points_scores"
    run = {
        "recognizers": "recognizers",
        "corpus_facts": "corpus_facts",
        "evaluate": "params:evaluate",
        "parameters": "parameters",
    }
    return Pipeline(
        [
            Node(compose_report, {**tables, "scores": "all_scores", **run}, "report", name="compose_report"),
            Node(draw_figures, "summary_scores", ["curves_figure", "subsets_figure"], name="draw_figures"),
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
