"""``kedro run --pipelines preprocess``: what models see is standardised with training statistics."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.preprocess.nodes import take_statistics


def create_pipeline() -> Pipeline:
    """Return the pipeline from a corpus without its test split to statistics."""
    return Pipeline(
        [Node(take_statistics, "corpus@development", "statistics", name="take_statistics")],
        namespace="preprocess",
        prefix_datasets_with_namespace=False,
    )
