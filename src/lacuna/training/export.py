"""Trained recognisers as graphs that run without Lacuna: ``torch.export`` (``.pt2``) and ONNX (``.onnx``)."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lacuna.atomic import atomic_path, write_json
from lacuna.errors import ConfigError, naming_extras
from lacuna.models import list_models, model_class
from lacuna.models.layers.dialogue import PaddedBatch
from lacuna.training.trained import TrainedRecognizer

FORMAT = 1
SUFFIXES = (".pt2", ".onnx")


class PaddedRecognizer(nn.Module):
    """A trained recogniser that reads raw features of padded dialogues; no shape depends on a value.

    Args:
        trained: of a model with ``exports = True``.
    """

    def __init__(self, trained: TrainedRecognizer) -> None:
        super().__init__()
        self.model, self.schema = deepcopy(trained.model).eval().requires_grad_(False), trained.schema
        for name in self.schema.dims:
            self.register_buffer(f"mean_{name}", torch.from_numpy(trained.statistics.mean[name]))
            self.register_buffer(f"scale_{name}", torch.from_numpy(trained.statistics.scale[name]))

    @torch.no_grad()
    def forward(self, features: list[Tensor], present: list[Tensor], speaker: Tensor, inside: Tensor) -> Tensor:
        """Predict every turn.

        Args:
            features: of each modality, in the order of the schema, (D, L, T_m, d_m) float32, as in the corpus: standardised here.
                Any number, NaN included, where nothing is present.
            present: of each modality (D, L, T_m) bool, the observed frames.
            speaker: (D, L) int64, who speaks; only equality within a dialogue counts.
            inside: (D, L) bool, False after the end of a dialogue.

        Returns:
            Probabilities (D, L, C), or for a score the value (D, L, 1); without meaning after the end of a dialogue.
        """
        kept, observed = {}, {}
        for name, values, frames in zip(self.schema.dims, features, present, strict=True):
            there = _longer(frames & inside.unsqueeze(-1)).flatten(0, 1)  # (D, L + 2, T) -> (U, T)
            standard = (_longer(values).flatten(0, 1) - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"scale_{name}")
            observed[name] = there
            kept[name] = torch.where(there.unsqueeze(-1), standard, torch.zeros_like(standard))
        within = _longer(inside)
        ones = torch.ones_like(within, dtype=torch.int64)
        batch = PaddedBatch(
            features=kept,
            present=observed,
            dialogue=(ones.cumsum(0) - 1).flatten(),
            turn=(ones.cumsum(1) - 1).flatten(),
            speaker=_longer(speaker).flatten(),
            key=torch.zeros_like(ones).flatten(),
            label=torch.zeros_like(ones).flatten(),
            ids=(),
            inside=within,
        )
        logits = self.model(batch).logits
        answers: Tensor = logits if self.schema.target.task == "regression" else logits.softmax(dim=-1)
        return answers.reshape(*within.shape, -1)[:, :-2]  # (D * (L + 2), C) -> (D, L, C)


def _longer(x: Tensor) -> Tensor:
    """(D, L + 2, ...) with two turns of padding, so that the steps between turns are several even in a dialogue of one turn."""
    padding = torch.zeros_like(x[:, :1])
    return torch.cat([x, padding, padding], dim=1)


def export_recognizer(trained: TrainedRecognizer, path: Path) -> Path:
    """Write the graph of a trained recogniser and, beside it, a JSON file that describes its inputs and its output.

    The graph holds the standardisation, the weights and the softmax; its sizes D, L and T_m are free.

    Args:
        trained: of a model that can be exported: evidence, context_gru, mlp, linear, logreg.
        path: of a file that ends in ``.pt2`` (read by ``torch.export.load``) or ``.onnx`` (extra ``export``).

    Returns:
        The path.

    Raises:
        ConfigError: another ending, or a model or setting that cannot be exported.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"the name of an exported model must end in {' or '.join(SUFFIXES)}; found '{path.name}'")
    if not trained.model.exports:
        able = ", ".join(name for name in list_models() if model_class(name).exports)
        raise ConfigError(
            f"model '{trained.variant}' cannot be exported with its settings\n  do: use one of {able}, without wrappers"
        )
    module, schema = PaddedRecognizer(trained), trained.schema
    names = [*(f"features.{m}" for m in schema.dims), *(f"present.{m}" for m in schema.dims), "speaker", "inside"]
    output = "value" if schema.target.task == "regression" else "probabilities"
    dialogues, turns = torch.export.Dim("dialogues"), torch.export.Dim("turns")
    frames = [torch.export.Dim(f"frames_{number}") for number in range(len(schema.dims))]
    example = _example(list(schema.dims.values()))
    shapes: tuple[Any, ...] = (
        [{0: dialogues, 1: turns, 2: number} for number in frames],
        [{0: dialogues, 1: turns, 2: number} for number in frames],
        {0: dialogues, 1: turns},
        {0: dialogues, 1: turns},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=shapes)
    with atomic_path(path) as place:
        if path.suffix == ".pt2":
            torch.export.save(program, place)
        else:
            _write_onnx(program, names, output, place)
    write_json(path.with_suffix(".json"), _description(trained, names, output))
    return path


def _write_onnx(program: torch.export.ExportedProgram, names: list[str], output: str, path: Path) -> None:
    with naming_extras("exporting to ONNX"):
        import_module("onnxscript")  # torch reports its absence less clearly
    written = torch.onnx.export(
        program, input_names=names, output_names=[output], dynamo=True, external_data=False, verbose=False
    )
    assert written is not None
    written.save(str(path), external_data=False)


def _example(dims: list[int]) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """Inputs of three dialogues, to trace the graph with; sizes that differ, and none of them 1."""
    places = 3, 4
    features = [torch.zeros(*places, 2 + number, dim) for number, dim in enumerate(dims)]
    present = [torch.ones(x.shape[:3], dtype=torch.bool) for x in features]
    return features, present, torch.zeros(places, dtype=torch.int64), torch.ones(places, dtype=torch.bool)


def _description(trained: TrainedRecognizer, names: list[str], output: str) -> dict[str, Any]:
    """What a program that runs the graph needs to know."""
    schema = trained.schema
    return {
        "format": FORMAT,
        "model": trained.name,
        "variant": trained.variant,
        "corpus": trained.corpus,
        "inputs": names,
        "output": output,
        "modalities": {
            name: {
                "width": dim,
                "mean": trained.statistics.mean[name].tolist(),
                "scale": trained.statistics.scale[name].tolist(),
            }
            for name, dim in schema.dims.items()
        },
        "standardised_inside": True,
        "target": {"name": schema.target.name, "task": schema.target.task, "classes": list(schema.target.classes)},
        "needs_dialogue": trained.model.needs_dialogue,
    }
