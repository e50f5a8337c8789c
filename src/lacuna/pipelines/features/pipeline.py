"""``kedro run --pipelines features --params features.path=FOLDER``: features of recordings."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.features.nodes import extract_features


def create_pipeline() -> Pipeline:
    """Return the pipeline from recordings to features; without recordings its results are empty."""
    return Pipeline(
        [Node(extract_features, "params:features", ["extracted", "quarantine"], name="extract_features")],
        namespace="features",
        prefix_datasets_with_namespace=False,
    )
