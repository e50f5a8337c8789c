"""Score trained recognisers on a test split: what Kedro's nodes, the grid and :mod:`lacuna.api` all call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.corpus.storage.format import open_corpus
from lacuna.corpus.validate import one_class
from lacuna.evaluation.ceiling import has_ceiling, sweep_ceilings
from lacuna.evaluation.conditions import EvaluationConfig
from lacuna.evaluation.sweep import Sweep, sweep
from lacuna.parallel import n_workers, run_parallel
from lacuna.progress import progress
from lacuna.training.device import pick_device, reproducible
from lacuna.training.trained import TrainedRecognizer

_log = logging.getLogger(__name__)


def sweep_all(
    recognizers: Sequence[TrainedRecognizer],
    test: Corpus,
    config: EvaluationConfig,
    training_labels: Labels,
    *,
    device: str = "auto",
    threads: int | None = 1,
    workers: int | None = None,
) -> list[Sweep]:
    """Return the scores of each recogniser under the same masks; on a generated corpus also those of the best possible answers.

    Args:
        recognizers: of one target; none of them has seen a dialogue of the test split.
        test: the test split.
        config: patterns, rates and mask seeds.
        training_labels: labels of the training split, from which the majority-class or mean baseline is made.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads of torch; ``None`` = as they are. These models are small: more threads are often slower.
        workers: at most so many processes; ``None`` = one for each core, one on a GPU. They open the corpus from its folder,
            so a corpus in memory is scored in this process. Scores do not depend on their number.

    Raises:
        ConfigError: an unknown device, or the corpus lacks the target.
        DataError: the corpus does not fit a recogniser, a recogniser was trained on one of its dialogues,
            or the test split has one class only, so that every score would be perfect or meaningless.
    """
    if recognizers and (error := one_class(test, recognizers[0].schema.target)):
        raise error
    jobs: list[_Job] = [_Job(one, None, config, training_labels, device, threads) for one in recognizers]
    if recognizers and has_ceiling(test, recognizers[0].schema.target.name):
        jobs.append(_Job(None, None, config, training_labels, device, threads))
    count = n_workers(workers, len(jobs), on_gpu=pick_device(device).type == "cuda")
    n_masks = len(config.plans([m.name for m in test.modalities]))
    _log.info("scoring %d recognisers under %d masks each", len(jobs), n_masks)
    with progress("scoring", len(jobs)) as shown:
        if count == 1 or not _is_test_split(test):
            scored = run_parallel(partial(_score, test=test), jobs, 1, progress=shown)
        else:
            scored = run_parallel(_score, [job._replace(corpus=test.folder) for job in jobs], count, progress=shown)
        return [one for sweeps in scored for one in sweeps]


class _Job(NamedTuple):
    """One recogniser to score (``None`` = the ceilings), and the folder of the corpus for another process."""

    trained: TrainedRecognizer | None
    corpus: Path | None
    config: EvaluationConfig
    training_labels: Labels
    device: str
    threads: int | None


def _score(job: _Job, test: Corpus | None = None) -> list[Sweep]:
    test = open_corpus(job.corpus).only("test") if test is None and job.corpus is not None else test
    assert test is not None
    plans = job.config.plans([m.name for m in test.modalities])
    with reproducible(job.threads):
        if job.trained is None:
            return sweep_ceilings(test, plans, training_labels=job.training_labels, past_only=job.config.past_only)
        device = pick_device(job.device)
        past_only = job.config.past_only
        return [sweep(job.trained, test, plans, training_labels=job.training_labels, device=device, past_only=past_only)]


def _is_test_split(test: Corpus) -> bool:
    """Whether another process gets the same utterances by opening the corpus and taking its test split."""
    if test.folder is None:
        return False
    again = open_corpus(test.folder).only("test")
    return again.digest == test.digest and len(again) == len(test) and bool(np.array_equal(again.keys, test.keys))
