"""One recogniser out of several trained ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, model_class, register
from lacuna.models.build import build, configure
from lacuna.models.config import Config, Member, check_bounds, check_choices
from lacuna.models.layers.combining import WAYS
from lacuna.models.layers.pooling import full_precision
from lacuna.models.space import Choice, Space, Span
from lacuna.registry import check_settings


@dataclass(frozen=True, kw_only=True)
class CombinedConfig(Config):
    """Settings of :class:`Combined`.

    Attributes:
        members: names of registered models, or mappings with the fields of :class:`lacuna.models.config.Member`. An equal member
            that is repeated is trained with other seeds.
        how: ``mean`` of probabilities, ``log_mean`` = mean of log-probabilities, majority ``vote``, ``linear`` = meta-classifier,
            ``mhpf`` = fusion heads, ``soup`` = one model with the mean of the weights of several trainings. For values ``mean``
            and ``log_mean`` are equal, and ``vote`` is the median.
        heads: H, heads of ``mhpf``.
    """

    registered: ClassVar[str] = "combined"
    members: tuple[Member, ...] = (Member("logreg"), Member("mlp"), Member("context_gru"))
    how: str = "mean"
    heads: int = 3
    space: ClassVar[Space] = {"how": Choice(tuple(way for way in WAYS if way != "soup"))}

    def __post_init__(self) -> None:
        name = self.registered
        check_bounds(name, self, heads=(1, 64), window=(0, 64))
        check_choices(name, self, how=tuple(WAYS))
        if self.window:
            raise ConfigError(
                f"model '{name}': setting 'window' must be 0, because members read the turns; found {self.window}\n"
                "  do: give it to the members, e.g. {model: mlp, settings: {window: 2}}"
            )
        if self.layer_weights:
            raise ConfigError(
                f"model '{name}': setting 'layer_weights' must be false, because members read the frames\n"
                "  do: give it to the members, e.g. {model: mlp, settings: {layer_weights: true}}"
            )
        if isinstance(self.members, str | Mapping) or not self.members:
            raise ConfigError(f"model '{name}': setting 'members' must be a list of at least one model; found {self.members!r}")
        members = tuple(_member(name, member) for member in self.members)
        object.__setattr__(self, "members", members)
        if self.how == "soup":
            _check_soup(name, members)


def _member(name: str, value: Any) -> Member:
    """Return a member from a name or a mapping, after checking its settings."""
    if isinstance(value, str):
        value = Member(value)
    elif isinstance(value, Mapping):
        check_settings("a member of model", name, Member, value)
        value = Member(**{"model": "", **value})
    if not isinstance(value, Member):
        raise ConfigError(
            f"model '{name}': a member must be the name of a model, or {{model: ..., settings: {{...}}}}; found {value!r}"
        )
    configure(value.model, **value.settings)
    return value


def _check_soup(name: str, members: Sequence[Member]) -> None:
    configs = [configure(member.model, **member.settings) for member in members]
    first = members[0]
    if any((m.model, m.modalities) != (first.model, first.modalities) for m in members) or not model_class(first.model).learns:
        raise ConfigError(
            f"model '{name}': how 'soup' averages weights, so all members must be one model that is trained by gradient descent; "
            f"found {', '.join(dict.fromkeys(m.model for m in members))}"
        )
    if any(config != configs[0] for config in configs):
        raise ConfigError(
            f"model '{name}': how 'soup' averages weights, so all members need the same settings of '{first.model}'"
        )


@register(
    "combined",
    title="Combination of trained recognisers: mean, majority vote, linear meta-classifier or model soup",
    task="fusion",
)
class Combined(Recognizer):
    """Several recognisers that are trained first, each by itself, and then combined.

    A member that cannot answer counts as missing: nothing is observed that it reads, in the utterance or, for a model that reads
    dialogues, in any turn of the dialogue. If no member can answer, all of them count. What a way of combining fits (``linear``,
    ``mhpf``), it fits on the validation split, once, after training.

    References: majority vote with ties by probability, Odyssey 2024 challenge (arXiv 2405.20064); meta-classifier of logits,
    MEDUSA (arXiv 2506.09556); soup, Wortsman et al., Model soups (ICML 2022).
    """

    Config = CombinedConfig
    config: CombinedConfig
    learns = False
    tiny: ClassVar[Mapping[str, Any]] = {
        "members": (
            "logreg",
            {"model": "mlp", "settings": {"hidden": 8}},
            {"model": "attentive_bigru", "settings": {"hidden": 8, "modality": "text"}},
        )
    }

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        members = self.config.members[:1] if self.config.how == "soup" else self.config.members
        built = [build(m.model, schema.only(m.modalities), **m.settings).requires_grad_(False) for m in members]
        self.members = nn.ModuleList(built)
        self.way = WAYS[self.config.how](schema.target, len(members), self.config.heads)
        self.needs_dialogue = any(member.needs_dialogue for member in built)

    @classmethod
    def members_of(cls, config: Any) -> tuple[Member, ...]:
        """Return the members."""
        members: tuple[Member, ...] = config.members
        return members

    def adopt(self, members: Sequence[Recognizer]) -> None:
        """Copy the weights of trained members; of a soup their mean."""
        states = [member.state_dict() for member in members]
        if self.config.how == "soup":
            states = [averaged(states)]
        for member, state in zip(self.members, states, strict=True):
            member.load_state_dict(state)

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (U, M, C), or values (U, M, 1), and (U, M) bool: the member answers."""
        regression, answers, answered = self.schema.target.task == "regression", [], []
        for member in self.members:
            assert isinstance(member, Recognizer)
            logits = member(_narrowed(batch, member.schema)).logits.float()
            answers.append(logits if regression else logits.log_softmax(dim=1))
            answered.append(can_answer(member, batch))
        some = torch.stack(answered, dim=1)  # (U, M)
        return torch.stack(answers, dim=1), some | ~some.any(dim=1, keepdim=True)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Fit the way of combining on validation."""
        parts = [tuple(x[batch.labelled] for x in (*self.answers(batch), batch.label, batch.dialogue)) for batch in batches()]
        if sum(len(part[-1]) for part in parts):
            answers, answered, label, dialogue = (torch.cat(x) for x in zip(*parts, strict=True))
            with full_precision(answers):
                self.way.fit(answers, answered, label, dialogue)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C), or values (U, 1)."""
        answers, answered = self.answers(batch)
        with full_precision(answers):
            return Prediction(self.way(answers, answered))


