"""Weights of evidence: observed modalities add log-likelihoods, missing ones nothing, and the dialogue passes beliefs on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import CONTRIBUTION, VARIANCE, Large, Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.dialogue_context import DialogueContext, zero_linear
from lacuna.models.layers.frame_encoder import FrameEncoder
from lacuna.models.layers.linear_evidence import LinearEvidence
from lacuna.models.layers.pair_chain import PairChain, floor_events
from lacuna.models.layers.squash import observed_frames
from lacuna.models.layers.streams import labels_where
from lacuna.models.layers.temperature import PatternTemperature, cross_entropy
from lacuna.models.layers.turn_means import TurnMeans
from lacuna.models.objective import Objective
from lacuna.models.space import Space, Span

OPTIONAL = ("correction", "interaction", "means", "gru")  # parts that must earn their place on validation
GAINS = (1.0, 0.5, 0.0)


@dataclass(frozen=True)
class EvidenceConfig(Config):
    """Settings of :class:`EvidenceModel`.

    Attributes:
        hidden: width of the vector of each modality, of the interaction's hidden layer and of each direction of the GRU.
        dropout: share of units dropped in training.
        auxiliary: weight of the cross-entropy of each modality's evidence alone.
        frame_dropout: chance that training hides an observed frame, beyond the mask; the chance is drawn anew for each utterance
            from 0 to this value, and one frame always stays.
        part_dropout: chance that training leaves out a part that must earn its place: of an utterance what is added to its linear
            base, and the interaction; of a dialogue the means, and the GRU.
        base: start the evidence of a modality with one frame an utterance from a regularised linear regression.
        interaction: correct for what modalities share.
        means: weighted means of the other turns add evidence (:class:`lacuna.models.layers.turn_means.TurnMeans`), if a modality
            has a single frame in every utterance of training.
        gru: a bidirectional GRU over the other turns adds evidence, if every modality is a sequence.
        chain: a Markov chain over pairs of emotions passes beliefs along; for classes and soft labels only.
    """

    hidden: int = 48
    dropout: float = 0.5
    auxiliary: float = 0.3
    frame_dropout: float = 0.0
    part_dropout: float = 0.2
    base: bool = True
    interaction: bool = True
    means: bool = True
    gru: bool = True
    chain: bool = True
    space: ClassVar[Space] = {
        "hidden": Span(16, 128, log=True),
        "dropout": Span(0.0, 0.8),
        "auxiliary": Span(0.0, 1.0),
        "frame_dropout": Span(0.0, 0.9),
        "part_dropout": Span(0.0, 0.9),
    }

    def __post_init__(self) -> None:
        check_bounds("evidence", self, hidden=(1, 65536), dropout=(0.0, 1.0), auxiliary=(0.0, 100.0))
        check_bounds("evidence", self, frame_dropout=(0.0, 1.0), part_dropout=(0.0, 1.0))
        switch = (False, True)
        check_bounds("evidence", self, base=switch, interaction=switch, means=switch)
        check_bounds("evidence", self, gru=switch, chain=switch)


@register(
    "evidence",
    title="Weights of evidence added over modalities, and beliefs passed along the dialogue",
    task="fusion",
    reference="Good, Probability and the Weighing of Evidence, 1950; Hinton, Training Products of Experts, 2002",
)
class EvidenceModel(Recognizer):
    r"""Add the evidence of the observed modalities, of their interaction and of the other turns to the log prior.

    .. math::
        \log p(y_u \mid \text{observed}) = \log \pi + \sum_{m \text{ observed}} e_m + e_J + c_u + \text{const}

    The weight of evidence is I. J. Good's (Probability and the Weighing of Evidence, 1950); the sum over modalities is a product
    of experts (Hinton, Neural Computation 2002). For regression the parts are Gaussian experts, whose precisions add.
    """

    Config = EvidenceConfig
    config: EvidenceConfig
    needs_dialogue = exports = gives_hidden = True
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}
    large: ClassVar[Large] = Large(  # chosen on the validation split of duet with 2,000 and 10,000 dialogues
        utterances=20_000,
        settings={"hidden": 96, "dropout": 0.15, "part_dropout": 0.1},
        training={"learning_rate": 0.002, "ema": 0.998},
    )
    gains: Tensor
    vectors: Tensor
    prior: Tensor
    moments: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        settings, target = self.config, schema.target
        self.regression = target.task == "regression"
        self.calibrated = not self.regression  # it has temperatures of its own
        hidden, many = settings.hidden, len(schema.dims)
        width = 2 if self.regression else target.width  # E: shift and precision, or one number a class
        self.encoders = nn.ModuleDict({m: FrameEncoder(d, hidden, settings.dropout) for m, d in schema.dims.items()})
        self.own = nn.ModuleDict({m: zero_linear(hidden, width) for m in schema.dims})
        self.base = LinearEvidence(schema) if settings.base else None
        self.drop = nn.Dropout(settings.dropout)
        seen = self.hidden_width = many * (hidden + width + 1)
        self.interaction = _small(seen, hidden, width, settings.dropout) if settings.interaction and many > 1 else None
        self.means = TurnMeans(seen, hidden, width, settings.dropout) if settings.means else None
        self.context = DialogueContext(seen, hidden, width, settings.dropout) if settings.gru else None
        self.chain = PairChain(target.width) if settings.chain and not self.regression else None
        self.temperature = PatternTemperature(many)
        self.register_buffer("gains", torch.ones(len(OPTIONAL)))  # chosen on validation
        self.register_buffer("vectors", torch.ones((), dtype=torch.bool))  # a modality has one frame an utterance
        self._reader = "means"  # what the buffer says; a graph that is exported cannot ask a tensor
        self.register_load_state_dict_post_hook(lambda module, _: module._look())  # type: ignore[no-untyped-call]
        self.register_buffer("prior", torch.full((target.width,), -math.log(target.width)))  # log-probabilities
        self.register_buffer("moments", torch.tensor([0.0, 1.0]))  # mean and standard deviation of a score in training

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Compute the prior, fit the map of each column, and fit the linear base."""
        labels = torch.cat([b.label[b.labelled].cpu() for b in batches()])
        if self.regression:
            if len(labels):
                self.moments.copy_(torch.stack([labels.mean(), labels.std(correction=0).clamp_min(1e-6)]))
        else:
            classes = self.schema.target.width
            counts = labels.sum(dim=0) if labels.ndim == 2 else torch.bincount(labels, minlength=classes).float()
            self.prior.copy_(((counts + 1) / (counts.sum() + classes)).log())
        most = torch.stack([torch.stack([p.sum(dim=1).max() for p in b.present.values()]).cpu() for b in batches()])  # (B, M)
        self.vectors.fill_(bool((most.amax(dim=0) == 1).any()))
        self._look()
        for name, encoder in self.encoders.items():
            assert isinstance(encoder, FrameEncoder)
            encoder.squash.fit(observed_frames(batches, name))
        if self.base is not None:
            self.base.fit(batches, self.prior, self.moments)

    def _look(self) -> None:
        self._reader = "means" if bool(self.vectors) else "gru"

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C), and in ``auxiliary`` the contributions that sum to them."""
        parts, _, seen = self.parts(batch)
        temperature = self.temperature(batch.available())  # (U, 1)
        if self.regression:
            return replace(self._value(parts, temperature), hidden=seen)
        contributions = {CONTRIBUTION + name: part / temperature for name, part in parts.items()}
        return Prediction(torch.stack(list(contributions.values())).sum(dim=0), auxiliary=contributions, hidden=seen)

    def parts(self, batch: Batch) -> tuple[dict[str, Tensor], list[Tensor], Tensor]:
        """Return what is added up, before the temperature.

        Returns:
            By name (U, E): ``prior`` (classes only), ``evidence.<modality>``, ``interaction`` and ``context``; the list of
            the evidence of each modality; and (U, H) the vectors, evidence and availability of all modalities, without context.
        """
        available = batch.available()  # (U, M)
        encoded, evidence = [], []
        for column, (name, features) in enumerate(batch.features.items()):
            vector = self.drop(self.encoders[name](features, batch.present[name]))  # (U, H)
            own = self.own[name](vector)
            if self.base is not None and self.base.fitted(name):
                own = self.base(name, batch) + own * self._gain("correction", (own.shape[0], 1))
            encoded.append(vector)
            evidence.append(self._experts(own) * available[:, column, None])  # (U, E)
        dialogues = Dialogues.of(batch)
        parts = {f"evidence.{name}": e for name, e in zip(batch.features, evidence, strict=True)}
        seen = torch.cat([*encoded, *evidence, available.to(encoded[0].dtype)], dim=1)  # (U, M * (H + E + 1))
        joint = torch.zeros_like(evidence[0])
        if self.interaction is not None:
            joint = self._shift(self.interaction(seen)) * (available.sum(dim=1, keepdim=True) > 1)
            joint = joint * self._gain("interaction", (joint.shape[0], 1))
        parts["interaction"] = joint
        parts["context"] = self._context(seen, sum(evidence) + joint, batch, dialogues)
        if not self.regression:
            parts = {"prior": self.prior.expand_as(joint), **parts}
        return parts, evidence, seen

    def _context(self, seen: Tensor, local: Tensor, batch: Batch, dialogues: Dialogues) -> Tensor:
        """Evidence of the other turns: (U, E)."""
        context = torch.zeros_like(local)
        if self.means is None and self.context is None and self.chain is None:
            return context
        inside = dialogues.pad(torch.ones_like(local[:, :1])).squeeze(-1) > 0  # (D, L)
        speaker = dialogues.pad(batch.speaker.unsqueeze(1)).squeeze(-1)  # (D, L)
        for part, reader in (("means", self.means), ("gru", self.context)):
            if reader is not None and part == self._reader:
                read = self._experts(dialogues.flat(reader(dialogues.pad(seen), speaker, inside)))
                gain = self._gain(part, (dialogues.lengths.shape[0], 1)) * (dialogues.lengths > 1).unsqueeze(1)  # (D, 1)
                context = context + read * gain[dialogues.row]
        if self.chain is not None:
            likelihood = dialogues.pad((local + context).float())  # (D, L, K)
            context = context + dialogues.flat(self.chain(likelihood, floor_events(speaker, inside), self.prior))
        return context

    def _gain(self, part: str, shape: tuple[int, int]) -> Tensor:
        """The weight of an optional part; in training it is left out at random, and otherwise counts in full."""
        if self.training:
            return (torch.rand(shape, device=self.gains.device) >= self.config.part_dropout).to(self.gains.dtype)
        return self.gains[OPTIONAL.index(part)].expand(shape)

    def _experts(self, raw: Tensor) -> Tensor:
        """For regression (shift times precision, precision) of Gaussian experts, from two free numbers; else as it is."""
        if not self.regression:
            return raw
        precision = functional.softplus(raw[:, 1:])
        return torch.cat([raw[:, :1] * precision, precision], dim=1)

    def _shift(self, raw: Tensor) -> Tensor:
        """For regression the interaction has no precision of its own."""
        return torch.cat([raw[:, :1], torch.zeros_like(raw[:, 1:])], dim=1) if self.regression else raw

    def _value(self, parts: dict[str, Tensor], temperature: Tensor) -> Prediction:
        """Add Gaussian experts: the value, what each one adds to the prior mean, and the variance."""
        total = torch.stack(list(parts.values())).sum(dim=0)
        precision = 1 + total[:, 1:]  # (U, 1), in units of the prior's
        mean, deviation = self.moments
        contributions = {CONTRIBUTION + name: deviation * part[:, :1] / precision for name, part in parts.items()}
        contributions[CONTRIBUTION + "prior"] = mean.expand_as(precision)
        logits = torch.stack(list(contributions.values())).sum(dim=0)
        return Prediction(logits, auxiliary={**contributions, VARIANCE: temperature * deviation.square() / precision})

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The loss of the answer, and of the evidence of each modality alone."""
        if self.training and self.config.frame_dropout:
            observed = drop_frames(observed, self.config.frame_dropout)
        known, available = observed.labelled, observed.available()
        parts, evidence, seen = self.parts(observed)
        total = torch.stack(list(parts.values())).sum(dim=0)
        losses = {"task": self._training_loss(total, observed.label, known)}
        for column, (name, own) in enumerate(zip(observed.features, evidence, strict=True)):
            alone = own if self.regression else own + self.prior
            losses[f"alone_{name}"] = self.config.auxiliary * self._training_loss(
                alone, observed.label, known & available[:, column]
            )
        return losses | self.hidden_losses(Prediction(self._answer(total), hidden=seen), complete, observed)

    def _answer(self, total: Tensor) -> Tensor:
        """Logits (U, C), or values (U, 1), of summed evidence (U, E)."""
        if not self.regression:
            return total.float()
        mean, deviation = self.moments
        value: Tensor = mean + deviation * total[:, :1] / (1 + total[:, 1:])
        return value

    def _training_loss(self, total: Tensor, label: Tensor, known: Tensor) -> Tensor:
        """The negative log-likelihood, or the loss that training was set to use."""
        if self.objective is None or type(self.objective) is Objective:
            return self._loss(total, label, known)
        return self.task_loss(self._answer(total), labels_where(label, known))

    def _loss(self, total: Tensor, label: Tensor, known: Tensor) -> Tensor:
        """Mean negative log-likelihood over the known utterances; 0 if there is none."""
        label = torch.where(known.unsqueeze(1) if label.ndim == 2 else known, label, torch.zeros_like(label))
        if self.regression:
            mean, deviation = self.moments
            precision = 1 + total[:, 1]
            error = (label - mean) / deviation - total[:, 0] / precision
            each = (error.square() * precision - precision.log()) / 2
        else:
            each = cross_entropy(self.schema.target, total.float(), label)
        mean_loss: Tensor = (each * known).sum() / known.sum().clamp_min(1)
        return mean_loss

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose on validation how much each optional part counts, and then the temperatures."""
        for index, name in enumerate(OPTIONAL):
            owners = {"correction": self.base, "interaction": self.interaction, "means": self.means, "gru": self.context}
            if owners[name] is None:
                continue
            losses = []
            for gain in GAINS:
                self.gains[index] = gain
                losses.append(self._validation_loss(batches))
            self.gains[index] = GAINS[losses.index(min(losses))]
        answers, labels, available = [], [], []
        for batch in batches():
            known = batch.labelled
            prediction = self(batch)
            answers.append(prediction.auxiliary[VARIANCE][known] if self.regression else prediction.logits[known])
            labels.append((batch.label - prediction.logits[:, 0])[known] if self.regression else batch.label[known])
            available.append(batch.available()[known])
        if self.regression:
            self.temperature.fit_variance(torch.cat(labels).square(), torch.cat(answers)[:, 0], torch.cat(available))
        else:
            self.temperature.fit(self.schema.target, torch.cat(answers).float(), torch.cat(labels), torch.cat(available))

    def _validation_loss(self, batches: Callable[[], Iterable[Batch]]) -> float:
        """Mean negative log-likelihood over the labelled utterances."""
        total, count = 0.0, 0
        for batch in batches():
            number = int(batch.labelled.sum())
            parts, _, _ = self.parts(batch)
            total += number * float(self._loss(torch.stack(list(parts.values())).sum(dim=0), batch.label, batch.labelled))
            count += number
        return total / max(1, count)


def drop_frames(batch: Batch, most: float) -> Batch:
    """Hide observed frames at random; each utterance and modality draws its own chance from 0 to ``most`` and keeps one frame."""
    hidden: dict[str, Tensor] = {}
    for name, present in batch.present.items():
        if present.shape[1] == 1:
            continue
        score = torch.rand(present.shape, device=present.device).masked_fill(~present, -1)
        chance = most * torch.rand(len(present), 1, device=present.device)
        hidden[name] = present & ((score >= chance) | (score == score.amax(dim=1, keepdim=True)))
    return batch.observe(hidden)


def _small(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """A two-layer network that starts from zero evidence."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), zero_linear(hidden, out))
