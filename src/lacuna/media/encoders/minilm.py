"""all-MiniLM-L6-v2: a frozen English sentence encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.assets import require
from lacuna.media.encoders.base import ENCODERS, Encoded, TextEncoder
from lacuna.media.hidden_layers import check_layers, chosen_layers
from lacuna.media.problems import Problem

_LONGEST = 256  # tokens; the length of its training


@ENCODERS.register("minilm")
@dataclass(frozen=True)
class MiniLM(TextEncoder):
    """Return one vector a token, with 384 numbers; their mean is the sentence vector before it is scaled to length 1.

    Reference: Reimers and Gurevych, Sentence-BERT, EMNLP 2019; Wang et al., MiniLM, NeurIPS 2020.

    Attributes:
        pool: ``tokens``, or ``mean``: one vector of length 1; of the last layer it is the sentence vector.
        layers: as for networks of the hub, see :func:`lacuna.media.hidden_layers.check_layers`; 6 is the last one. On
            CMU-MOSI a middle layer has a higher score than the last one (``experiments/mosi_minilm``).
    """

    dim = 384  # of one layer
    assets = ("minilm-config", "minilm-tokenizer", "minilm-weights")
    source = "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0"
    pool: str = "tokens"
    layers: str | tuple[int, ...] = "last"

    def __post_init__(self) -> None:
        if self.pool not in ("tokens", "mean"):
            raise ConfigError(f"encoder 'minilm': pool is 'tokens' or 'mean', found {self.pool!r}\n  do: correct pool")
        object.__setattr__(self, "layers", check_layers(self.layers, "minilm"))

    def load(self) -> None:
        """Load the network."""
        _model()

    def encode(self, text: str) -> Encoded:
        """Return (tokens, 384) features, or (1, 384) with ``pool="mean"``; n numbered layers have n times 384 columns."""
        import torch

        tokenizer, model = _model()
        encoding = tokenizer.encode(text)
        ids = encoding.ids[: _LONGEST - 1] + encoding.ids[-1:] if len(encoding.ids) > _LONGEST else encoding.ids
        problems: tuple[Problem, ...] = ()
        if len(encoding.ids) > _LONGEST:
            problems = (Problem("too_many_words", f"{len(encoding.ids)} tokens; the first {_LONGEST - 1} were read"),)
        with torch.inference_mode():
            # (1, T) token ids -> (T, d)
            hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
            values = chosen_layers(hidden, self.layers, "minilm").numpy()
        if self.pool == "mean":
            mean = values.mean(axis=0, keepdims=True)  # (1, d)
            values = mean / np.linalg.norm(mean)
        return Encoded(values.astype(np.float32), problems=problems)


@lru_cache(maxsize=1)
def _model() -> tuple[Any, Any]:
    """Return the tokenizer and the network, loaded once a process."""
    import safetensors.torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    config, vocabulary, weights = (require(name, "encoder 'minilm'") for name in MiniLM.assets)
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = BertModel(BertConfig.from_json_file(str(config)), add_pooling_layer=False)
    state = safetensors.torch.load_file(weights)
    unused = ("pooler.", "embeddings.position_ids")
    model.load_state_dict({key: value for key, value in state.items() if not key.startswith(unused)})
    model.train(False)
    return tokenizer, model
