"""An exported graph gives the probabilities of the recogniser for any number and length of dialogues."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.evaluation import predict_frame
from lacuna.models import list_models, model_class
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit
from lacuna.training.export import PaddedRecognizer, export_recognizer
from standin import StandIn, generate

EXPORTED = [name for name in list_models() if model_class(name).exports]
DIMS = (("text", 6), ("audio", 5))
SHAPES = {
    "sequences": StandIn(dialogues=9, turns=5, dims=DIMS, frames=4, absent=0.3),
    "vectors": StandIn(dialogues=9, turns=5, dims=DIMS, absent=0.3),
}
Inputs = tuple[list[Tensor], list[Tensor], Tensor, Tensor]


def trained(name: str, shape: str = "vectors", task: str = "classification") -> tuple[TrainedRecognizer, Corpus]:
    corpus = generate(SHAPES[shape], task)
    return fit(Recipe.of(corpus, name, TrainingConfig(epochs=2, threads=1))).trained, corpus


def padded(corpus: Corpus, names: list[str], extra: int = 0) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """The raw features of a corpus as padded dialogues, NaN where nothing is present; and where each utterance stands."""
    row, column = corpus.utterances.dialogue, corpus.utterances.turn
    _, row = np.unique(row, return_inverse=True)
    size = row.max() + 1, column.max() + 1 + extra
    speaker, inside = torch.zeros(size, dtype=torch.int64), torch.zeros(size, dtype=torch.bool)
    speaker[row, column], inside[row, column] = torch.from_numpy(corpus.utterances.speaker.astype(np.int64)), True
    features, present = [], []
    for name in names:
        frames = corpus.frames[name]
        longest = max(1, int(frames.count.max())) + extra
        values = torch.full((*size, longest, frames.values.shape[1]), torch.nan)
        there = torch.zeros(*size, longest, dtype=torch.bool)
        for number, (start, count) in enumerate(zip(frames.start, frames.count, strict=True)):
            place = row[number], column[number], slice(0, int(count))
            values[place], there[place] = torch.from_numpy(np.array(frames.values[start : start + count])), True
            if frames.observed is not None:
                there[place] = torch.from_numpy(np.array(frames.observed[start : start + count]))
        features.append(values)
        present.append(there)
    return (features, present, speaker, inside), row, column


def expected(recognizer: TrainedRecognizer, corpus: Corpus) -> np.ndarray:
    table = predict_frame(recognizer, corpus, anyway=True).set_index("id").loc[corpus.utterances.id.to_pylist()]
    classes = recognizer.schema.target.classes
    return table[[f"p_{c}" for c in classes] if classes else ["value"]].to_numpy(dtype=float)


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize(("shape", "task"), [("sequences", "classification"), ("vectors", "regression"), ("vectors", "soft")])
def test_padded_dialogues_give_the_answers_of_predict(name: str, shape: str, task: str) -> None:
    recognizer, corpus = trained(name, shape, task)
    inputs, row, column = padded(corpus, list(recognizer.schema.dims), extra=2)
    found = PaddedRecognizer(recognizer)(*inputs)[row, column]
    np.testing.assert_allclose(found.numpy(), expected(recognizer, corpus), rtol=1e-4, atol=2e-6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_program_gives_the_answers_of_predict(name: str, tmp_path: Path) -> None:
    recognizer, corpus = trained(name, "sequences")
    path = export_recognizer(recognizer, tmp_path / "model.pt2")
    program = torch.export.load(path).module()
    for extra in (0, 3):
        inputs, row, column = padded(corpus, list(recognizer.schema.dims), extra)
        np.testing.assert_allclose(program(*inputs)[row, column].detach(), expected(recognizer, corpus), rtol=1e-4, atol=2e-6)
    first, second, third, fourth, speaker, inside = smallest(inputs, dialogues=2 if name == "evidence" else 1)  # as documented
    one = ([first, second], [third, fourth], speaker, inside)
    np.testing.assert_allclose(program(*one).detach(), PaddedRecognizer(recognizer)(*one), rtol=1e-4, atol=2e-6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.filterwarnings("ignore")
def test_an_onnx_graph_gives_the_answers_of_predict(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    recognizer, corpus = trained(name, "sequences")
    path = export_recognizer(recognizer, tmp_path / "model.onnx")
    about = json.loads(path.with_suffix(".json").read_text())
    session = runtime.InferenceSession(path)
    for extra in (0, 3):
        (features, present, speaker, inside), row, column = padded(corpus, list(recognizer.schema.dims), extra)
        given = dict(zip(about["inputs"], [x.numpy() for x in (*features, *present, speaker, inside)], strict=True))
        wanted = {value.name for value in session.get_inputs()}
        (found,) = session.run([about["output"]], {key: x for key, x in given.items() if key in wanted})
        np.testing.assert_allclose(found[row, column], expected(recognizer, corpus), rtol=1e-4, atol=2e-6)
    one = smallest((features, present, speaker, inside))
    given = {key: x.numpy() for key, x in zip(about["inputs"], one, strict=True) if key in wanted}
    answer = PaddedRecognizer(recognizer)([one[0], one[1]], [one[2], one[3]], one[4], one[5])
    np.testing.assert_allclose(session.run(None, given)[0], answer, rtol=1e-4, atol=2e-6)


def smallest(inputs: Inputs, dialogues: int = 1) -> list[Tensor]:
    """Dialogues of one turn with one frame."""
    features, present, speaker, inside = inputs
    kept = slice(dialogues), slice(1)
    return [*(x[*kept, :1] for x in features), *(x[*kept, :1] for x in present), speaker[kept], inside[kept]]


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    recognizer, _ = trained("linear")
    with pytest.raises(ConfigError, match="onnx"):
        export_recognizer(recognizer, tmp_path / "model.bin")
    with pytest.raises(ConfigError, match="cannot be exported"):
        export_recognizer(trained("prior")[0], tmp_path / "model.pt2")
