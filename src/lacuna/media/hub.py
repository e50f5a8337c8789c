"""Networks of the Hugging Face hub as encoders: loading from this machine only, layers, identity of the weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lacuna.errors import ConfigError
from lacuna.media.hidden_layers import check_layers, chosen_layers


@dataclass(frozen=True)
class HubSettings:
    """What all encoders with a network of the hub have in common.

    Attributes:
        model: a folder with a network that :class:`transformers.AutoModel` reads, or its name on the hub. It is never downloaded
            here: ``hf download NAME`` brings it to this machine.
        revision: of the network on the hub: a branch, a tag or a commit.
        layers: ``last``; ``mean`` = the mean of all hidden layers; or numbers of hidden layers, e.g. ``[6, 9]``, whose outputs
            are put side by side, so that a model can weigh them (its setting ``layer_weights``). 0 is the input of the first
            layer, -1 the last layer.
    """

    model: str = ""
    revision: str = "main"
    layers: str | tuple[int, ...] = "last"

    def __post_init__(self) -> None:
        if not self.model or not isinstance(self.model, str):
            raise ConfigError(
                "an encoder of the hub needs the name of a network\n"
                f"  found: model = {self.model!r}\n  do: set model to a folder, or to a name on the hub such as roberta-base"
            )
        object.__setattr__(self, "layers", check_layers(self.layers, self.model))

    def network(self) -> Any:
        """Return the network, loaded once a process, for inference."""
        return load(self.model, self.revision)[0]

    def load(self) -> None:
        """Load the network."""
        self.network()

    def weights(self) -> str:
        """Return the hash of the weights."""
        return load(self.model, self.revision)[1]

    def chosen(self, hidden: tuple[Tensor, ...]) -> Tensor:
        """Return (T, d) features of the chosen layers, see :func:`lacuna.media.hidden_layers.chosen_layers`."""
        return chosen_layers(hidden, self.layers, self.model)


@lru_cache(maxsize=3)
def load(model: str, revision: str) -> tuple[Any, str]:
    """Return a network for inference on the CPU, and the hash of its weights: 12 hexadecimal digits.

    Args:
        model: folder, or name on the hub.
        revision: branch, tag or commit on the hub.

    Raises:
        ConfigError: it is not on this machine, or cannot be read.
    """
    from transformers import AutoModel

    network = found(AutoModel, model, revision, use_safetensors=True)
    network = network.get_encoder() if getattr(network.config, "is_encoder_decoder", False) else network
    network = getattr(network, "vision_model", network)  # of networks for pictures and texts
    network.train(False)
    digest = hashlib.blake2b(digest_size=6)
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode() + values.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return network, digest.hexdigest()


def found(kind: Any, model: str, revision: str, **options: Any) -> Any:
    """Return what a class of transformers reads of a network on this machine; there is no request to the network.

    Raises:
        ConfigError: it is not there.
    """
    try:
        return kind.from_pretrained(model, revision=revision, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(
            f"the network '{model}' cannot be read from this machine: {str(error).splitlines()[0]}\n"
            f"  do: hf download {model}\n"
            "  or: give the path of a folder with config.json and model.safetensors"
        ) from None


def preprocessing(model: str, revision: str) -> dict[str, Any]:
    """Return the content of ``preprocessor_config.json``, empty if the network has none."""
    import json

    from transformers.utils.hub import cached_file

    path = cached_file(
        model, "preprocessor_config.json", revision=revision, local_files_only=True, _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return {}
    with open(path, encoding="utf-8") as handle:
        content: dict[str, Any] = json.load(handle)
    return content
