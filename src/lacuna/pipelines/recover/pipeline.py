"""``kedro run --pipelines recover``: the test split completed by a model, as a corpus and as arrays for other software."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.recover.nodes import complete_test


def create_pipeline() -> Pipeline:
    """Return the pipeline from the test split and recognisers to a completed corpus and its errors."""
    return Pipeline(
        [
            Node(
                complete_test,
                ["corpus@test", "recognizers", "params:recover"],
                ["completed_corpus", "completed_scores"],
                name="complete_test",
                tags="gpu",
            )
        ],
        namespace="recover",
        prefix_datasets_with_namespace=False,
    )