def can_answer(member: Recognizer, batch: Batch) -> Tensor:
    """Return (U,) bool: something is observed that the member reads, in the utterance or, if it reads them, in its dialogue."""
    observed = torch.stack([batch.present[m].any(dim=1) for m in member.reads]).any(dim=0)
    if not member.needs_dialogue:
        return observed
    _, dialogue = batch.dialogue.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    turns = torch.zeros(len(batch) + 1, dtype=torch.int64, device=dialogue.device).index_add_(0, dialogue, observed.long())
    return turns[dialogue] > 0


def averaged(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of state dictionaries, summed in float64; tensors that are no numbers are those of the first one."""
    first = states[0]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(x.dtype) if x.is_floating_point() else x
        for name, x in first.items()
    }


def _narrowed(batch: Batch, schema: Schema) -> Batch:
    """Return the batch with the modalities of a schema alone."""
    if list(schema.dims) == list(batch.features):
        return batch
    return replace(
        batch,
        features={m: batch.features[m] for m in schema.dims},
        present={m: batch.present[m] for m in schema.dims},
        tokens={m: batch.tokens[m] for m in schema.dims if m in batch.tokens},
    )


@dataclass(frozen=True, kw_only=True)
class MHPFConfig(CombinedConfig):
    """Settings of :class:`MHPF`: those of :class:`CombinedConfig`, with ``how: mhpf``."""

    registered: ClassVar[str] = "mhpf"
    how: str = "mhpf"
    space: ClassVar[Space] = {"heads": Span(1, 8)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.how != "mhpf":
            raise ConfigError(f"model 'mhpf': setting 'how' must be mhpf; found {self.how!r}; do: use the model 'combined'")


@register(
    "mhpf",
    title="Team RAS in 9th ABAW Competition: Multimodal Compound Expression Recognition Approach",
    task="fusion",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2507.02205",
    year=2025,
    venue="ICCV Workshops",
)
class MHPF(Combined):
    """Multi-head probability fusion of trained recognisers, of Team RAS (arXiv 2507.02205): ``combined`` with ``how: mhpf``.

    The fusion is :class:`~lacuna.models.layers.combining.FusionHeads`. Three differences from the published code: a missing
    member is left out before the softmax over members; the heads are fitted on all validation utterances at once, with the number
    of updates chosen on dialogues left out (the authors: batches of 64, learning rate 1e-4); any recogniser can be a member
    (theirs are zero-shot models).
    """

    Config = MHPFConfig
    config: MHPFConfig
