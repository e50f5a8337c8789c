"""Any text network of the hub: RoBERTa, XLM-R, e5, ..."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lacuna.errors import ConfigError
from lacuna.media.encoders.base import ENCODERS, Encoded, TextEncoder
from lacuna.media.hub import HubSettings, found
from lacuna.media.problems import Problem

_LONGEST = 512  # tokens


@ENCODERS.register("hub-text")
@dataclass(frozen=True)
class HubText(HubSettings, TextEncoder):
    """Return one vector a token of a frozen network.

    Attributes:
        pool: ``tokens``, or ``mean``: one vector a transcript.
    """

    source = "a network of the Hugging Face hub; its licence is on its page"
    pool: str = "tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool not in ("tokens", "mean"):
            raise ConfigError(f"encoder 'hub-text': pool is 'tokens' or 'mean', found {self.pool!r}\n  do: correct pool")

    def encode(self, text: str) -> Encoded:
        """Return (tokens, d) features."""
        import torch

        tokenizer, network = _tokenizer(self.model, self.revision), self.network()
        positions = getattr(network.config, "max_position_embeddings", _LONGEST)
        longest = min(_LONGEST, tokenizer.model_max_length, positions - (2 if positions % 2 == 0 and positions > _LONGEST else 0))
        count = len(tokenizer(text)["input_ids"])
        problems: tuple[Problem, ...] = ()
        if count > longest:
            problems = (Problem("too_many_words", f"{count} tokens; the first {longest} were read"),)
        tokens = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")
        with torch.inference_mode():
            values = self.chosen(network(**tokens, output_hidden_states=True).hidden_states).numpy()
        values = values.mean(axis=0, keepdims=True) if self.pool == "mean" else values
        return Encoded(values.astype(np.float32), problems=problems)


@lru_cache(maxsize=2)
def _tokenizer(model: str, revision: str) -> Any:
    from transformers import AutoTokenizer

    return found(AutoTokenizer, model, revision)
