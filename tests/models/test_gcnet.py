"""The graph baselines: sizes, what each branch hears, and the recurrent network that they share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacuna.corpus import Modality, Schema, Target
from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.models import Recognizer, build
from lacuna.models.layers.branched import Matching, recovery_loss
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.recurrent import TwoWayLSTM, end_to_end
from standin import StandIn, generate

CORPUS = generate(StandIn(dialogues=6, turns=6, dims=(("text", 6), ("audio", 5), ("vision", 4)), absent=0.2))
SCHEMA, STATISTICS = CORPUS.schema(), fit_statistics(CORPUS)
GRAPHS = ["gcnet", "sdr_gnn"]
LENGTHS = [3, 1, 9, 4, 4, 1, 2]


@pytest.fixture(scope="module")
def batch() -> Batch:
    return collate(CORPUS, np.arange(len(CORPUS)), SCHEMA, STATISTICS)


def model(name: str, **settings: object) -> Recognizer:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return build(name, SCHEMA, **settings).eval()


def mixed(lengths: list[int] = LENGTHS) -> Dialogues:
    """Dialogues whose turns come in no order."""
    sizes = torch.tensor(lengths)
    order = torch.randperm(int(sizes.sum()), generator=torch.Generator().manual_seed(0))
    row, column = torch.arange(len(lengths)).repeat_interleave(sizes), torch.cat([torch.arange(n) for n in lengths])
    return Dialogues(row[order], column[order], sizes)


@pytest.mark.parametrize("name", GRAPHS)
def test_published_widths_and_a_tenth_of_them(name: str) -> None:
    target = Target("t", "classification", ("a", "b"))
    mosi = Schema((Modality("text", 100), Modality("audio", 73), Modality("vision", 100)), target)
    large, small = (
        sum(p.numel() for p in build(name, mosi, **settings).parameters()) for settings in ({"hidden": 100}, {"hidden": 25})
    )
    assert 5.5e6 < large < 6.9e6
    assert small < large / 10


def test_the_lstm_reads_every_dialogue_as_if_it_were_alone() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        ours = TwoWayLSTM(5, 7, layers=2).double()
        theirs = torch.nn.LSTM(5, 7, 2, bidirectional=True).double()
    for layer in range(2):
        for mine, way in ((ours.ahead[layer], ""), (ours.back[layer], "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{kind}_l{layer}{way}").data = getattr(mine, f"{kind}_l0").data.clone()
    dialogues = mixed()
    x = torch.randn(len(dialogues.row), 5, generator=torch.Generator().manual_seed(1)).double()
    read = ours(x, dialogues)
    read.square().sum().backward()
    for d in range(len(LENGTHS)):
        rows = torch.nonzero(dialogues.row == d).squeeze(1)
        rows = rows[dialogues.column[rows].argsort()]
        alone = theirs(x[rows])[0]
        alone.square().sum().backward()
        torch.testing.assert_close(read[rows], alone)
    for layer in range(2):
        for mine, way in ((ours.ahead[layer], ""), (ours.back[layer], "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                torch.testing.assert_close(getattr(mine, f"{kind}_l0").grad, getattr(theirs, f"{kind}_l{layer}{way}").grad)


def test_dialogues_lie_end_to_end_with_gaps_in_no_more_rows_than_needed() -> None:
    dialogues = mixed()
    rows = end_to_end(dialogues)
    places = list(zip(rows.row.tolist(), rows.column.tolist(), strict=True))
    assert len(set(places)) == len(places)
    assert len(rows.lengths) == 4  # 9 | 4 4 | 3 2 1 | 1
    owner = dict(zip(places, dialogues.row.tolist(), strict=True))
    for (row, column), d in owner.items():
        assert owner.get((row, column + 1), d) == d  # never the next one without a gap
        assert column < rows.lengths[row] <= max(LENGTHS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gaps_are_silent_in_every_precision(dtype: torch.dtype) -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        network = TwoWayLSTM(4, 6, layers=2).to(dtype)
    pair, first = mixed([3, 3, 7]), mixed([3])
    x = torch.randn(13, 4, generator=torch.Generator().manual_seed(1)).to(dtype)
    rows = torch.nonzero(pair.row == 0).squeeze(1)
    alone = network(x[rows], Dialogues(first.row, pair.column[rows], first.lengths))
    rtol, atol = (1e-2, 1e-3) if dtype == torch.bfloat16 else (1e-5, 1e-5)  # kernels of bfloat16 differ by the number of rows
    torch.testing.assert_close(network(x, pair)[rows], alone, rtol=rtol, atol=atol)


def test_matching_attention_stays_in_its_dialogue() -> None:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        match = Matching(5)
    dialogues = mixed()
    x = torch.randn(len(dialogues.row), 5, generator=torch.Generator().manual_seed(1))
    found = match(x, dialogues)
    for d in range(len(LENGTHS)):
        rows = torch.nonzero(dialogues.row == d).squeeze(1)
        share = torch.tanh(match.asks(x[rows]) @ x[rows].T).softmax(dim=1)
        torch.testing.assert_close(found[rows], share @ x[rows])


@pytest.mark.parametrize("name", GRAPHS)
def test_speakers_count_but_not_their_names(name: str, batch: Batch) -> None:
    net = model(name, hidden=8)
    logits = net(batch).logits
    torch.testing.assert_close(net(replace(batch, speaker=batch.speaker * 5 + 3)).logits, logits)
    assert not torch.allclose(net(replace(batch, speaker=batch.speaker * 0)).logits, logits)
    crowd = replace(batch, speaker=torch.arange(len(batch)))
    assert torch.isfinite(net(crowd).logits).all()


@pytest.mark.parametrize("name", GRAPHS)
def test_windows_of_any_width(name: str, batch: Batch) -> None:
    answers = [model(name, hidden=8, past=p, future=f)(batch).logits for p, f in ((0, 0), (1, 0), (0, 1), (9, 9))]
    for i, one in enumerate(answers):
        assert torch.isfinite(one).all()
        assert not any(torch.allclose(one, other) for other in answers[i + 1 :])


def test_attention_can_be_switched_on(batch: Batch) -> None:
    net = model("gcnet", hidden=8, attention=True)
    sum(net.losses(batch, batch.observe({"text": batch.present["text"] & False}), "task").values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in net.parameters())


def test_the_recovery_loss_is_the_error_of_what_was_hidden(batch: Batch) -> None:
    """GCNet's code flattens turns by dialogues against a mask of dialogues by turns."""
    observed = batch.observe({"audio": torch.arange(len(batch))[:, None] != 4})
    vectors = torch.randn(len(batch), 15, generator=torch.Generator().manual_seed(0))
    hidden = batch.present["audio"][4, 0]
    expected = (vectors[4, 6:11] - batch.features["audio"][4, 0]).square().mean() / len(batch) if hidden else torch.zeros(())
    torch.testing.assert_close(recovery_loss(vectors, batch, observed), expected)
    assert recovery_loss(vectors, batch, batch) == 0


def test_of_a_sequence_the_mean_of_the_hidden_frames_is_asked_for() -> None:
    corpus = generate(StandIn(dialogues=5, turns=2, dims=(("text", 3),), frames=4))
    full = collate(corpus, np.arange(len(corpus)), corpus.schema(), fit_statistics(corpus))
    longest = int(full.present["text"].sum(1).argmax())
    keep = torch.ones_like(full.present["text"])
    keep[longest, 1:] = False
    vectors = torch.zeros(len(full), 3)
    vectors[longest] = full.features["text"][longest, 1:].sum(0) / (full.present["text"][longest, 1:].sum())
    assert float(recovery_loss(vectors, full, full.observe({"text": keep}))) < 1e-10


def test_balance_weighs_the_two_losses(batch: Batch) -> None:
    observed = batch.observe({"text": batch.present["text"] & False})
    only_task, only_recovery = (model("sdr_gnn", hidden=8, balance=b).losses(batch, observed, "task") for b in (0.0, 1.0))
    assert only_task["recovery"] == 0
    assert only_task["task"] > 0
    assert only_recovery["task"] == 0
    assert only_recovery["recovery"] > 0
