"""``kedro run --pipelines predict --params predict.path=FOLDER``."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.predict.nodes import label_corpus


def create_pipeline() -> Pipeline:
    """Return the pipeline from trained recognisers and the corpus that the parameters name to predictions."""
    return Pipeline(
        [Node(label_corpus, ["recognizers", "params:predict"], "predictions", name="label_corpus")],
        namespace="predict",
        prefix_datasets_with_namespace=False,
    )
