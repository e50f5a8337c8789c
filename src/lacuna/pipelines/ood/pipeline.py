"""``kedro run --pipelines ood``: from the source to a report on shifted tests; not part of the main job."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines import ingest, preprocess, train
from lacuna.pipelines.ood.nodes import collect, compose_ood_report, deal_parts, score_tests, split_corpus

TABLES = ("summary", "areas", "gaps", "groups", "detection", "comparisons", "sets", "tests")


def create_pipeline() -> Pipeline:
    """Return the pipeline from a source to a report: ingest, re-split, preprocess, train, score on shifted tests.

    All but ``ingest`` is in the namespace ``ood``. In it ``corpus`` is the re-split corpus, and ``source`` the ingested one.
    """
    facts = ingest.create_pipeline().only_nodes("describe_corpus")
    nodes = [
        Node(deal_parts, ["source", "params:ood", "params:train"], ["parts", "divergences_scores"], name="deal_parts"),
        Node(split_corpus, ["source", "parts"], "corpus@all", name="split_corpus"),
        *facts.nodes,
        *preprocess.create_pipeline().nodes,
        *train.create_pipeline().nodes,
        Node(
            score_tests,
            ["corpus@test", "corpus@development", "recognizers", "parts", "params:ood"],
            [f"{name}_scores" for name in TABLES],
            name="score_tests",
            tags="gpu",
        ),
        Node(collect, {name: f"{name}_scores" for name in TABLES}, "tables", name="collect_tables"),
        Node(
            compose_ood_report,
            {
                "tables": "tables",
                "parts": "parts",
                "divergences": "divergences_scores",
                "recognizers": "recognizers",
                "corpus_facts": "corpus_facts",
                "ood": "params:ood",
                "parameters": "parameters",
            },
            "report",
            name="compose_ood_report",
        ),
    ]
    shared = {name: name for name in ("params:ood", "params:train", "params:models")}
    return ingest.create_pipeline() + Pipeline(nodes, namespace="ood", inputs={"source": "corpus@all"}, parameters=shared)
