"""``kedro run --pipelines tune``: a study of one variant, a page about it, and an environment with its best settings."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.tune.nodes import draw_study, run_trials, write_environment


def create_pipeline() -> Pipeline:
    """Return the pipeline from the corpus without its test split to trials, page, figures and environment."""
    figures = [f"study_{name}_figure" for name in ("history", "importance", "slices")]
    return Pipeline(
        [
            Node(
                run_trials,
                ["corpus@development", "statistics", "params:train", "params:models", "params:tune"],
                ["study", "trials_scores"],
                name="run_trials",
                tags="gpu",
            ),
            Node(draw_study, "study", figures, name="draw_study"),
            Node(
                write_environment,
                ["study", "params:train", "params:models", "params:tune"],
                "tuned_environment",
                name="write_environment",
            ),
        ],
        namespace="tune",
        prefix_datasets_with_namespace=False,
    )
