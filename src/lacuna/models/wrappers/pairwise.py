"""Pairwise contrastive pretraining (MPUC) of the encoders of any recogniser.

Modality-pairwise unsupervised contrastive loss of Franceschini et al. (ICPR 2022, arXiv 2207.11482): before the training of the
model begins, the vectors of two modalities of an utterance are drawn together and those of different utterances apart, without
labels. Then the projections that the loss compares are no longer used, and the model is trained from these encoders.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import Recognizer, Stage
from lacuna.models.layers.contrast import pairwise_info_nce
from lacuna.models.layers.streams import ModalityEncoder
from lacuna.models.wrappers.wrapped import Wrapped

STAGE = "mpuc"
TEMPERATURE = 0.07  # of the released code


class PairwisePretraining(Wrapped):
    """Recogniser whose encoders are first trained by the contrast of every pair of modalities.

    A model has such encoders if it uses a :class:`~lacuna.models.layers.streams.ModalityEncoder`. The loss reads what the
    training mask left, and pairs that lack a member are left out.

    Args:
        inner: wrapped recogniser.
        epochs: length of the pretraining; the stages of the inner model begin after it.

    Raises:
        ConfigError: the model has no encoders of single modalities, or the corpus has one modality.
    """

    def __init__(self, inner: Recognizer, epochs: int) -> None:
        super().__init__(inner)
        self.epochs = epochs
        self._encoders = {name: m for name, m in inner.named_modules() if isinstance(m, ModalityEncoder)}
        if not self._encoders:
            raise ConfigError(
                f"model '{inner.name}': setting 'mpuc' needs an encoder of each modality, "
                "which this model does not have; set it to 0"
            )
        if len(self.schema.dims) < 2:
            raise ConfigError(
                f"model '{inner.name}': setting 'mpuc' needs two modalities; "
                f"the corpus has only '{', '.join(self.schema.dims)}'; set it to 0"
            )
        self.projections = nn.ModuleList(
            nn.ModuleList(_projection(encoder.width) for _ in self.schema.dims) for encoder in self._encoders.values()
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stage of pretraining, and those of the inner model, later by its length."""
        encoders = Stage(STAGE, ("projections.", *(f"inner.{name}." for name in self._encoders)), end=self.epochs)
        later = [
            replace(
                stage,
                parameters=stage.parameters or ("inner.",),
                first=stage.first + self.epochs,
                end=None if stage.end is None else stage.end + self.epochs,
            )
            for stage in super().stages
        ]
        return encoders, *later

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the contrast of the pairs of modalities, summed over the encoders, or the losses of the inner model."""
        if stage != STAGE:
            return super().losses(complete, observed, stage)
        available, losses = observed.available(), []
        for encoder, projections in zip(self._encoders.values(), self.projections, strict=True):
            columns = encoder.modality_vectors(observed).unbind(1)  # (U, d) each
            projected = [project(x) for project, x in zip(projections, columns, strict=True)]  # type: ignore[call-overload]
            losses.append(pairwise_info_nce(torch.stack(projected, dim=1), available, TEMPERATURE))
        return {"contrast": torch.stack(losses).sum()}


def _projection(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
