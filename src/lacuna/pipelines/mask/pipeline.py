"""``kedro run --pipelines mask``: the masks of the test split as a file, to score other software under the same masks."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.mask.nodes import write_test_masks


def create_pipeline() -> Pipeline:
    """Return the pipeline from the test split to its masks, their measured rates and a picture."""
    return Pipeline(
        [
            Node(
                write_test_masks,
                ["corpus@test", "params:evaluate"],
                ["masks", "masks_scores", "masks_figure"],
                name="write_test_masks",
            )
        ],
        namespace="mask",
        prefix_datasets_with_namespace=False,
    )
