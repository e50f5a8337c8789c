"""``kedro run --pipelines train``; its node is tagged ``gpu``, to be sent to the machine that has one."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.train.nodes import train_recognizers


def create_pipeline() -> Pipeline:
    """Return the pipeline from a corpus without its test split to recognisers and learning curves."""
    return Pipeline(
        [
            Node(
                train_recognizers,
                ["corpus@development", "statistics", "params:train", "params:models"],
                ["recognizers", "history_scores"],
                name="train_recognizers",
                tags="gpu",
            )
        ],
        namespace="train",
        prefix_datasets_with_namespace=False,
    )
