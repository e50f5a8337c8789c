"""One update of a model: every stage steps its own parameters, or training stops with an error that names the reason."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import AdamW

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError, TrainingError, is_out_of_memory
from lacuna.models import Recognizer, Stage
from lacuna.training.config import TrainingConfig
from lacuna.training.distributed import Processes
from lacuna.training.mixup import Mixup

_log = logging.getLogger(__name__)
Pair = tuple[Batch, Batch]  # complete, observed
ALONE = Processes()


@dataclass(frozen=True, eq=False)
class StageStep:
    """A stage with its parameters and optimiser.

    Attributes:
        stage: as the model names it.
        names: names of its parameters, in the model's order.
        parameters: the parameters themselves.
        optimizer: AdamW over them and nothing else; stages may share one.
    """

    stage: Stage
    names: list[str]
    parameters: list[Parameter]
    optimizer: AdamW


def stage_steps(model: Recognizer, config: TrainingConfig) -> list[StageStep]:
    """Return an optimiser for each stage of the model; none for a model that does not learn.

    Raises:
        ConfigError: two stages share a name, a stage has no parameters, or stages that share an optimiser step other ones.
    """
    steps: list[StageStep] = []
    shared: dict[str, StageStep] = {}
    for stage in model.stages if model.learns else ():
        chosen = {
            name: p
            for name, p in model.named_parameters()
            if p.requires_grad and (not stage.parameters or name.startswith(stage.parameters))
        }
        if not chosen or stage.name in {s.stage.name for s in steps}:
            raise ConfigError(
                f"model '{model.name}', stage '{stage.name}': "
                + ("another stage has that name" if chosen else f"no parameter starts with {' or '.join(stage.parameters)}")
            )
        known = shared.get(stage.optimizer or "")
        if known is not None and known.names != list(chosen):
            raise ConfigError(
                f"model '{model.name}': stages '{known.stage.name}' and '{stage.name}' share an optimiser, "
                "but not their parameters"
            )
        if known is None:
            optimizer = AdamW(chosen.values(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
        else:
            optimizer = known.optimizer
        if (start := stage.first + stage.turn) >= config.epochs:
            message = "model '%s': stage '%s' begins in epoch %d, but training has %d epochs, so it never runs; set more epochs"
            _log.warning(message, model.name, stage.name, start + 1, config.epochs)
        steps.append(StageStep(stage, list(chosen), list(chosen.values()), optimizer))
        if stage.optimizer is not None:
            shared.setdefault(stage.optimizer, steps[-1])
    return steps


def learning_rate(config: TrainingConfig, done: float) -> float:
    """Return the learning rate after a share ``done`` in [0, 1] of all planned updates."""
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.learning_rate


def update(
    model: Recognizer,
    steps: Sequence[StageStep],
    pairs: Sequence[Pair],
    *,
    rate: float,
    clip_norm: float,
    cast: AbstractContextManager[Any],
    where: str,
    mixup: Mixup | None = None,
    shares: Sequence[float] | None = None,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Step every stage once on the mean loss over some batches.

    Args:
        model: in training mode.
        steps: its stages.
        pairs: complete and observed batches; each weighs as many utterances as it holds.
        rate: learning rate.
        clip_norm: longest gradient; 0 = any.
        cast: context of the forward passes.
        where: epoch and update, for error messages.
        mixup: mixes utterances; ``None`` = they are not mixed.
        shares: weight of each batch instead of its share of the utterances.
        processes: that compute the other parts of the update; gradients and losses are summed over them.

    Returns:
        Every loss term as ``stage/term``, and ``stage/grad_norm`` before clipping.

    Raises:
        TrainingError: a loss or gradient is not finite (the error carries the ids of all utterances), or CUDA memory is
            exhausted; nothing of that stage was stepped.
    """
    logged: dict[str, float] = {}
    total = sum(len(complete) for complete, _ in pairs)
    shares = [len(complete) / total for complete, _ in pairs] if shares is None else shares
    added = False
    source = model if mixup is None else mixup.over(model)
    for step in steps:
        name = step.stage.name
        if not added:
            _forget(step.parameters)
        terms: dict[str, Tensor] = {}
        try:
            for (complete, observed), share in zip(pairs, shares, strict=True):
                with cast:
                    losses = source.losses(complete, observed, name)
                _backward(losses.values(), share, step.parameters)
                for term, value in losses.items():
                    terms[term] = terms.get(term, 0) + share * value.detach().float()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(_too_large(model, pairs, where)) from error
        terms = processes.sum(step.parameters, terms)
        gradients = [p.grad for p in step.parameters if p.grad is not None]
        norm = get_total_norm(gradients) if gradients else torch.zeros(())
        numbers = torch.stack([norm.float(), *(t.to(norm.device) for t in terms.values())]).tolist()  # one wait for the device
        found = dict(zip(["grad_norm", *terms], numbers, strict=True))
        if not all(map(math.isfinite, numbers)):
            raise _not_finite(model, name, found, pairs, where)
        if clip_norm and found["grad_norm"] > clip_norm:
            clip_grads_with_norm_(step.parameters, clip_norm, norm)
        for group in step.optimizer.param_groups:
            group["lr"] = rate
        step.optimizer.step()
        added = step.stage.keeps_gradient
        if not added or not processes.first:  # a gradient that is kept has been summed: process 0 alone adds it again
            _forget(step.parameters)
        logged |= {f"{name}/{term}": value for term, value in found.items()}
    return logged


