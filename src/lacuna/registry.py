"""A registry: classes by name, found in the modules of one package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar

from lacuna.errors import ConfigError

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Classes that registered themselves by a decorator, each with a class attribute ``name``.

    Args:
        kind: what they are, for messages, e.g. ``model``.
        package: every module of it is imported when a name is first looked up, so that each file's decorator runs.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator that makes a class available under ``name``.

        Raises:
            ConfigError: the name is taken.
        """

        def add(cls: C) -> C:
            other = self._classes.get(name)
            if other is not None and other.__qualname__ != cls.__qualname__:
                raise ConfigError(f"two {self.kind}s are called '{name}': {other.__name__} and {cls.__name__}")
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> list[str]:
        """All names, sorted."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """The class registered under ``name``.

        Raises:
            ConfigError: there is none; the message lists what there is.
        """
        if name not in self._classes and name not in self.names():
            raise ConfigError(f"unknown {self.kind} {name!r}; known: {', '.join(self.names())}")
        return self._classes[name]


def check_settings(kind: str, name: str, cls: type[Any], given: Mapping[str, Any], what: str = "setting") -> None:
    """Check that a dataclass has the fields that are about to be set.

    Args:
        kind: e.g. ``model``.
        name: e.g. ``mlp``.
        cls: the dataclass.
        given: by field name.
        what: how a field is called in the message.

    Raises:
        ConfigError: it lacks one; the message lists what there is.
    """
    known = [f.name for f in fields(cls)]
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"{kind} '{name}' has no {what} {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'none'}")
