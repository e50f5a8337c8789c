"""The one training loop, for every recogniser."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna import __version__
from lacuna.corpus.batch import Batch
from lacuna.corpus.contents import dialogue_contents
from lacuna.errors import TrainingError, naming_extras
from lacuna.missing import Layout, derive_seed
from lacuna.models import Recognizer, build
from lacuna.training.checkpoint import Checkpoints, FinishedRun
from lacuna.training.device import autocast, own_random_state, pick_device, reproducible
from lacuna.training.distributed import Processes
from lacuna.training.guard import check_splits
from lacuna.training.identity import Recipe, run_folder
from lacuna.training.loader import Loader
from lacuna.training.lock import locked
from lacuna.training.logs import RunLog, run_log
from lacuna.training.masks import TrainingMasks, selection_masks
from lacuna.training.mixup import Mixup
from lacuna.training.objectives import give_objective, take_objective
from lacuna.training.selection import metric_name, settle, validate
from lacuna.training.state import Row, RunState, copied
from lacuna.training.steps import Pair, learning_rate, stage_steps, telling_of_memory, update
from lacuna.training.trained import Selection, TrainedRecognizer
from lacuna.training.variant import check_variant

Watch = Callable[[Row], None]
_VALID_BATCH = 256  # utterances; without gradients more of them fit


class Fitted(NamedTuple):
    """What :func:`fit` returns.

    Attributes:
        trained: the recogniser with the weights that validation chose.
        history: one row an epoch: ``epoch``, ``train_loss``, loss terms as ``stage/term``, ``valid_loss``, the validation
            metric by its name, ``learning_rate`` and ``seconds``.
    """

    trained: TrainedRecognizer
    history: list[Row]


def fit(recipe: Recipe, folder: Path | None = None, *, variant: str = "", watch: Watch | None = None) -> Fitted:
    """Train a recogniser and keep the weights that are best on validation, under fixed masks of the training pattern.

    The members of a model that combines others, and the model of ``recovered_by``, are trained first, each as a run of its own.

    The result is a function of the recipe alone, bit for bit on the CPU of one machine, also if the run was killed and started
    again any number of times. A finished run returns at once. If ``torch.distributed`` has a process group, its processes train
    the model together (:mod:`lacuna.training.distributed`), and ``fit`` returns the same in all of them.

    Args:
        recipe: what to train, on what, and how.
        folder: where checkpoints and logs go; ``None`` = nothing is written.
        variant: what the recogniser is called in logs and tables; by default the name of its model. It makes no other run.
        watch: called with the row of every epoch, those before the checkpoint that is resumed included. What it raises ends
            the call, and a later call resumes there. It is not called for a run that was finished before.

    Raises:
        ConfigError: unknown model or setting, an empty or unlabelled split, or a variant that is the name of another model.
        DataError: a test utterance, one utterance in both splits, or a variant name that is not safe in a path.
        TrainingError: a loss is not finite, memory is exhausted, the folder holds another run, or another process trains in it.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> recipe = Recipe.of(generate(preset("tiny")), "prior")
        >>> fit(recipe).trained.selection.metric
        'weighted_f1'
    """
    config, variant = recipe.config, check_variant(variant, recipe.model)
    check_splits(recipe)
    processes = Processes.current()
    folder = folder if processes.first else None  # the others write nothing
    device = pick_device(config.device)
    with (
        naming_extras(f"model '{recipe.model}'"),
        reproducible(config.threads),
        own_random_state(device, derive_seed(recipe.seed, "run")),
        telling_of_memory(recipe.model, config),
    ):
        model = build(recipe.model, recipe.schema, **recipe.settings)
        give_objective(model, recipe)
        model.to(device)
        members = recipe.members()
        checkpoints = Checkpoints(folder, recipe.identity())
        processes.check_equal(checkpoints.identity)
        result = processes.of_first(checkpoints.result())
        if result is None:
            model.adopt([fit(member, _beside(folder, recipe, member)).trained.model for member in members])
            with nullcontext() if folder is None else locked(folder):  # another process may have ended it just now
                result = processes.of_first(checkpoints.result())
                if result is None:
                    with processes.shown():
                        result = _Run(recipe, model, device, checkpoints, processes).go(variant, watch)
    model.load_state_dict(result.weights)
    take_objective(model)
    progress = result.progress
    selection = Selection(
        metric=metric_name(recipe.schema.target),
        value=progress["best"],
        epoch=progress["best_epoch"],
        epochs=progress["epoch"] if model.learns else 0,
        pattern=config.pattern_text,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad or members),
        seconds=progress["seconds"],
        device=str(device),
        threads=config.threads,
        versions={"torch": torch.__version__, "lacuna": __version__},
        training=config.result_settings(),
    )
    data = recipe.train
    return Fitted(
        TrainedRecognizer(
            name=recipe.model,
            seed=recipe.seed,
            corpus=data.name,
            model=model.cpu().eval(),
            statistics=recipe.statistics,
            selection=selection,
            dialogues=np.unique(np.concatenate([data.dialogue_keys, recipe.valid.dialogue_keys])),
            contents=np.unique(np.concatenate([dialogue_contents(part, recipe.schema.dims) for part in (data, recipe.valid)])),
            data=data.digest or "",
            variant=variant,
        ),
        progress["history"],
    )


def _beside(folder: Path | None, recipe: Recipe, member: Recipe) -> Path | None:
    """Return the folder of a member: that of the same run alone, if the folder is among those of all runs, else one inside it."""
    if folder is None:
        return None
    runs = folder.parent.parent
    return run_folder(runs if run_folder(runs, recipe) == folder else folder / "members", member)


class _Run:
    """One run of the loop, from the start or from a checkpoint."""

    def __init__(
        self, recipe: Recipe, model: Recognizer, device: torch.device, checkpoints: Checkpoints, processes: Processes
    ) -> None:
        self.processes = processes
        self.recipe, self.config, self.seed, self.device = recipe, recipe.config, recipe.seed, device
        self.checkpoints, config, valid = checkpoints, recipe.config, recipe.valid
        self.train, self.valid = (
            Loader(split, recipe.schema, recipe.statistics, size, model.needs_dialogue, device)
            for split, size in ((recipe.train, config.batch_size), (valid, max(config.batch_size, _VALID_BATCH)))
        )
        self.train = replace(self.train, sampling=config.sampling)
        self.layout = Layout.of(recipe.train)
        self.labelled = recipe.train.labelled(recipe.schema.target.name) if processes.size > 1 else None
        self.masks = selection_masks(Layout.of(valid), config.pattern, config.valid_rates, config.valid_mask_seeds)
        self.metric = metric_name(model.schema.target)
        self.state = RunState(model, stage_steps(model, config), device, config.ema)
        self.started, self.saved = time.monotonic(), -math.inf

    def go(self, variant: str, watch: Watch | None) -> FinishedRun:
        """Train until the last epoch or until patience is exhausted; ``variant`` is the name in the log."""
        watch = watch or (lambda row: None)
        state, config = self.state, self.config
        if not self.processes.of_first(self.checkpoints.resume(state)):
            with torch.no_grad():
                state.model.prepare(self.complete)
        if self.processes.size > 1:
            state.restore(*self.processes.of_first((state.tensors(), state.progress_json())))
        progress = state.progress
        self.started = time.monotonic() - progress.seconds
        for row in progress.history:
            watch(row)
        epochs = config.epochs if state.model.learns else 1
        waits_from = max((s.stage.first + s.stage.turn for s in state.steps), default=0)  # before, not all has been trained
        title = f"{variant}, seed {self.seed}"
        with run_log(title, self.metric, epochs, self.checkpoints.folder, progress.history, events=config.tensorboard) as log:
            while progress.epoch < epochs and not (config.patience and progress.waited >= config.patience):
                begun = time.monotonic()
                try:
                    terms = self.learn(log) if state.model.learns else {}
                    row = self.judge(terms, begun)
                except TrainingError as error:
                    error.facts |= {"epoch": progress.epoch, "step": progress.step}  # from 0, as in the log
                    self.checkpoints.stopped(error)
                    raise
                if progress.close_epoch(row[self.metric], row, waits=progress.epoch >= waits_from):
                    self.checkpoints.keep(state.weights())
                over = progress.epoch >= epochs or bool(config.patience and progress.waited >= config.patience)
                log.epoch(row, progress.best or 0.0, last=over)
                if not over and time.monotonic() - self.saved >= config.checkpoint_seconds:
                    self.save()
                watch(row)
        if self.processes.first:
            self.settle()
        progress.seconds = time.monotonic() - self.started
        return self.processes.of_first(self.checkpoints.finish(state))

    def settle(self) -> None:
        """Let the model, with its best weights, choose on validation what gradient descent does not learn."""
        model, best = self.state.model, self.checkpoints.best
        assert best is not None
        model.load_state_dict(best)
        with own_random_state(self.device, derive_seed(self.seed, "validation")):
            settle(model, self.valid, self.masks, autocast(self.config.precision, self.device))
        self.checkpoints.keep(copied(model.state_dict()))

    def learn(self, log: RunLog) -> Row:
        """Run the rest of the current epoch; return the mean of each loss term over its updates."""
        state, config, progress = self.state, self.config, self.state.progress
        epoch = progress.epoch
        batches = self.train.rows((self.seed, epoch))
        total = -(-len(batches) // config.accumulate)
        masks = TrainingMasks(self.layout, config.pattern, config.rates, self.seed, epoch)
        state.model.train()
        active = [s for s in state.steps if s.stage.runs(epoch)]
        for step in range(progress.step, total):
            rate = learning_rate(config, (epoch + step / total) / config.epochs)
            numbers = range(step * config.accumulate, min((step + 1) * config.accumulate, len(batches)))
            rows, shares = self.parts([batches[number] for number in numbers])
            with self.processes.random_state(self.device, self.seed, epoch, step):
                terms = update(
                    state.model,
                    active,
                    [self.pair(part, masks, number) for part, number in zip(rows, numbers, strict=True)],
                    rate=rate,
                    clip_norm=config.clip_norm,
                    cast=autocast(config.precision, self.device),
                    where=f"epoch {epoch + 1}, update {step + 1} of {total}",
                    mixup=Mixup(config.mixup, config.mixup_layer, (self.seed, epoch, step)) if config.mixup else None,
                    shares=shares,
                    processes=self.processes,
                )
            self.processes.copy_buffers(state.model)
            progress.count(terms)
            state.follow()
            log.step(epoch, step + 1, total)
            if config.checkpoint_steps and progress.updates % config.checkpoint_steps == 0 and step + 1 < total:
                self.save()
        return {name: value / total for name, value in progress.sums.items()} | {"learning_rate": rate}

    def save(self) -> None:
        """Write a checkpoint."""
        self.state.progress.seconds = time.monotonic() - self.started
        self.checkpoints.save(self.state)
        self.saved = time.monotonic()

    def parts(self, batches: list[NDArray[np.int64]]) -> tuple[list[NDArray[np.int64]], list[float] | None]:
        """Return what this process computes of some batches, and its shares; a process alone computes all of them."""
        if self.labelled is None:
            return batches, None
        dialogue = self.train.corpus.utterances.dialogue if self.train.whole_dialogues else None
        return self.processes.parts(batches, self.labelled, dialogue)

    def pair(self, rows: NDArray[np.int64], masks: TrainingMasks, number: int) -> Pair:
        """Return a batch, complete and as the mask leaves it."""
        complete = self.train.read(rows)
        present = {m: p.to(self.device) for m, p in masks.present(number, rows).items()}
        return complete, complete.observe(present)

    def judge(self, terms: Row, begun: float) -> Row:
        """Validate the weights that would be kept now, with the same random state at every epoch."""
        metric, loss = self.processes.of_first(self.validate() if self.processes.first else (0.0, 0.0))
        row: Row = {"epoch": self.state.progress.epoch}
        if terms:
            row["train_loss"] = sum(v for name, v in terms.items() if not name.endswith("/grad_norm") and "/" in name)
        return row | {self.metric: metric, "valid_loss": loss} | terms | {"seconds": time.monotonic() - begun}

    def validate(self) -> tuple[float, float]:
        """Return the validation metric and the validation loss."""
        with self.state.averaged() as model, own_random_state(self.device, derive_seed(self.seed, "validation")):
            return validate(model, self.valid, self.masks, autocast(self.config.precision, self.device))

    def complete(self) -> Iterable[Batch]:
        """Return the complete training batches, in the order of the corpus."""
        return iter(self.train)
