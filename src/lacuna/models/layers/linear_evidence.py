"""The linear part of a modality's evidence: regularised regressions, fitted before training and held out by dialogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.layers.logistic import Array, fit_logistic, fit_ridge
from lacuna.models.layers.pooling import masked_mean
from lacuna.models.layers.squash import Squash, observed_frames

FOLDS = 4
STRENGTHS = tuple(10.0**k for k in np.arange(-4.0, 1.01, 0.5).tolist())
RIDGE_STRENGTHS = tuple(10.0**k for k in range(-5, 1))
_MIX = 0x9E3779B1  # odd: neighbouring dialogue codes get different folds


class LinearEvidence(nn.Module):
    """One L2-regularised multinomial logistic regression a modality (ridge regression for a score), and one learned gain each.

    What later layers see in training comes from the regression that was fitted without the utterance's own dialogue, so they do
    not learn its overconfidence. The penalty is the one with the least loss on the dialogues held out.

    Modalities with more than one frame an utterance have none.

    Args:
        schema: modalities and target.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.target = schema.target
        width = 1 if schema.target.task == "regression" else schema.target.width
        self.gain = nn.ParameterDict({m: nn.Parameter(torch.ones(())) for m in schema.dims})
        self.squash = nn.ModuleDict({m: Squash(d) for m, d in schema.dims.items()}).requires_grad_(False)
        for name, dim in schema.dims.items():  # the last set of weights is that of the whole training split
            self.register_buffer(f"weight_{name}", torch.zeros(FOLDS + 1, dim, width))
            self.register_buffer(f"bias_{name}", torch.zeros(FOLDS + 1, width))
            self.register_buffer(f"fitted_{name}", torch.zeros((), dtype=torch.bool))
            self.register_buffer(f"precision_{name}", torch.full((), 0.3))

        self._fitted: set[str] = set()  # what the buffers say; a graph that is exported cannot ask a tensor
        self.register_load_state_dict_post_hook(lambda module, _: module._look())  # type: ignore[no-untyped-call]

    def _look(self) -> None:
        self._fitted = {m for m in self.gain if bool(self.get_buffer(f"fitted_{m}"))}

    def fit(self, batches: Callable[[], Iterable[Batch]], prior: Tensor, moments: Tensor) -> None:
        """Fit every regression.

        Args:
            batches: of the training split.
            prior: (K,) log-probabilities of the classes.
            moments: mean and standard deviation of a score.
        """
        for name, squash in self.squash.items():
            assert isinstance(squash, Squash)
            if any(bool((b.present[name].sum(dim=1) > 1).any()) for b in batches()):
                continue  # frames: a network that reads each of them is better from the start
            squash.fit(observed_frames(batches, name))
            rows, labels, folds = [], [], []
            for batch in batches():
                keep = batch.labelled & batch.present[name].any(dim=1)
                rows.append(self._columns(batch, name)[keep].double().cpu())
                labels.append(batch.label[keep].cpu())
                folds.append(fold_of(batch.dialogue[keep].cpu()))
            self._fit(name, torch.cat(rows).numpy(), torch.cat(labels), torch.cat(folds).numpy(), prior.cpu(), moments.cpu())
        self._look()

    def _fit(self, name: str, x: Array, label: Tensor, fold: Array, prior: Tensor, moments: Tensor) -> None:  # noqa: PLR0917
        classes = self.target.width
        if len(np.unique(fold)) < FOLDS:
            return
        self.get_buffer(f"fitted_{name}").fill_(True)
        if self.target.task == "regression":
            y = ((label.double() - moments[0]) / moments[1]).numpy()
            fits = {f: fit_ridge(x[fold != f], y[fold != f], RIDGE_STRENGTHS) for f in range(FOLDS)}
            last = [fit_ridge(x, y, RIDGE_STRENGTHS)]
        else:
            y = (label if label.ndim == 2 else torch.nn.functional.one_hot(label, classes)).double().numpy()
            fits = {f: fit_logistic(x[fold != f], y[fold != f], STRENGTHS) for f in range(FOLDS)}
        losses = np.zeros(len(next(iter(fits.values()))))
        for f, candidates in fits.items():
            held = fold == f
            for number, (w, b) in enumerate(candidates):
                losses[number] += _loss(self.target.task, x[held] @ w + b, y[held])
        best = int(losses.argmin())
        if self.target.task == "regression":
            whole = last[0][best]
            error = losses[best] / max(1, len(y))  # of the variance of the scores
            self.get_buffer(f"precision_{name}").fill_(min(max(1 / max(error, 1e-3) - 1, 0.01), 100.0))
        else:
            whole = fit_logistic(x, y, STRENGTHS[: best + 1])[-1]
        weight, bias = self.get_buffer(f"weight_{name}"), self.get_buffer(f"bias_{name}")
        offset = torch.zeros(weight.shape[-1]) if self.target.task == "regression" else prior
        for f in range(FOLDS + 1):
            w, b = whole if f == FOLDS else fits[f][best]
            weight[f], bias[f] = torch.from_numpy(w).float(), torch.from_numpy(b).float() - offset.to(bias.device)

    def fitted(self, name: str) -> bool:
        """Whether the modality has a regression: one frame an utterance, and labelled dialogues in every fold."""
        return name in self._fitted

    def forward(self, name: str, batch: Batch) -> Tensor:
        """Evidence of a modality, whatever is present: (U, K); of a score shift and precision before its softplus, (U, 2)."""
        columns = self._columns(batch, name)
        weight, bias = self.get_buffer(f"weight_{name}"), self.get_buffer(f"bias_{name}")
        if self.training:
            fold = fold_of(batch.dialogue)
            every = torch.einsum("ud,fdk->fuk", columns, weight[:FOLDS]) + bias[:FOLDS, None]  # (F, U, K)
            linear = every[fold, torch.arange(len(fold), device=fold.device)]
        else:
            linear = columns @ weight[FOLDS] + bias[FOLDS]
        linear = self.gain[name] * linear
        if self.target.task == "regression":
            precision = self.get_buffer(f"precision_{name}")  # of the expert whose product with the prior has this mean
            linear = linear * (1 + precision) / precision
            linear = torch.cat([linear, torch.log(torch.expm1(precision)).expand_as(linear)], dim=1)  # (U, 1) -> (U, 2)
        return linear

    def _columns(self, batch: Batch, name: str) -> Tensor:
        """Mean of the squashed frames of a modality: (U, d)."""
        present = batch.present[name]
        return masked_mean(self.squash[name](batch.features[name]) * present.unsqueeze(-1), present)


def fold_of(dialogue: Tensor) -> Tensor:
    """(U,) int64 codes -> (U,) int64 fold, a function of the dialogue."""
    return (dialogue * _MIX >> 7) % FOLDS


def _loss(task: str, output: Array, y: Array) -> float:
    """Summed log loss, or squared error."""
    if task == "regression":
        return float(np.square(output[:, 0] - y).sum())
    return float(-(y * torch.from_numpy(output).log_softmax(dim=1).numpy()).sum())
