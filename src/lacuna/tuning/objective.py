"""What a trial is worth: the area under the validation metric over missing rates. Test utterances cannot get here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from lacuna.atomic import write_json
from lacuna.corpus import Corpus, open_corpus, save_corpus
from lacuna.corpus.schema import SPLITS, Schema
from lacuna.corpus.statistics import Statistics, fit_statistics
from lacuna.errors import DataError
from lacuna.metrics.curves import auilc
from lacuna.missing import Layout, MaskPlan, derive_seed
from lacuna.training import Loader, TrainedRecognizer, fit
from lacuna.training.device import autocast, own_random_state, pick_device, reproducible
from lacuna.training.identity import Recipe, corpus_digest, run_key
from lacuna.training.selection import metric_name, tallied
from lacuna.training.state import Row
from lacuna.tuning.space import split_parameters, training_config
from lacuna.tuning.study import WARM, StudyConfig

CORPUS, CONTENT = "corpus", "corpus.json"
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Data:
    """What an objective may read.

    Attributes:
        schema: the modalities and the target.
        train: view on the training split.
        valid: view on the validation split.
        statistics: of the training split.
    """

    schema: Schema
    train: Corpus
    valid: Corpus
    statistics: Statistics

    @classmethod
    def of(cls, corpus: Corpus, target: str | None) -> Data:
        """The two splits of a corpus that holds no test utterance.

        Raises:
            DataError: it holds some.
        """
        if tests := int((corpus.utterances.split == SPLITS.index("test")).sum()):
            raise DataError(
                "a study would see test utterances",
                corpus=corpus.name,
                expected="train and valid only",
                found=f"{tests} of {len(corpus)} are test",
                hint="pass corpus.only('train', 'valid')",
            )
        train = corpus.only("train")
        return cls(corpus.schema(target), train, corpus.only("valid"), fit_statistics(train))

    def digests(self) -> dict[str, str]:
        """Hashes of both splits."""
        return {"train": corpus_digest(self.train, self.schema), "valid": corpus_digest(self.valid, self.schema)}


def put_corpus(corpus: Corpus, folder: Path, digests: Mapping[str, str]) -> None:
    """Write what a study's workers read into its folder, unless it is there; of the test split nothing is written."""
    note = folder / CONTENT
    if note.is_file() and json.loads(note.read_text("utf-8")) == dict(digests) and (folder / CORPUS).is_dir():
        return
    note.unlink(missing_ok=True)  # killed in between, it must not vouch for data that it is not of
    save_corpus(corpus.only("train", "valid"), folder / CORPUS)
    write_json(note, dict(digests))


def get_corpus(folder: Path) -> Corpus:
    """What :func:`put_corpus` wrote."""
    return open_corpus(folder / CORPUS)


def value_of(
    config: StudyConfig,
    data: Data,
    parameters: Mapping[str, Any],
    folder: Path | None = None,
    watch: Callable[[Row], None] | None = None,
) -> tuple[float, dict[str, Any]]:
    """Train with some parameters and judge on validation.

    Args:
        config: what is fixed, and how it is judged.
        data: the two splits.
        parameters: of the trial.
        folder: of checkpoints; a killed trial goes on from there.
        watch: sees every epoch of the first training seed.

    Returns:
        The value, mean over training seeds; and what else is worth knowing, as JSON values.
    """
    settings, training = split_parameters(parameters)
    settings, train_config = {**config.settings, **settings}, training_config({**config.training, **training})
    values, metrics, epochs, seconds = [], [], [], 0.0
    for number, seed in enumerate(config.seeds):
        parts = data.schema, data.train, data.valid, data.statistics
        recipe = Recipe(config.model, *parts, train_config, settings, seed)
        own = None if folder is None else folder / f"seed-{seed}-{run_key(recipe)}"
        fitted = fit(recipe, own, watch=watch if number == 0 else None)
        values.append(area(fitted.trained, data, config))
        metrics.append(fitted.trained.selection.value)
        epochs.append(fitted.trained.selection.epochs)
        seconds += fitted.trained.selection.seconds
    facts = {"values": values, metric_name(data.schema.target): metrics, "epochs": epochs, "seconds": round(seconds, 3)}
    return float(np.mean(values)), facts


def area(trained: TrainedRecognizer, data: Data, config: StudyConfig) -> float:
    """AUILC of the selection metric on validation, under masks that training did not select its weights with."""
    training = training_config(config.training)
    device = pick_device(training.device)
    layout = Layout.of(data.valid)
    plans = [(rate, derive_seed(seed, "study")) for rate in config.rates for seed in config.mask_seeds]
    masks = [MaskPlan(config.judged_under(), rate, seed).over(layout) for rate, seed in plans]
    with reproducible(training.threads), own_random_state(device, derive_seed(config.seed, "study")):
        model = trained.model.to(device)
        loader = Loader(data.valid, data.schema, data.statistics, _BATCH, model.needs_dialogue, device)
        tallies = tallied(model, loader, masks, autocast(training.precision, torch.device(device)))
    by_rate = np.array([t.metric for t in tallies]).reshape(len(config.rates), -1)  # (R * S,) -> (R, S)
    return float(auilc(config.rates, by_rate.mean(axis=1)))


def watcher(trial: optuna.Trial, metric: str) -> Callable[[Row], None]:
    """Report every epoch to the study, and stop a trial that falls behind; the trial of the defaults is never stopped.

    Raises (when called):
        optuna.TrialPruned: it fell behind.
    """
    spared = WARM in trial.user_attrs

    def watch(row: Row) -> None:
        step = int(row["epoch"])
        trial.report(row[metric], step)
        if not spared and trial.should_prune():
            raise optuna.TrialPruned(f"behind the others after epoch {step + 1}")

    return watch
