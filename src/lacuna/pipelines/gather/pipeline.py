"""``kedro run --pipelines gather``: recognisers that were trained apart become those of one run."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.gather.nodes import gather_parts


def create_pipeline() -> Pipeline:
    """The parts that the parameters name in, recognisers and learning curves out, as ``train`` would leave them."""
    return Pipeline(
        [Node(gather_parts, "params:gather", ["recognizers", "history_scores"], name="gather_parts")],
        namespace="gather",
        prefix_datasets_with_namespace=False,
    )
