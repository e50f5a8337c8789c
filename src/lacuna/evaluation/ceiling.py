"""The ceiling of a generated corpus: the exact posterior, scored in the sweep like a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.errors import ConfigError
from lacuna.evaluation.conditions import condition_of
from lacuna.evaluation.sweep import MOST_GROUPS, Sweep, fingerprint_of, groups_of
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.counts import baseline_counts, count, width
from lacuna.missing import Layout, MaskPlan
from lacuna.progress import tracked
from lacuna.synthetic.duet import Oracle, settings_of

CEILINGS = {CEILING: True, f"{CEILING} (one turn)": False}  # by name in tables: whether it uses the whole dialogue
_LEAST = 1e-300  # lower bound of a probability, so that its logarithm is finite


def has_ceiling(corpus: Corpus, target: str) -> bool:
    """Return whether the exact posterior is known: the corpus is a duet and the target is its emotion."""
    return settings_of(corpus) is not None and target == corpus.targets[0].name


def sweep_ceilings(
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    *,
    training_labels: Labels,
    groups: int = MOST_GROUPS,
    past_only: bool = False,
) -> list[Sweep]:
    """Return the counts of the exact posterior under every plan, given the whole dialogue and given one turn.

    The first is the ceiling of every model, the second of models that see one utterance. The posterior is optimal for accuracy
    and log-loss exactly; a model can exceed its F1 slightly.

    Args:
        corpus: a view on whole dialogues of a duet.
        plans: masks to score under.
        training_labels: labels of the training split, for the baseline.
        groups: as for :func:`lacuna.evaluation.sweep`; must be the same to compare with its results.
        past_only: whether the first is given the turns up to each turn instead of the whole dialogue.

    Returns:
        Two sweeps, named as in ``CEILINGS``, comparable with those of trained models under the same plans.

    Raises:
        ConfigError: the corpus is no duet, so its posterior is not known.
    """
    target = corpus.targets[0]
    if not has_ceiling(corpus, target.name):
        raise ConfigError(f"the ceiling of corpus '{corpus.name}' is not known; only generated corpora have one")
    oracle = Oracle.of(corpus)
    reading, layout = oracle.read(corpus), Layout.of(corpus)
    labels = corpus.utterances.labels[target.name]
    dialogue, total = groups_of(corpus, target, groups)
    masks = [plan.over(layout) for plan in plans]
    sums = {name: np.zeros((len(masks), total, width(target))) for name in CEILINGS}
    for index, mask in enumerate(tracked(masks, CEILING)):
        present = {m: ~gone for m, gone in mask.missing_flat().items()}
        for name, context in CEILINGS.items():
            if context and past_only:
                exact = oracle.filtered(reading, present)
            else:
                exact = oracle.posterior(reading, present, context=context)
            logits = np.log(np.maximum(exact, _LEAST))
            sums[name][index] = count(target, logits, labels, dialogue, total).values
    baseline = baseline_counts(target, training_labels, labels, dialogue, total).values
    conditions = tuple(condition_of(plan, mask.measured()) for plan, mask in zip(plans, masks, strict=True))
    fingerprint = fingerprint_of(corpus, dialogue, labels, past_only)
    return [Sweep(corpus.name, name, 0, target, conditions, sums[name], baseline, fingerprint) for name in CEILINGS]
