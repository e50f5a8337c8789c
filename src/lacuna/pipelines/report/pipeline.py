"""``kedro run --pipelines report``: one self-contained page, tables and model cards."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.report.nodes import compose_report, draw_figures


def create_pipeline() -> Pipeline:
    """Tables in, report and figures out."""
    tables = ["summary_scores", "areas_scores", "comparisons_scores", "confusion_scores", "all_scores", "history_scores"]
    return Pipeline(
        [
            Node(
                compose_report,
                [*tables, "recognizers", "corpus_facts", "params:train", "params:evaluate"],
                "report",
                name="compose_report",
            ),
            Node(draw_figures, "summary_scores", ["curves_figure", "subsets_figure"], name="draw_figures"),
        ]
    )
