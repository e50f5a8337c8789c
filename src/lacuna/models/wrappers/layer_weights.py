"""Learned weights of the layers of a frozen network, whose outputs lie side by side in the frames of a modality.

The encoders ``minilm``, ``hub-text``, ``hub-audio`` and ``hub-vision`` with a list of ``layers`` return the outputs of these
layers in one frame, and their description names them. Reference: Yang et al., SUPERB: Speech processing universal performance
benchmark, Interspeech 2021.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Modality, Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, Stage
from lacuna.models.wrappers.wrapped import Wrapped

_LAYERS = re.compile(r"(?:^| )layers=(\[[-0-9,]+\])(?: |$)")


def n_layers(modality: Modality) -> int:
    """Return how many layers lie side by side in the frames of a modality; 1 if its extractor names no list of layers.

    >>> n_layers(Modality("audio", 12, "hub-audio/1 layers=[6,9,12] rate=10.0"))
    3
    """
    listed = _LAYERS.search(modality.extractor)
    count = len(json.loads(listed[1])) if listed else 1
    return count if modality.dim % count == 0 else 1


def one_layer(schema: Schema) -> Schema:
    """Return the schema of frames that have the width of one layer."""
    return replace(schema, modalities=tuple(replace(m, dim=m.dim // n_layers(m)) for m in schema.modalities))


class LayerWeighted(Wrapped):
    """Recogniser that reads one weighted sum of the layers of each modality; the weights are a softmax and start equal.

    Layers are summed after features are standardised, so they have the same scale. Modalities of one layer are unchanged.

    Args:
        inner: built for :func:`one_layer` of the schema.
        schema: modalities and target of the corpus.

    Raises:
        ConfigError: no modality has several layers, or the model recovers: what it recovers would be sums of layers.
    """

    def __init__(self, inner: Recognizer, schema: Schema) -> None:
        super().__init__(inner)
        counts = {m.name: n_layers(m) for m in schema.modalities if n_layers(m) > 1}
        if not counts or inner.recovers:
            reason = "it recovers frames" if inner.recovers else "no modality of the corpus has frames of several layers"
            raise ConfigError(f"model '{inner.name}': layer_weights cannot be used, because {reason}; set it to false")
        self.schema = schema
        self.layer_scores = nn.ParameterDict({name: nn.Parameter(torch.zeros(count)) for name, count in counts.items()})

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages of the inner model, each with the weights of the layers."""
        return tuple(replace(s, parameters=(*s.parameters, "layer_scores") if s.parameters else ()) for s in super().stages)

    @property
    def layer_weights(self) -> Mapping[str, Tensor]:
        """Return the weights of the layers by modality, (n,) each, with the sum 1."""
        return {name: scores.softmax(dim=0) for name, scores in self.layer_scores.items()}

    def weighted(self, batch: Batch) -> Batch:
        """Return the batch with frames (U, T_m, d_m) from frames (U, T_m, n d_m)."""
        features = dict(batch.features)
        for name, weights in self.layer_weights.items():
            if name in features:
                layers = features[name].reshape(*features[name].shape[:-1], len(weights), -1)  # (U, T, n d) -> (U, T, n, d)
                features[name] = (layers * weights.unsqueeze(-1)).sum(dim=-2)
        return replace(batch, features=features)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare on weighted sums."""
        with torch.no_grad():
            self.inner.prepare(lambda: (self.weighted(batch) for batch in batches()))

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle on weighted sums."""
        self.inner.settle(lambda: (self.weighted(batch) for batch in batches()), metric)

    def forward(self, batch: Batch) -> Prediction:
        """Return the prediction of the inner model for weighted sums."""
        return super().forward(self.weighted(batch))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of the inner model on weighted sums."""
        return self.inner.losses(self.weighted(complete), self.weighted(observed), stage)
