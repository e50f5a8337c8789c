"""Where a run lies: by registered name, seed, and all that decides its result; who asks for it again finds it finished."""

from __future__ import annotations

from pathlib import Path

from lacuna.training.fit import Fitted, fit
from lacuna.training.identity import Recipe, run_key


def run_folder(checkpoints: Path, recipe: Recipe) -> Path:
    """The folder of a run among others: labels with equal settings share one, whatever command trains them."""
    return checkpoints / recipe.name / f"seed-{recipe.seed}-{run_key(recipe)}"


def fit_among(checkpoints: Path, recipe: Recipe, label: str = "") -> Fitted:
    """Train as a recipe says, in the run's own folder; a run that was finished there before returns at once.

    Args:
        checkpoints: folder of all runs.
        recipe: what to train, on what, how.
        label: what the recogniser is called; by default the registered name.

    Raises:
        LacunaError: as :func:`lacuna.training.fit`.
    """
    return fit(
        recipe.name,
        recipe.schema,
        recipe.train,
        recipe.valid,
        recipe.statistics,
        recipe.config,
        seed=recipe.seed,
        folder=run_folder(checkpoints, recipe),
        settings=recipe.settings,
        label=label,
    )
