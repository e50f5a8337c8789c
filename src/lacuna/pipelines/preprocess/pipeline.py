"""``kedro run --pipelines preprocess``: mean and scale of the training split, with which features are standardised."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.preprocess.nodes import take_statistics


def create_pipeline() -> Pipeline:
    """Return the pipeline from the training and validation splits to statistics."""
    return Pipeline(
        [Node(take_statistics, "corpus@development", "statistics", name="take_statistics")],
        namespace="preprocess",
        prefix_datasets_with_namespace=False,
    )
