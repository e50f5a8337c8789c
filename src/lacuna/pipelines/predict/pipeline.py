"""``kedro run --pipelines predict --params predict.path=FOLDER``."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.predict.nodes import label_corpus


def create_pipeline() -> Pipeline:
    """A corpus and the trained recognisers in, a table of answers out."""
    return Pipeline([Node(label_corpus, ["corpus@test", "recognizers", "params:predict"], "predictions", name="label_corpus")])
