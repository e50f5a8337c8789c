"""``kedro run --pipelines evaluate``: the only place, with ``report``, that sees the test split."""

from kedro.pipeline import Node, Pipeline

from lacuna.evaluation import Tables
from lacuna.pipelines.evaluate.nodes import brief_results, score_dynamics, score_recognizers, score_recoveries, show_examples


def create_pipeline() -> Pipeline:
    """Return the pipeline from test split and recognisers to tables and the main numbers."""
    return Pipeline(
        [
            Node(
                score_recognizers,
                ["corpus@test", "corpus@development", "recognizers", "params:evaluate"],
                ["all_scores", *(f"{name}_scores" for name in Tables._fields[1:]), "sweeps"],
                name="score_recognizers",
                tags="gpu",
            ),
            Node(
                score_recoveries,
                ["corpus@test", "recognizers", "params:evaluate"],
                ["recovery_scores", "recovered_points_scores"],
                name="score_recoveries",
                tags="gpu",
            ),
            Node(
                show_examples,
                ["corpus@test", "recognizers", "params:evaluate"],
                "examples_scores",
                name="show_examples",
                tags="gpu",
            ),
            Node(
                score_dynamics,
                ["corpus@test", "recognizers", "params:evaluate"],
                "dynamics_scores",
                name="score_dynamics",
                tags="gpu",
            ),
            Node(
                brief_results,
                ["summary_scores", "areas_scores", "history_scores", "recognizers"],
                ["metrics", "robustness", "learning"],
                name="brief_results",
            ),
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
