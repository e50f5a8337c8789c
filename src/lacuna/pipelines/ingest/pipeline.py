"""``kedro run --pipelines ingest``: a corpus in Lacuna's format."""

from kedro.pipeline import Node, Pipeline

from lacuna.loading import corpus_facts
from lacuna.pipelines.ingest.nodes import read_source


def create_pipeline() -> Pipeline:
    """Return the pipeline from a source to a corpus and facts about it."""
    return Pipeline(
        [
            Node(read_source, "params:ingest", "corpus@all", name="read_source"),
            Node(corpus_facts, "corpus@all", "corpus_facts", name="corpus_facts"),
        ],
        namespace="ingest",
        prefix_datasets_with_namespace=False,
    )
