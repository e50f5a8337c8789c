"""``kedro run --pipelines ingest``: a corpus in Lacuna's format."""

from kedro.pipeline import Node, Pipeline

from lacuna.loading import corpus_facts
from lacuna.pipelines.ingest.nodes import read_source


def create_pipeline() -> Pipeline:
    """Return the pipeline from a source to a corpus and its facts.

    ``describe_corpus`` is outside the namespace: Kedro-Viz draws no edge from a namespace to a transcoded dataset that a node
    of the same namespace reads.
    """
    read = Node(read_source, ["params:ingest", "params:features", "extracted"], "corpus@all", name="read_source")
    facts = Node(corpus_facts, "corpus@all", "corpus_facts", name="describe_corpus")
    return Pipeline([read], namespace="ingest", prefix_datasets_with_namespace=False) + Pipeline([facts])
