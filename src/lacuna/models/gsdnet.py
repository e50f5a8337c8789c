"""GSDNet: graph spectral diffusion network for conversations with missing modalities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds, check_choices
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.diffusion import HIGHEST, SOLVERS, Noising, Solver, random_levels, sample
from lacuna.models.layers.graph_denoiser import NodeDenoiser, StateDenoiser
from lacuna.models.layers.head import classifier
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import fill_frames, full_precision, pooled
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.semantic import AdjacencyState, DialogueGraphs, EigenvalueState, SemanticGraph, Structure
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness
from lacuna.models.layers.whitening import Whitening
from lacuna.models.space import Space, Span

OTHER_SPEAKER = 0.5  # factor of the weight of an edge between turns of different speakers


@dataclass(frozen=True)
class GSDNetConfig(Config):
    """Settings of :class:`GSDNet`.

    Attributes:
        width: largest number of principal directions of a modality that are recovered.
        hidden: units of the denoisers.
        layers: layers of the node denoiser.
        context: units of each direction of the recurrent network of the head.
        past: number of earlier turns that a turn is connected to in the graphs.
        future: number of later turns that a turn is connected to.
        dropout: dropout rate of the head; the denoiser has a fifth of it.
        diffusion: weight of the loss of the node denoiser; the task loss has weight 1.
        spectrum: weight of the loss of the state denoiser, relative to that of the nodes.
        solver: ``ddim`` or ``dpm++``.
        steps: solver steps.
        samples: number of draws; recovered signals are their mean.
        noise_seed: seed of the noise that a prediction starts from.
        noise: ``spectrum`` = noise on the eigenvalues of the graph of each modality; ``adjacency`` = on all its entries.
        graph: use graphs; otherwise only the recurrent network of the head connects turns.
        spectral: denoise and use the graph of each modality too.
        generator: ``diffusion``; ``regression`` = the same network, one call without noise.
    """

    width: int = 48
    hidden: int = 64
    layers: int = 2
    context: int = 64
    past: int = 2
    future: int = 2
    dropout: float = 0.5
    diffusion: float = 0.5
    spectrum: float = 0.1
    solver: Solver = "dpm++"
    steps: int = 5
    samples: int = 1
    noise_seed: int = 0
    noise: Literal["spectrum", "adjacency"] = "spectrum"
    graph: bool = True
    spectral: bool = True
    generator: Literal["diffusion", "regression"] = "diffusion"
    space: ClassVar[Space] = {
        "width": Span(16, 96, step=4),
        "hidden": Span(32, 128, step=4),
        "layers": Span(1, 4),
        "context": Span(32, 128, step=4),
        "past": Span(1, 8),
        "future": Span(1, 8),
        "dropout": Span(0.0, 0.7),
        "diffusion": Span(0.05, 5.0, log=True),
        "spectrum": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("gsdnet", self, width=(1, 8192), hidden=(2, 8192), layers=(1, 64), context=(1, 8192))
        check_bounds("gsdnet", self, past=(0, 1024), future=(0, 1024), dropout=(0.0, 1.0), diffusion=(0.0, 1e6))
        check_bounds("gsdnet", self, spectrum=(0.0, 1e6), steps=(1, 1000), samples=(1, 1024))
        check_bounds("gsdnet", self, noise_seed=(0, 2**63 - 1), graph=(False, True), spectral=(False, True))
        choices = {"noise": ("spectrum", "adjacency"), "generator": ("diffusion", "regression")}
        check_choices("gsdnet", self, solver=SOLVERS, **choices)


@register(
    "gsdnet",
    title="GSDNet: Revisiting Incomplete Multimodality-Diffusion Emotion Recognition from the Perspective of Graph Spectrum",
    task="recovery",
    modalities=("text", "audio", "vision"),
    paper="https://doi.org/10.24963/ijcai.2025/688",
    year=2025,
    venue="IJCAI",
    reconstruction=True,
)
class GSDNet(Recognizer):
    r"""Graph Spectral Diffusion Network of Shou, Yao, Meng, Ai, Chen and Li (IJCAI 2025), reconstructed from its abstract.

    There is no public code. Missing modalities of a turn are recovered by diffusion on the conversation graph. Noise is added to
    their signals and to the eigenvalues of the graph of the modality, not to its eigenvectors and not to observed values:

    .. math:: A_t^m = S + U \mathrm{diag}(\lambda_t^m) U^T, \quad \lambda_t = m_t \lambda + n_t \epsilon

    ``docs/models/gsdnet.md`` lists the equations and what the abstract leaves open and this library decided.

    The recovered signal is a fixed code (PCA-whitened frame means), not a learned embedding. A target that is learned together
    with its denoiser shrinks, and noise of variance 1 needs signals of variance 1. Of all linear codes of this width PCA loses
    the least variance, and it can be inverted.
    """

    Config = GSDNetConfig
    config: GSDNetConfig
    needs_dialogue = True
    recovers = True
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 32, "context": 32, "layers": 1, "steps": 2}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, modalities, features = self.config, len(schema.dims), sum(schema.dims.values())
        self.code = Whitening(schema, c.width)
        self.noising = Noising()
        width, graph_count, self.spectral = len(self.code.owner), 2 if c.graph else 0, c.graph and c.spectral
        if self.spectral:
            graph_count += modalities
            self.semantic: SemanticGraph = (EigenvalueState if c.noise == "spectrum" else AdjacencyState)(modalities)
            self.state_denoiser = StateDenoiser(modalities, c.hidden)
        self.decompose = Decomposition()
        self.denoiser = NodeDenoiser(width, modalities, c.hidden, c.layers, graph_count, c.dropout / 5)
        self.forget = nn.Dropout(c.dropout)
        self.enter = nn.Sequential(nn.Linear(2 * features + modalities, c.context), nn.GELU(), nn.Dropout(c.dropout))
        self.read = TwoWayLSTM(c.context, c.context)
        self.around = nn.ModuleList()
        if c.graph:
            from torch_geometric.nn import DenseGraphConv  # the import takes two seconds, so it waits for the first use

            self.around = nn.ModuleList(DenseGraphConv(2 * c.context, c.context) for _ in range(2))
        last = 3 * c.context + (c.context if c.graph else 0)
        self.head = nn.Sequential(nn.Dropout(c.dropout), classifier(schema, last, c))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fit the whitening code and the scale of the states."""
        self.code.fit(batches)
        if self.spectral:
            scenes = (self.scene(batch) for batch in batches())
            self.semantic.fit((s.structure, self._parts(s.signal), s.available) for s in scenes)

    def scene(self, batch: Batch) -> DialogueGraphs:
        """Return signals, graphs and states of a batch."""
        c, dialogues = self.config, Dialogues.of(batch)
        with full_precision(batch.turn):
            signal = dialogues.pad(self.code(batch))
            available = dialogues.pad(batch.available())
            neighbours = graph.temporal(dialogues, c.past, c.future)
            weight = closeness(neighbours, dialogues)
            same = batch.speaker[neighbours.source] == batch.speaker[neighbours.target]
            by_time = adjacency(neighbours, dialogues, weight)
            by_speaker = adjacency(neighbours, dialogues, weight * torch.where(same, 1.0, OTHER_SPEAKER))
            structure = Structure(by_speaker, self.decompose(by_speaker, dialogues.lengths), dialogues.lengths)
            state = self.semantic.state(structure, self._parts(signal), available) if self.spectral else signal.new_zeros(0)
        return DialogueGraphs(dialogues, signal, available, structure, [by_time, by_speaker] if c.graph else [], state)

    def denoise(self, seen: DialogueGraphs, signal: Tensor, state: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return clean signals (D, L, W) and states (D, M, N) from noisy ones; observed values do not change.

        Args:
            seen: graphs of the observed batch.
            signal: (D, L, W).
            state: (D, M, N).
            level: (D,) int64.
        """
        observed = self.code.columns(seen.available)
        graphs = list(seen.graphs)
        if self.spectral:
            complete_modalities = self._complete_modalities(seen)
            state = torch.where(complete_modalities, seen.state, state)
            with full_precision(state):
                graphs += self.semantic.operator(seen.structure, state.float()).unbind(1)
        condition = torch.cat([seen.signal, seen.available.to(signal)], dim=2)
        clean, nodes, time = self.denoiser(signal.masked_fill(observed, 0), condition, graphs, level)
        clean = torch.where(observed, seen.signal, clean.float())
        if not self.spectral:
            return clean, state
        structure = seen.structure
        real = structure.within(nodes.shape[1])[:, :, None]
        mean = (nodes * real).sum(dim=1) / structure.lengths[:, None]
        structure_value = self.semantic.coverage(structure, torch.ones_like(seen.available))
        slot_facts = torch.stack([structure_value, self.semantic.coverage(structure, seen.available)], dim=3)
        estimate = self.state_denoiser(
            state, seen.state, slot_facts, self.semantic.real(structure), torch.cat([mean, time], dim=1)
        )
        return clean, torch.where(complete_modalities, seen.state, estimate.float())

    def recover(self, batch: Batch, seen: DialogueGraphs) -> Tensor:
        """Return signals (D, L, W): observed ones unchanged, the mean of draws of missing ones."""
        c, level = self.config, torch.full_like(seen.structure.lengths, HIGHEST)
        if c.generator == "regression":
            return self.denoise(seen, torch.zeros_like(seen.signal), torch.zeros_like(seen.state), level)[0]
        signal_size, total = seen.signal.numel(), torch.zeros_like(seen.signal)
        dialogue_key = torch.zeros_like(seen.structure.lengths)
        dialogue_key[seen.dialogues.row[seen.dialogues.column == 0]] = batch.key[
            seen.dialogues.column == 0
        ]  # key of the first turn

        def step(packed: Tensor, level_now: int) -> Tensor:
            signal, state = packed[:signal_size].view_as(seen.signal), packed[signal_size:].view_as(seen.state)
            clean = self.denoise(seen, signal, state, torch.full_like(level, level_now))
            return torch.cat([x.flatten() for x in clean])  # (D, L, W) and (D, M, N) -> one vector for the solver

        for number in range(c.samples):
            names = "gsdnet", str(number)
            each = zip(self.schema.dims, self.code.widths, strict=True)
            drawn = [normals(batch.key, width, c.noise_seed, *names, m) for m, width in each]
            start = [seen.dialogues.pad(torch.cat(drawn, dim=1)).flatten()]
            if self.spectral:
                start.append(self.semantic.draw(seen.structure, dialogue_key, c.noise_seed, *names).flatten())
            total = total + sample(step, torch.cat(start), steps=c.steps, solver=c.solver)[:signal_size].view_as(total)
        return total / c.samples

    def classify(self, batch: Batch, seen: DialogueGraphs, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (U, C) and frame means of all modalities (U, sum of d_m), recovered where missing.

        Observed and recovered values have separate weights, and recovered ones have dropout: they are more accurate on training
        dialogues than on others, so the head would rely on them too much.
        """
        available = batch.available()
        observed = torch.cat([available[:, [m]].expand(-1, d) for m, d in enumerate(self.schema.dims.values())], dim=1)
        vectors = torch.where(observed, pooled(batch), self.code.back(seen.dialogues.flat(signal)))
        estimated = self.forget(vectors.masked_fill(observed, 0))
        utterance_vector = self.enter(torch.cat([vectors.masked_fill(~observed, 0), estimated, available.to(vectors)], dim=1))
        context = self.read(utterance_vector, seen.dialogues)
        head_inputs = [utterance_vector, context]
        if seen.graphs:
            padded = seen.dialogues.pad(context)
            graphs = [g[: len(padded)].to(padded) for g in seen.graphs]
            by_time, by_speaker = (convolve(padded, g) for convolve, g in zip(self.around, graphs, strict=True))
            head_inputs.append(seen.dialogues.flat(by_time + by_speaker))
        return self.head(torch.cat(head_inputs, dim=1)), vectors

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and recovered frames."""
        seen = self.scene(batch)
        logits, vectors = self.classify(batch, seen, self.recover(batch, seen))
        return Prediction(logits, fill_frames(batch, vectors))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss and the losses of both denoisers.

        One call of the denoisers handles each dialogue twice: from pure noise, for the head, as in a prediction; and from a
        random level. At low levels the noisy signal contains the missing value, so a head trained on it would rely on recovered
        values too much.
        """
        c, seen, complete_graphs = self.config, self.scene(observed), self.scene(complete)
        n_dialogues = len(complete_graphs.structure.lengths)
        level = torch.full_like(complete_graphs.structure.lengths, HIGHEST)
        if c.generator == "diffusion":
            level = torch.cat([level, random_levels(n_dialogues, level.device)])
            seen, complete_graphs = seen.twice(), complete_graphs.twice()
            signal = self.noising(complete_graphs.signal, torch.randn_like(complete_graphs.signal), level)
            state = (
                self.noising(complete_graphs.state, self.semantic.randn(complete_graphs.structure), level)
                if self.spectral
                else complete_graphs.state
            )
        else:
            signal, state = torch.zeros_like(complete_graphs.signal), torch.zeros_like(complete_graphs.state)
        clean, clean_state = self.denoise(seen, signal, state, level)
        logits, _ = self.classify(observed, seen, clean[:n_dialogues])
        hidden = complete_graphs.available & ~seen.available  # (D, L, M)
        error = (
            (clean - complete_graphs.signal).square() * self.code.columns(hidden) * self.code.share
        ).sum() / hidden.sum().clamp_min(1)
        losses = {"task": self.task_loss(logits, observed.label), "nodes": c.diffusion * error}
        if self.spectral:
            wanted = ~self._complete_modalities(seen) & self.semantic.real(seen.structure)[:, None]
            error = ((clean_state - complete_graphs.state).square() * wanted).sum() / wanted.sum().clamp_min(1)
            losses["spectrum"] = c.diffusion * c.spectrum * error
        return losses

    def _complete_modalities(self, seen: DialogueGraphs) -> Tensor:
        """Return (D, M, 1) bool: no turn of the dialogue lacks the modality, so its state is known."""
        inside = seen.structure.within(seen.available.shape[1])
        return (seen.available | ~inside[:, :, None]).all(dim=1)[:, :, None]

    def _parts(self, signal: Tensor) -> list[Tensor]:
        return list(torch.split(signal, self.code.widths, dim=2))
