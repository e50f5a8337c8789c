"""Search better settings on validation, and write the best ones as an environment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.datasets.environment import TunedEnvironment
from lacuna.pipelines.checks import check_statistics
from lacuna.pipelines.parameters import Models, Train
from lacuna.pipelines.tune.parameters import Tune, study_config
from lacuna.reporting import StudyPage, study_plots
from lacuna.training.selection import metric_name


def run_trials(
    corpus: Corpus, statistics: dict[str, NDArray[np.float32]], train: Train, models: Models, tune: Tune
) -> tuple[StudyPage, pd.DataFrame]:
    """Run the study to its end, from wherever it stands.

    Args:
        corpus: the splits ``train`` and ``valid``, and no other.
        statistics: of the training split.
        train: the training settings of all variants, and the target.
        models: by variant, its model and its settings.
        tune: which variant is tuned, and how.

    Returns:
        The page of the study, and its trials, one row each.
    """
    from lacuna.tuning import (  # optuna is slow to import, and no other pipeline needs it
        importances,
        run_study,
        study_facts,
        trials_table,
    )

    check_statistics(Statistics.from_tensors(statistics), corpus)
    config, place = study_config(tune, train, models, len(corpus.only("train"))), tune.place()
    study = run_study(config, corpus, place)
    target = corpus.target(config.target)
    facts = study_facts(study, config, place, corpus=corpus.name, target=target.name, metric=metric_name(target))
    trials = trials_table(study)
    return StudyPage(facts, trials, importances(study)), trials


def draw_study(page: StudyPage) -> tuple[go.Figure, go.Figure, go.Figure]:
    """Return the figures for Kedro-Viz: history, importance (empty if there are too few trials) and slices."""
    by_group = {plot.group: plot.figure for plot in study_plots(page)}
    return by_group["history"], by_group.get("importance", go.Figure()), by_group["slices"]


def write_environment(page: StudyPage, train: Train, models: Models, tune: Tune) -> TunedEnvironment:
    """Return the best settings as a Kedro environment that trains the variant with its own and with the best settings."""
    facts, variant = page.facts, models.of(tune.variant)
    start_value = "not completed" if facts.start is None else f"{facts.start:.4f}"
    finished = int(page.trials["state"].isin(["complete", "pruned"]).sum())
    return TunedEnvironment(
        variant=f"{tune.variant}_tuned",
        of=tune.variant,
        model=variant.model,
        settings={**facts.config.settings, **facts.best.settings},
        training={**variant.training, **_fixed(tune), **facts.best.training},
        compared=tuple(tune.compared),
        seeds=tuple(tune.final_seeds),
        checkpoints=train.checkpoints.as_posix(),
        source=tune.environment,
        origin=f"study {facts.name}, {finished} finished trials, best trial {facts.best.number}: "
        f"{facts.best.value:.4f} on validation (the variant's own settings: {start_value})",
    )


def _fixed(tune: Tune) -> dict[str, object]:
    """Return the training settings that the study fixes at one value."""
    return {name: v for name, v in tune.space.training.items() if v is not None and not isinstance(v, dict)}
