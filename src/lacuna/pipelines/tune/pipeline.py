"""``kedro run --pipelines tune``: a study of one variant, a page about it, and an environment that takes its best settings up."""

from kedro.pipeline import Node, Pipeline

from lacuna.pipelines.tune.nodes import draw_study, run_trials, take_up


def create_pipeline() -> Pipeline:
    """Corpus without its test split in; trials, page, figures and environment out."""
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
            Node(take_up, ["study", "params:train", "params:models", "params:tune"], "tuned_environment", name="take_up"),
        ],
        namespace="tune",
        prefix_datasets_with_namespace=False,
    )
