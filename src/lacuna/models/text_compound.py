"""Action units and prosody as words beside the transcript, read by a text model; and its rival on the values themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import DataError
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_choices
from lacuna.models.layers.attention import masked_softmax
from lacuna.models.layers.head import classifier
from lacuna.models.layers.value_words import ValueWords
from lacuna.models.space import Choice, Space, Span

INPUTS = ("words", "values")


@dataclass(frozen=True)
class TextCompoundConfig(Config):
    """Settings of :class:`TextCompound`.

    Attributes:
        width: units of the embedding of a word.
        bins: words of a column of features.
        vocabulary: most different words of transcripts; token ids beyond it share a word by their remainder.
        dropout: dropout rate.
        inputs: ``words``, or ``values`` for the rival: the same model of feature values.
    """

    width: int = 64
    bins: int = 3
    vocabulary: int = 4096
    dropout: float = 0.3
    inputs: str = "words"
    space: ClassVar[Space] = {
        "width": Choice((32, 64, 128)),
        "bins": Span(2, 7),
        "dropout": Span(0.0, 0.7),
        "inputs": Choice(INPUTS),
    }

    def __post_init__(self) -> None:
        check_bounds("text_compound", self, width=(1, 8192), bins=(2, 1000), vocabulary=(1, 10**6), dropout=(0.0, 1.0))
        check_choices("text_compound", self, inputs=INPUTS)


@register(
    "text_compound",
    title="Textualized and Feature-based Models for Compound Multimodal Emotion Recognition in the Wild",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2407.12927",
    year=2024,
    venue="ECCV Workshops",
    reconstruction=True,
)
class TextCompound(Recognizer):
    r"""Textualised recogniser of Richet et al. (ECCV Workshops 2024) with learned embeddings, and its rival on feature values.

    Each column of features (an action unit, a prosody value) becomes a word by bins that are fitted on the training split
    (:class:`~lacuna.models.layers.value_words.ValueWords`). Where the corpus has token ids, the transcript is added word by word
    instead of the text features. The text is a bag of words: attention weights :math:`\alpha \propto \exp(s_w)` average the
    embeddings, and a hidden layer follows. Values in the same bins give the same answer; an absent modality adds no word.

    With ``inputs: values`` each column has one embedding, multiplied by its standardised value, and the transcript enters through
    the text features. All else is equal, so the two differ only in the textualisation. ``mlp`` is the usual rival.

    Left out: sentences, and the pretrained language model that reads them (BERT or LLaMA in the paper); without it, nothing is
    known of a word beside its examples.
    """

    Config = TextCompoundConfig
    config: TextCompoundConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.004}  # most embeddings get few updates
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, has_words = self.config, self.config.inputs == "words"
        self.transcripts = {m.name: min(m.vocabulary, c.vocabulary) for m in schema.modalities if has_words and m.vocabulary}
        self.values = ValueWords({m: dim for m, dim in schema.dims.items() if m not in self.transcripts}, c.bins)
        number = self.values.number if has_words else sum(schema.dims.values())
        number += sum(self.transcripts.values())
        self.embedding = nn.Parameter(torch.randn(number, c.width))
        self.salience = nn.Parameter(torch.zeros(number))
        self.body = nn.Sequential(
            nn.LayerNorm(c.width), nn.Dropout(c.dropout), nn.Linear(c.width, c.width), nn.GELU(), nn.Dropout(c.dropout)
        )
        self.head = classifier(schema, c.width, c)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fit the bins."""
        if self.config.inputs == "words":
            self.values.fit(batches)

    def words(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the words of each utterance (U, N) int64, and which of them are said (U, N) bool.

        Raises:
            DataError: the training corpus has token ids, and this batch has none.
        """
        pairs, first = [self.values(batch)], self.values.number
        for name, number in self.transcripts.items():
            if name not in batch.tokens:
                raise DataError(
                    f"'{self.name}' reads the words of transcripts, but these frames have no token ids",
                    modality=name,
                    expected="token ids of the training corpus",
                    hint="import the text with its tokens, or train with inputs: values",
                )
            tokens = batch.tokens[name]  # (U, T); 0 is no word
            pairs.append((first + tokens % number, batch.present[name] & (tokens > 0)))
            first += number
        words, said = zip(*pairs, strict=True)
        return torch.cat(words, dim=1), torch.cat(said, dim=1)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        if self.config.inputs == "words":
            words, said = self.words(batch)
            values = None
        else:
            values, said = self.values.values(batch)
            words = torch.arange(values.shape[1], device=values.device).expand(values.shape)  # (D,) -> (U, D)
        weights = masked_softmax(self.salience[words], said)  # (U, N)
        weights = weights if values is None else weights * values
        vector = functional.embedding_bag(words, self.embedding, mode="sum", per_sample_weights=weights.to(self.embedding))
        return Prediction(self.head(self.body(vector)).float())
