"""Another corpus with our classes."""

from __future__ import annotations

import pytest

from lacuna.errors import ConfigError, DataError
from lacuna.shift import mapped
from standin import StandIn, generate

OURS = generate(StandIn(dialogues=5, classes=("calm", "happy")), name="ours").schema()


def test_classes_are_mapped_and_the_others_are_counted_and_not_scored() -> None:
    other = generate(StandIn(dialogues=5, seed=3), name="theirs")
    ours = mapped(other, OURS, {"neutral": "calm", "joy": "happy"})
    old, new = other.utterances.labels["emotion"], ours.utterances.labels["emotion"]
    assert ours.target() == OURS.target
    assert ((old == 0) == (new == 0)).all()
    assert ((old == 1) == (new == 1)).all()
    assert (new[old > 1] == -1).all()
    not_scored = f"without a counterpart, not scored: sadness ({(old == 2).sum()}), anger ({(old == 3).sum()})"
    assert ours.provenance.notes[-1] == f"classes mapped: neutral -> calm, joy -> happy; {not_scored}"


def test_what_does_not_fit_is_refused() -> None:
    other = generate(StandIn(dialogues=5), name="theirs")
    with pytest.raises(ConfigError, match="corpus 'theirs' has no class 'fear' of 'emotion'; it has: neutral"):
        mapped(other, OURS, {"fear": "calm"})
    with pytest.raises(ConfigError, match="there is no class 'glad' to map to; 'emotion' has: calm, happy"):
        mapped(other, OURS, {"joy": "glad"})
    with pytest.raises(DataError, match=r"no utterance is left to score(.|\n)*none is mapped"):
        mapped(other, OURS, {})
    wide = generate(StandIn(dialogues=5, dims=(("text", 99), ("audio", 12), ("vision", 8))), name="wide")
    with pytest.raises(
        DataError, match=r"not as wide as the model expects(.|\n)*modality 'text'(.|\n)*expected: 16(.|\n)*found: 99"
    ):
        mapped(wide, OURS, {"joy": "happy"})
    with pytest.raises(ConfigError, match="classes are mapped, not values"):
        mapped(generate(StandIn(dialogues=5), "regression"), OURS, {"joy": "happy"})
