"""Splits by person for corpora without official ones."""

from __future__ import annotations

from collections.abc import Iterable

from lacuna.corpus.importers.sources import natural_key


def split_of_person(people: Iterable[str]) -> dict[str, str]:
    """Return the split of each person: the first 60 % train, the next 20 % valid, the others test.

    The split depends only on the set of names.

    >>> split_of_person(["s10", "s2", "s1", "s3", "s4"])
    {'s1': 'train', 's2': 'train', 's3': 'train', 's4': 'valid', 's10': 'test'}
    """
    names = sorted(set(people), key=natural_key)
    valid, test = round(0.6 * len(names)), round(0.8 * len(names))
    return {name: "train" if position < valid else "valid" if position < test else "test" for position, name in enumerate(names)}