def _forget(parameters: list[Parameter]) -> None:
    """Set gradients to ``None``."""
    for parameter in parameters:
        parameter.grad = None


def _backward(losses: Iterable[Tensor], share: float, parameters: list[Parameter]) -> None:
    """Add the gradients of the summed losses to these parameters and to no others."""
    parts = [loss.float() for loss in losses if loss.requires_grad]
    if parts:
        torch.autograd.backward(share * torch.stack(parts).sum(), inputs=parameters)


def _not_finite(model: Recognizer, stage: str, found: dict[str, float], pairs: Sequence[Pair], where: str) -> TrainingError:
    ids = [i for complete, _ in pairs for i in complete.ids]
    values = ", ".join(f"{term} {value:g}" for term, value in found.items())
    return TrainingError(
        f"training of '{model.name}' stopped: a loss or gradient is not finite\n"
        f"  where: {where}, stage '{stage}'\n"
        f"  found: {values}\n"
        f"  utterances: {', '.join(ids[:5])}{f' and {len(ids) - 5} more' if len(ids) > 5 else ''}\n"
        "  do: lower learning_rate, set clip_norm, or look at these utterances; the last checkpoint is unchanged",
        ids,
        {"where": where, "stage": stage, "losses": found},
    )


@contextmanager
def telling_of_memory(name: str, config: TrainingConfig) -> Iterator[None]:
    """Turn an exhausted memory outside of forward and backward passes into a :class:`TrainingError`.

    Raises:
        TrainingError: memory is exhausted; checkpoints are unchanged.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"training of '{name}' stopped: the device is out of memory\n"
            "  where: outside of the passes of an update: data or model to the device, preparing, stepping, validating\n"
            f"  found: {(str(error).splitlines() or [type(error).__name__])[0]}\n"
            f"  do: check that nothing else uses the device, halve batch_size (it is {config.batch_size}), or set device: cpu"
        ) from error


def _too_large(model: Recognizer, pairs: Sequence[Pair], where: str) -> str:
    batch = max((complete for complete, _ in pairs), key=len)
    shapes = ", ".join(f"{m} {tuple(x.shape)}" for m, x in batch.features.items())
    turns = int(torch.unique(batch.dialogue, return_counts=True)[1].max())
    return (
        f"training of '{model.name}' stopped: the device is out of memory\n"
        f"  where: {where}\n"
        f"  found: a batch of {len(batch)} utterances ({shapes}), longest dialogue {turns} turns\n"
        "  do: halve batch_size and double accumulate: as many utterances a step in less memory; but not quite the same steps,\n"
        "      since each of the smaller batches draws its own missing rate and takes the mean over its own labelled utterances"
    )
