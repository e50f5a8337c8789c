"""``kedro run --pipelines ingest``: a corpus in Lacuna's format."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.ingest.nodes import read_source, tell_facts


def create_pipeline() -> Pipeline:
    """Source in, corpus and its facts out."""
    return Pipeline(
        [
            Node(read_source, "params:ingest", "corpus@all", name="read_source"),
            Node(tell_facts, "corpus@all", "corpus_facts", name="tell_facts"),
        ],
        namespace="ingest",
        prefix_datasets_with_namespace=False,
    )
