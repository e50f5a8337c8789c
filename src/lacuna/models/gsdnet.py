"""GSDNet: graph spectral diffusion network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register, task_loss
from lacuna.models.config import Config, check_bounds, check_choices
from lacuna.models.layers import graph
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.diffusion import HIGHEST, SOLVERS, Noising, Solver, random_levels, sample
from lacuna.models.layers.graph_denoiser import NodeDenoiser, StateDenoiser
from lacuna.models.layers.head import classifier
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import fill_frames, full_precision, pooled
from lacuna.models.layers.recurrent import TwoWayLSTM
from lacuna.models.layers.scene import DialogueGraphs
from lacuna.models.layers.semantic import AdjacencyState, EigenvalueState, SemanticGraph, Structure
from lacuna.models.layers.spectrum import Decomposition, adjacency, closeness
from lacuna.models.layers.whitening import Whitening
from lacuna.models.space import Space, Span

OTHER_SPEAKER = 0.5  # weight of an edge between turns of two speakers, relative to one speaker


@dataclass(frozen=True)
class GSDNetConfig(Config):
    """Settings of :class:`GSDNet`.

    Attributes:
        width: most directions of a modality that are recovered.
        hidden: width of the denoisers.
        layers: of the node denoiser.
        context: width of each direction of the recurrent network of the head.
        past: turns back that a turn hears in the graphs.
        future: turns ahead.
        dropout: share of units dropped in training, in the head; a fifth of it in the denoiser.
        diffusion: weight of the loss of the node denoiser.
        spectrum: weight of the loss of the state denoiser, relative to that of the nodes.
        solver: ``ddim`` or ``dpm++``.
        steps: of the solver.
        samples: recovered signals are the mean of so many.
        noise_seed: of the noise that answers start from.
        noise: ``spectrum`` = on the eigenvalues of each modality's graph; ``adjacency`` = on all of it.
        graph: turns hear each other through graphs; without, through the recurrent network of the head alone.
        spectral: each modality's own graph is denoised and heard too.
        generator: ``diffusion``, or ``regression``: the same network once, from nothing.
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
    paper="https://doi.org/10.24963/ijcai.2025/688",
    year=2025,
    venue="IJCAI",
    reconstruction=True,
)
class GSDNet(Recognizer):
    """Shou, Yao, Meng, Ai, Chen and Li: GSDNet, IJCAI 2025; as far as its abstract goes, for there is no public code.

    Missing modalities of a turn are recovered by diffusion on the conversation's graph: noise comes on their signals and on the
    eigenvalues of the modality's graph, never on its eigenvectors nor on what is observed. What the abstract does not say and we
    decided is in ``docs/models/gsdnet.md``.

    What is recovered is a fixed code, PCA-whitened frame means, and no learned embedding: a target that is learned together with
    its denoiser shrinks until it is easy, and noise of variance 1 is made for signals of variance 1. Of all fixed linear codes of
    that width it drops the least, and it can be undone; a random projection has neither virtue, so it is not offered.
    """

    Config = GSDNetConfig
    config: GSDNetConfig
    needs_dialogue = True
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, modalities, features = self.config, len(schema.dims), sum(schema.dims.values())
        self.code = Whitening(schema, c.width)
        self.noising = Noising()
        width, heard, self.spectral = len(self.code.owner), 2 if c.graph else 0, c.graph and c.spectral
        if self.spectral:
            heard += modalities
            self.semantic: SemanticGraph = (EigenvalueState if c.noise == "spectrum" else AdjacencyState)(modalities)
            self.state_denoiser = StateDenoiser(modalities, c.hidden)
        self.decompose = Decomposition()
        self.denoiser = NodeDenoiser(width, modalities, c.hidden, c.layers, heard, c.dropout / 5)
        self.forget = nn.Dropout(c.dropout)
        self.enter = nn.Sequential(nn.Linear(2 * features + modalities, c.context), nn.GELU(), nn.Dropout(c.dropout))
        self.read = TwoWayLSTM(c.context, c.context)
        self.around = nn.ModuleList()
        if c.graph:
            from torch_geometric.nn import DenseGraphConv  # two seconds to import, so only once it is used

            self.around = nn.ModuleList(DenseGraphConv(2 * c.context, c.context) for _ in range(2))
        last = 3 * c.context + (c.context if c.graph else 0)
        self.head = nn.Sequential(nn.Dropout(c.dropout), classifier(schema, last, c))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The code, and the usual size of states."""
        self.code.fit(batches)
        if self.spectral:
            scenes = (self.scene(batch) for batch in batches())
            self.semantic.fit((s.structure, self._parts(s.signal), s.here) for s in scenes)

    def scene(self, batch: Batch) -> DialogueGraphs:
        """Signals, graphs and states of a batch."""
        c, dialogues = self.config, Dialogues.of(batch)
        with full_precision(batch.turn):
            signal = dialogues.pad(self.code(batch))
            here = dialogues.pad(batch.available())
            near = graph.temporal(dialogues, c.past, c.future)
            weight = closeness(near, dialogues)
            same = batch.speaker[near.source] == batch.speaker[near.target]
            by_time = adjacency(near, dialogues, weight)
            by_speaker = adjacency(near, dialogues, weight * torch.where(same, 1.0, OTHER_SPEAKER))
            structure = Structure(by_speaker, self.decompose(by_speaker, dialogues.lengths), dialogues.lengths)
            state = self.semantic.state(structure, self._parts(signal), here) if self.spectral else signal.new_zeros(0)
        return DialogueGraphs(dialogues, signal, here, structure, [by_time, by_speaker] if c.graph else [], state)

    def denoise(self, seen: DialogueGraphs, signal: Tensor, state: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Clean signals and states from noisy ones at a level (D,); what is observed is used as it is.

        Args:
            seen: what is observed.
            signal: (D, L, W).
            state: (D, M, N).
            level: (D,) int64.
        """
        observed = self.code.columns(seen.here)
        graphs = list(seen.graphs)
        if self.spectral:
            whole = self._whole(seen)
            state = torch.where(whole, seen.state, state)
            with full_precision(state):
                graphs += self.semantic.operator(seen.structure, state.float()).unbind(1)
        condition = torch.cat([seen.signal, seen.here.to(signal)], dim=2)
        clean, nodes, time = self.denoiser(signal.masked_fill(observed, 0), condition, graphs, level)
        clean = torch.where(observed, seen.signal, clean.float())
        if not self.spectral:
            return clean, state
        structure = seen.structure
        real = structure.within(nodes.shape[1])[:, :, None]
        mean = (nodes * real).sum(dim=1) / structure.lengths[:, None]
        base = self.semantic.coverage(structure, torch.ones_like(seen.here))
        facts = torch.stack([base, self.semantic.coverage(structure, seen.here)], dim=3)
        guess = self.state_denoiser(state, seen.state, facts, self.semantic.real(structure), torch.cat([mean, time], dim=1))
        return clean, torch.where(whole, seen.state, guess.float())

    def recover(self, batch: Batch, seen: DialogueGraphs) -> Tensor:
        """(D, L, W): what is observed, and the mean of samples of the rest."""
        c, level = self.config, torch.full_like(seen.structure.lengths, HIGHEST)
        if c.generator == "regression":
            return self.denoise(seen, torch.zeros_like(seen.signal), torch.zeros_like(seen.state), level)[0]
        size, total = seen.signal.numel(), torch.zeros_like(seen.signal)
        first = torch.zeros_like(seen.structure.lengths)
        first[seen.dialogues.row[seen.dialogues.column == 0]] = batch.key[seen.dialogues.column == 0]  # names the dialogue

        def step(packed: Tensor, at: int) -> Tensor:
            signal, state = packed[:size].view_as(seen.signal), packed[size:].view_as(seen.state)
            clean = self.denoise(seen, signal, state, torch.full_like(level, at))
            return torch.cat([x.flatten() for x in clean])  # (D, L, W) and (D, M, N), solved as one

        for number in range(c.samples):
            names = "gsdnet", str(number)
            each = zip(self.schema.dims, self.code.widths, strict=True)
            drawn = [normals(batch.key, width, c.noise_seed, *names, m) for m, width in each]
            start = [seen.dialogues.pad(torch.cat(drawn, dim=1)).flatten()]
            if self.spectral:
                start.append(self.semantic.draw(seen.structure, first, c.noise_seed, *names).flatten())
            total = total + sample(step, torch.cat(start), steps=c.steps, solver=c.solver)[:size].view_as(total)
        return total / c.samples

    def classify(self, batch: Batch, seen: DialogueGraphs, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (U, C) and frame means of all modalities (U, sum of d_m), recovered where they were missing.

        What was seen and what is guessed come in by different weights, the latter through dropout of its own: on training
        dialogues guesses are better than on any others, and the head would learn to rely on them.
        """
        available = batch.available()
        observed = torch.cat([available[:, [m]].expand(-1, d) for m, d in enumerate(self.schema.dims.values())], dim=1)
        vectors = torch.where(observed, pooled(batch), self.code.back(seen.dialogues.flat(signal)))
        guessed = self.forget(vectors.masked_fill(observed, 0))
        own = self.enter(torch.cat([vectors.masked_fill(~observed, 0), guessed, available.to(vectors)], dim=1))
        context = self.read(own, seen.dialogues)
        heard = [own, context]
        if seen.graphs:
            padded = seen.dialogues.pad(context)
            graphs = [g[: len(padded)].to(padded) for g in seen.graphs]
            by_time, by_speaker = (convolve(padded, g) for convolve, g in zip(self.around, graphs, strict=True))
            heard.append(seen.dialogues.flat(by_time + by_speaker))
        return self.head(torch.cat(heard, dim=1)), vectors

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        seen = self.scene(batch)
        logits, vectors = self.classify(batch, seen, self.recover(batch, seen))
        return Prediction(logits, fill_frames(batch, vectors))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Task loss, and the losses of both denoisers.

        One call of the denoisers does two things: each dialogue is denoised from pure noise, which is what the head learns from
        since that is what it will see, and once more from a random level. At low levels the noisy signal gives away what is
        missing, and a head that learned from those would trust what is recovered too much.
        """
        c, seen, full = self.config, self.scene(observed), self.scene(complete)
        number = len(full.structure.lengths)
        level = torch.full_like(full.structure.lengths, HIGHEST)
        if c.generator == "diffusion":
            level = torch.cat([level, random_levels(number, level.device)])
            seen, full = seen.twice(), full.twice()
            signal = self.noising(full.signal, torch.randn_like(full.signal), level)
            state = self.noising(full.state, self.semantic.randn(full.structure), level) if self.spectral else full.state
        else:
            signal, state = torch.zeros_like(full.signal), torch.zeros_like(full.state)
        clean, clean_state = self.denoise(seen, signal, state, level)
        logits, _ = self.classify(observed, seen, clean[:number])
        hidden = full.here & ~seen.here  # (D, L, M)
        error = ((clean - full.signal).square() * self.code.columns(hidden) * self.code.share).sum() / hidden.sum().clamp_min(1)
        losses = {"task": task_loss(self.schema.target, logits, observed.label), "nodes": c.diffusion * error}
        if self.spectral:
            asked = ~self._whole(seen) & self.semantic.real(seen.structure)[:, None]
            error = ((clean_state - full.state).square() * asked).sum() / asked.sum().clamp_min(1)
            losses["spectrum"] = c.diffusion * c.spectrum * error
        return losses

    def _whole(self, seen: DialogueGraphs) -> Tensor:
        """(D, M, 1) bool: nothing of the modality is missing in the dialogue, so its state is known."""
        inside = seen.structure.within(seen.here.shape[1])
        return (seen.here | ~inside[:, :, None]).all(dim=1)[:, :, None]

    def _parts(self, signal: Tensor) -> list[Tensor]:
        return list(torch.split(signal, self.code.widths, dim=2))
