"""CIDer: self-distillation and causal inference for sequences with missing frames."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, Maci, check_bounds, check_choices, check_multiples
from lacuna.models.layers.attention import MOST_MODALITIES, Alignment, AttentionPooling, CompositeAttention
from lacuna.models.layers.distillation import Heads, attention_divergence, feature_distance, missing_error
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import full_precision
from lacuna.models.layers.positions import sinusoids
from lacuna.models.space import Space, Span

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CIDerConfig(Config):
    """Settings of :class:`CIDer`.

    Attributes:
        width: d, units of each position.
        layers: number of layers of composite attention.
        heads: heads of each layer.
        alignment: read voice and face at the positions of the text. The published values, chosen among 300 on test, are 3 layers,
            8 heads and alignment; the defaults here were chosen on the validation split of duet.
        text: name of the modality that the others are aligned to.
        attention_dropout: dropout rate of the attention weights.
        embed_dropout: dropout rate before the first layer.
        residual_dropout: dropout rate inside each layer.
        out_dropout: dropout rate of the residual head.
        joint: weight of the distance between the joint vectors of student and teacher.
        attention: weight of the divergence between their attention maps.
        reconstruction: weight of the error at missing positions.
        teacher: ``same`` = weights of the student; ``ema`` = their moving average.
        teacher_decay: decay of that average, 0 to 1.
        maci: corrections for bias, on by default.
    """

    width: int = 32
    layers: int = 1
    heads: int = 4
    alignment: bool = False
    text: str = "text"
    attention_dropout: float = 0.0
    embed_dropout: float = 0.2
    residual_dropout: float = 0.1
    out_dropout: float = 0.3
    joint: float = 0.5
    attention: float = 0.1
    reconstruction: float = 0.6
    teacher: Literal["same", "ema"] = "same"
    teacher_decay: float = 0.99
    maci: Maci | None = field(default_factory=Maci)
    model: ClassVar[str] = "cider"
    space: ClassVar[Space] = {
        "width": Span(16, 96, step=8),
        "layers": Span(1, 4),
        "embed_dropout": Span(0.0, 0.5),
        "out_dropout": Span(0.0, 0.6),
        "joint": Span(0.05, 5.0, log=True),
        "attention": Span(0.01, 1.0, log=True),
        "reconstruction": Span(0.06, 6.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds(self.model, self, width=(1, 65536), layers=(1, 64), heads=(1, 1024), alignment=(False, True))
        shares = {f"{part}_dropout": (0.0, 1.0) for part in ("attention", "embed", "residual", "out")}
        check_bounds(self.model, self, **shares, teacher_decay=(0.0, 1.0))
        check_bounds(self.model, self, joint=(0.0, 1e6), attention=(0.0, 1e6), reconstruction=(0.0, 1e6))
        check_multiples(self.model, self, "heads", "width")
        check_choices(self.model, self, teacher=("same", "ema"))


class View(NamedTuple):
    """Output of the encoder for one view of a batch.

    Attributes:
        joint: (U, M d) joint vector, input of the head.
        positions: by modality (U, T, d), output of the last layer at each position.
        attention: queries and keys of the last layer, (U, H, N, e) each.
        keys: (U, N) bool, positions that are not masked.
    """

    joint: Tensor
    positions: dict[str, Tensor]
    attention: Heads
    keys: Tensor


class Layer(nn.Module):
    """Composite attention and a feed-forward block, pre-norm and with residuals."""

    def __init__(self, config: CIDerConfig, modalities: int) -> None:
        super().__init__()
        width, dropout = config.width, config.residual_dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CompositeAttention(width, config.heads, modalities, config.attention_dropout)
        self.dropout = nn.Dropout(dropout)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, keys: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, Heads]:
        """Return (U, N, d), and queries and keys (U, H, N, e), from positions (U, N, d)."""
        read, *heads = self.attention(self.before(x), keys, lengths)
        x = x + self.dropout(read)
        return x + self.feed(self.between(x)), (heads[0], heads[1])


class Encoder(nn.Module):
    """Encoder of frames with missing ones to a joint vector.

    Each modality begins with a learned summary position that is always present, like [CLS] in a text. So a modality without
    observed frames can still attend to the others, and no softmax is empty.
    """

    def __init__(self, schema: Schema, config: CIDerConfig) -> None:
        super().__init__()
        self.names, self.text, width = tuple(schema.dims), config.text, config.width
        self.aligned = tuple(m for m in self.names if m != self.text) if config.alignment and self.text in self.names else ()
        if config.alignment and not self.aligned:
            _log.warning(
                "alignment of '%s': the corpus has no modality '%s' to align to, so nothing is aligned; see setting text",
                config.model,
                self.text,
            )
        self.project = nn.ModuleDict({m: nn.Linear(dim, width, bias=False) for m, dim in schema.dims.items()})
        # One table for each modality; its rows: summary, absent frame, modality.
        self.learned = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(3, width)) for m in self.names})
        self.align = nn.ModuleDict({m: Alignment(width) for m in self.aligned})
        self.recurrent = nn.ModuleDict({m: nn.GRU(width, width, batch_first=True) for m in self.names})
        self.dropout = nn.Dropout(config.embed_dropout)
        self.layers = nn.ModuleList(Layer(config, len(self.names)) for _ in range(config.layers))
        self.last = nn.LayerNorm(width)
        self.pool = nn.ModuleDict({m: AttentionPooling(width) for m in self.names})
        joint = width * len(self.names)
        self.residual = nn.Sequential(nn.Linear(joint, joint), nn.ReLU(), nn.Dropout(config.out_dropout), nn.Linear(joint, joint))

    def embed(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return by modality positions (U, 1 + T_m, d), the summary first, and (U, 1 + T_m) bool, False = masked."""
        embedded, keys = {}, {}
        for name, frames in batch.features.items():
            summary, absent, modality = self.learned[name]
            present = batch.present[name]
            x = torch.where(present.unsqueeze(-1), self.project[name](frames), absent)  # (U, T, d)
            x = torch.cat([summary.expand(len(batch), 1, -1).to(x.dtype), x], dim=1)
            embedded[name] = x + sinusoids(x.shape[1], x.shape[2], x.device) + modality
            keys[name] = functional.pad(present, (1, 0), value=True)  # (U, T) -> (U, 1 + T)
        return embedded, keys

    def forward(self, batch: Batch) -> View:
        """Return the encoding of a view."""
        embedded, keys = self.embed(batch)
        for name in self.aligned:
            has_frames = batch.present[name].any(dim=1, keepdim=True)  # (U, 1)
            embedded[name] = self.align[name](embedded[self.text], embedded[name], keys[name])
            keys[name] = torch.cat([keys[name][:, :1], keys[self.text][:, 1:] & has_frames], dim=1)
        # A forward GRU is not changed by absent frames at the end of a sequence, so padding needs no packing.
        with full_precision(batch.key):
            states = {m: self.recurrent[m](embedded[m].float())[0] for m in self.names}
        x = torch.cat([embedded[m] + states[m] for m in self.names], dim=1)  # (U, N, d)
        lengths = tuple(embedded[m].shape[1] for m in self.names)
        readable = torch.cat([keys[m] for m in self.names], dim=1)  # (U, N)
        x = self.dropout(x)
        for layer in self.layers:
            x, heads = layer(x, readable, lengths)
        positions = dict(zip(self.names, torch.split(self.last(x), list(lengths), dim=1), strict=True))
        gathered = torch.cat([self.pool[m](positions[m], keys[m]) for m in self.names], dim=1)  # (U, M d)
        return View(gathered + self.residual(gathered), positions, heads, readable)


