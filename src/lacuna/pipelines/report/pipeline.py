"""``kedro run --pipelines report``: one self-contained page, tables and model cards."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.report.nodes import compose_report, draw_figures


def create_pipeline() -> Pipeline:
    """Tables in, report and figures out."""
    tables = ["summary.scores", "areas.scores", "comparisons.scores", "confusion.scores", "all.scores", "history.scores"]
    return Pipeline(
        [
            Node(
                compose_report,
                [*tables, "recognizers", "corpus_facts", "params:train", "params:evaluate"],
                "report",
                name="compose_report",
            ),
            Node(draw_figures, "summary.scores", ["curves.figure", "subsets.figure"], name="draw_figures"),
        ]
    )
