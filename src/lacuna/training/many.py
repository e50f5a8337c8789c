"""Train several recognisers, in as many processes as the machine has cores."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lacuna.corpus.storage.format import open_corpus
from lacuna.parallel import n_workers, run_parallel
from lacuna.progress import progress, time_left
from lacuna.training.checkpoint import RESULT
from lacuna.training.config import TrainingConfig
from lacuna.training.device import pick_device
from lacuna.training.distributed import Processes
from lacuna.training.fit import Fitted, fit
from lacuna.training.identity import Recipe, run_folder

_log = logging.getLogger(__name__)


class _Job(NamedTuple):
    """A recipe as another process can read it: the corpus by its folder."""

    corpus: Path
    model: str
    config: TrainingConfig
    settings: dict[str, Any]
    seed: int
    target: str
    modalities: tuple[str, ...]
    folder: Path
    variant: str


def fit_all(
    recipes: Sequence[Recipe], checkpoints: Path, variants: Sequence[str] = (), *, workers: int | None = None
) -> list[Fitted]:
    """Train every recipe and return the results in their order; the bits are those of training one after the other.

    Processes read the corpus from its folder, so a corpus in memory is trained on in this process, one model after the other.

    Args:
        recipes: all of one corpus.
        checkpoints: folder of all runs. Each recipe has a folder of its own in it, and finished runs are not repeated.
        variants: what each recogniser is called; by default the name of its model.
        workers: at most so many processes; ``None`` = one for each core, one on a GPU.

    Raises:
        LacunaError: as :func:`lacuna.training.fit`. Runs that were finished before are kept.
        concurrent.futures.process.BrokenProcessPool: a process was killed, for instance because memory was exhausted.
    """
    names = list(variants) or [recipe.model for recipe in recipes]
    folders = [run_folder(checkpoints, recipe) for recipe in recipes]
    rounds: dict[int, dict[Path, _Job]] = defaultdict(dict)  # of trainings that can run side by side
    for recipe, name in [part for pair in zip(recipes, names, strict=True) for part in _parts(*pair)]:
        corpus, schema, folder = recipe.train.folder, recipe.schema, run_folder(checkpoints, recipe)
        if corpus is not None and not (folder / RESULT).is_file():
            how = recipe.model, recipe.config, dict(recipe.settings), recipe.seed
            rounds[_depth(recipe)][folder] = _Job(corpus, *how, schema.target.name, tuple(schema.dims), folder, name)
    on_gpu = any(pick_device(recipe.config.device).type == "cuda" for recipe in recipes)
    together = Processes.current().size > 1  # they train one model after the other
    jobs = {folder for one in rounds.values() for folder in one}
    side_by_side = max(map(len, rounds.values()), default=0)
    count = n_workers(1 if together else workers, side_by_side, on_gpu=on_gpu)
    finished = {folder for folder in folders if (folder / RESULT).is_file()}
    n_open = len((jobs if count > 1 else set()) | (set(folders) - finished))
    if n_open > 1:
        _log.info("%d trainings with %d worker%s; %d ended before", n_open, count, "s" if count > 1 else "", len(finished))
    n_trained, began, results = 0, time.monotonic(), []

    def ended(training: str) -> None:
        nonlocal n_trained
        n_trained += 1
        left = time_left(n_trained, n_open - n_trained, time.monotonic() - began)
        if n_open > 1:
            _log.info("%d of %d trainings ended%s: %s", n_trained, n_open, left, training)

    with progress("training", n_open) as shown:
        if count > 1:
            for _, one in sorted(rounds.items()):
                for line in run_parallel(_train, one.values(), count, ordered=False, progress=shown):
                    ended(line)
            finished |= jobs
        for recipe, folder, name in zip(recipes, folders, names, strict=True):
            with shown.part(0 if folder in finished else 1):
                results.append(fit(recipe, folder, variant=name))
            if folder not in finished:
                finished.add(folder)  # another variant with equal settings is not trained again
                ended(_line(results[-1], name, recipe.seed))
    return results


def _depth(recipe: Recipe) -> int:
    """Return after how many rounds of trainings a recipe can be trained: 0, or one more than its last member."""
    return max((1 + _depth(member) for member in recipe.members()), default=0)


def _parts(recipe: Recipe, name: str) -> Iterator[tuple[Recipe, str]]:
    """Yield all that is trained: the members of a recipe, those of the members, and the recipe."""
    for member in recipe.members():
        yield from _parts(member, member.model)
    yield recipe, name


def _train(job: _Job) -> str:
    """Train in a process of its own; the result is in the run's folder."""
    corpus = open_corpus(job.corpus)
    recipe = Recipe.of(corpus, job.model, job.config, job.settings, job.seed, target=job.target)
    recipe = replace(recipe, schema=recipe.schema.only(job.modalities))
    return _line(fit(recipe, job.folder, variant=job.variant), job.variant, job.seed)


def _line(fitted: Fitted, variant: str, seed: int) -> str:
    chosen = fitted.trained.selection
    return f"{variant}, seed {seed}: validation {chosen.metric} {chosen.value:.3f} at epoch {chosen.epoch + 1}"