@register(
    "cider",
    title="Towards Robust Multimodal Emotion Recognition under Missing Modalities and Distribution Shifts",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2506.10452",
    year=2025,
)
class CIDer(Recognizer):
    """CIDer of Zhong et al. (https://arxiv.org/abs/2506.10452): self-distillation, composite attention and causal inference.

    The student sees masked input, the teacher complete input; composite attention reads every subset of modalities; the causal
    head and the counterfactual are those of :mod:`lacuna.models.wrappers.causal`.

    .. math:: L = L_{complete} + L_{task} + a L_{joint} + b L_{attention} + c L_{reconstruction}

    ``docs/models/cider.md`` lists the corrections to the public code.
    """

    Config = CIDerConfig
    config: CIDerConfig
    recovers = True
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        if len(schema.dims) > MOST_MODALITIES:
            raise ConfigError(f"model 'cider' reads at most {MOST_MODALITIES} modalities; found {len(schema.dims)} in the schema")
        width = self.config.width
        self.encoder = Encoder(schema, self.config)
        self.head = classifier(schema, width * len(schema.dims), self.config)
        self.place = nn.ModuleDict({m: Alignment(width) for m in self.encoder.aligned})
        self.decode = nn.ModuleDict({m: nn.Linear(width, dim) for m, dim in schema.dims.items()})
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False) if self.config.teacher == "ema" else None

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and recovered frames (U, T_m, d_m)."""
        return self._predict(batch, self.encoder(batch))

    def _predict(self, batch: Batch, view: View) -> Prediction:
        return Prediction(self.head(view.joint), self._recovered(batch, view), {"joint": view.joint})

    def _recovered(self, batch: Batch, view: View) -> dict[str, Tensor]:
        """Return observed frames unchanged and decoded missing ones."""
        embedded = self.encoder.embed(batch)[0] if self.place else {}
        readable = torch.split(view.keys, [x.shape[1] for x in view.positions.values()], dim=1)
        recovered = {}
        for (name, frames), keys in zip(batch.features.items(), readable, strict=True):
            x = view.positions[name]
            if name in self.place:  # from the positions of words back to those of frames
                x = self.place[name](embedded[name], x, keys)
            decoded = self.decode[name](x[:, 1:]).to(frames.dtype)  # (U, T, d_m)
            recovered[name] = torch.where(batch.present[name].unsqueeze(-1), frames, decoded)
        return recovered

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss of both views, and the distances of the masked view from the complete one."""
        complete_view = self.encoder(complete)
        if self.teacher is None:
            teacher_view = complete_view
        else:
            if self.training:
                self._update_teacher()
            with torch.no_grad():
                teacher_view = self.teacher(complete)
        terms = {"complete": self.task_loss(self.head(complete_view.joint), observed.label)}
        return terms | self.distil(complete, observed, teacher_view)

    def distil(self, complete: Batch, observed: Batch, teacher: View, *, summed: bool = False) -> dict[str, Tensor]:
        """Return the losses of the student.

        Args:
            complete: target of reconstruction.
            observed: input of the student.
            teacher: view of the complete batch by the teacher; no gradient reaches it.
            summed: the attention loss is a sum over positions, not a mean.
        """
        config, view = self.config, self.encoder(observed)
        prediction = self._predict(observed, view)
        missing = {m: complete.present[m] & ~observed.present[m] for m in complete.present}
        teacher_attention = (teacher.attention[0].detach(), teacher.attention[1].detach())
        terms = {"task": self.task_loss(prediction.logits, observed.label)}
        if config.joint:
            terms["joint"] = config.joint * feature_distance(view.joint, teacher.joint.detach())
        if config.attention:
            common = view.keys & teacher.keys
            terms["attention"] = config.attention * attention_divergence(
                view.attention, teacher_attention, common, teacher.keys, summed
            )
        if config.reconstruction:
            terms["reconstruction"] = config.reconstruction * missing_error(prediction.recovered, complete.features, missing)
        return terms

    @torch.no_grad()
    def _update_teacher(self) -> None:
        """Move the averaged weights of the teacher towards those of the student, once for each batch."""
        assert self.teacher is not None
        student_parameters: list[Tensor] = list(self.encoder.parameters())
        teacher_parameters: list[Tensor] = list(self.teacher.parameters())
        torch._foreach_lerp_(teacher_parameters, student_parameters, 1 - self.config.teacher_decay)
