"""Combine recognisers that are trained already into one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna import __version__
from lacuna.corpus.contents import dialogue_contents
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import SPLITS, Schema
from lacuna.corpus.statistics import Statistics
from lacuna.errors import ConfigError, DataError
from lacuna.missing import Layout
from lacuna.models import build
from lacuna.models.config import Member
from lacuna.training.config import TrainingConfig
from lacuna.training.device import own_random_state, reproducible
from lacuna.training.loader import Loader
from lacuna.training.masks import selection_masks
from lacuna.training.selection import metric_name, settle, validate
from lacuna.training.trained import Selection, TrainedRecognizer

BATCH = 256  # utterances


def combine(
    members: Sequence[TrainedRecognizer],
    valid: Corpus,
    how: str = "mean",
    *,
    config: TrainingConfig | None = None,
    variant: str = "",
    **settings: Any,
) -> TrainedRecognizer:
    """Return one recogniser out of several trained ones; what the way of combining fits, it fits on validation.

    To train the members too, train the model ``combined`` with the setting ``members`` instead.

    Args:
        members: trained on one corpus for one target, in any order; they may read different modalities.
        valid: a view on the validation split.
        how: ``mean``, ``log_mean``, ``vote``, ``linear``, ``mhpf`` or ``soup``; see the model ``combined``.
        config: its pattern, rates and mask seeds of validation, and its threads, are used.
        variant: what the result is called; by default ``combined``, or ``mhpf``.
        settings: further settings of that model, e.g. ``heads`` or ``calibrate``.

    Returns:
        A recogniser like any other. The value of its selection is measured before the way is fitted.

    Raises:
        ConfigError: there is no member, a wrong setting, or members of different targets.
        DataError: ``valid`` holds an utterance of another split, or members of different corpora or statistics.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> from lacuna.training import Recipe, fit
        >>> corpus = generate(preset("tiny"))
        >>> members = [fit(Recipe.of(corpus, name)).trained for name in ("logreg", "prior")]
        >>> combine(members, corpus.only("valid"), "vote").name
        'combined'
    """
    if settings.get("recovered_by"):
        raise ConfigError("trained recognisers are combined as they are; do: leave out recovered_by, or give it to the members")
    config = config or TrainingConfig()
    schema, statistics = _check(members, valid)
    name = "mhpf" if how == "mhpf" else "combined"
    parts = tuple(_member(trained, schema) for trained in members)
    model = build(name, schema, **{"members": parts, "how": how, **settings})
    model.adopt([trained.model for trained in members])
    seeds = {trained.seed for trained in members}
    with reproducible(config.threads), own_random_state(torch.device("cpu"), 0):
        loader = Loader(valid, schema, statistics, BATCH, model.needs_dialogue)
        masks = selection_masks(Layout.of(valid), config.pattern, config.valid_rates, config.valid_mask_seeds)
        value, _ = validate(model, loader, masks, nullcontext())
        settle(model, loader, masks, nullcontext())
    return TrainedRecognizer(
        name=name,
        seed=seeds.pop() if len(seeds) == 1 else 0,
        corpus=members[0].corpus,
        model=model.eval(),
        statistics=statistics,
        selection=Selection(
            metric=metric_name(schema.target),
            value=value,
            epoch=0,
            epochs=0,
            pattern=config.pattern_text,
            parameters=sum(p.numel() for p in model.parameters()),
            seconds=0.0,
            threads=config.threads,
            versions={"torch": torch.__version__, "lacuna": __version__},
            training=config.result_settings(),
        ),
        dialogues=np.unique(np.concatenate([valid.dialogue_keys, *(trained.dialogues for trained in members)])),
        contents=np.unique(np.concatenate([dialogue_contents(valid, schema.dims), *(trained.contents for trained in members)])),
        data=members[0].data,
        variant=variant,
    )


def _member(trained: TrainedRecognizer, schema: Schema) -> Member:
    modalities = () if trained.schema.dims == schema.dims else tuple(trained.schema.dims)
    return Member(trained.name, asdict(trained.model.config), {}, modalities)


def _check(members: Sequence[TrainedRecognizer], valid: Corpus) -> tuple[Schema, Statistics]:
    """Return the modalities of all members together with their statistics, after checking that they fit each other."""
    if not members:
        raise ConfigError("name at least one trained recogniser to combine")
    outside = np.flatnonzero(valid.utterances.split != SPLITS.index("valid"))
    if len(outside):
        raise DataError(
            "combinations are fitted on the validation split alone",
            corpus=valid.name,
            utterance=valid.utterances.id[int(outside[0])].as_py(),
            expected="no utterance of another split",
            found=f"{len(outside)} of {len(valid)}, first of '{SPLITS[valid.utterances.split[outside[0]]]}'",
            hint="pass corpus.only('valid')",
        )
    if not len(valid):
        raise ConfigError(f"corpus '{valid.name}' has no validation utterance to combine on")
    first = members[0]
    modalities: dict[str, Any] = {}
    mean: dict[str, NDArray[np.float32]] = {}
    scale: dict[str, NDArray[np.float32]] = {}
    for trained in members:
        if trained.schema.target != first.schema.target:
            raise ConfigError(
                f"'{first.variant}' predicts target '{first.schema.target.name}' and '{trained.variant}' "
                f"'{trained.schema.target.name}': only recognisers of one target can be combined"
            )
        for modality in trained.schema.modalities:
            known = modalities.setdefault(modality.name, modality)
            of_mean, of_scale = trained.statistics.mean[modality.name], trained.statistics.scale[modality.name]
            same = np.array_equal(mean.setdefault(modality.name, of_mean), of_mean)
            same &= np.array_equal(scale.setdefault(modality.name, of_scale), of_scale)
            if trained.corpus != first.corpus or known != modality or not same:
                raise DataError(
                    f"'{first.variant}' and '{trained.variant}' were trained on different data",
                    corpus=trained.corpus,
                    modality=modality.name,
                    expected=f"members of the training split of '{first.corpus}'",
                    hint="train all members on the same training split",
                )
    order = [m.name for m in valid.modalities if m.name in modalities]
    if missing := [name for name in modalities if name not in order]:
        raise DataError("the validation split lacks a modality of a member", corpus=valid.name, modality=missing[0])
    return Schema(tuple(modalities[name] for name in order), first.schema.target), Statistics(mean, scale)
