"""A registry: classes by name, discovered in the modules of one package."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from lacuna.errors import ConfigError, suggestion

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Keep classes that register themselves with a decorator; each gets a class attribute ``name``.

    Args:
        kind: what the classes are, for error messages, e.g. ``model``.
        package: dotted name of a package. All of its modules are imported when names are first looked up, so that
            the decorator in each file runs.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Return a class decorator that registers a class under ``name``.

        Raises:
            ConfigError: another class has this name.
        """

        def add(cls: C) -> C:
            other = self._classes.get(name)
            if other is not None and other.__qualname__ != cls.__qualname__:
                raise ConfigError(
                    f"two {self.kind}s are called '{name}': {other.__name__} and {cls.__name__}; rename one of them"
                )
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """Return the class registered under ``name``.

        Raises:
            ConfigError: the name is unknown; the message suggests the nearest name and lists all names.
        """
        if name not in self._classes and name not in self.names():
            known = self.names()
            raise ConfigError(f"unknown {self.kind} {name!r}{suggestion(name, known)}; known: {', '.join(known)}")
        return self._classes[name]


def names_in_source(package: str) -> list[str]:
    """Return the names that the modules of a package register, read from their source: nothing is imported.

    Args:
        package: dotted name.

    >>> names_in_source("lacuna.missing.patterns")[-2:]
    ['stmfm', 'tmfm']
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    files = [path for folder in folders or () for path in Path(folder).glob("*.py")]
    return sorted(
        name for path in files for name in re.findall(r'^@register\(\s*"([^"]+)"', path.read_text("utf-8"), re.MULTILINE)
    )


def check_settings(kind: str, name: str, cls: type[Any], settings: Mapping[str, Any], noun: str = "setting") -> None:
    """Check that a dataclass has a field for each setting.

    Args:
        kind: what the dataclass configures, for the message, e.g. ``model``.
        name: which one, e.g. ``mlp``.
        cls: the dataclass.
        settings: values by field name.
        noun: what a field is called in the message.

    Raises:
        ConfigError: a field does not exist; the message suggests the nearest name and lists all names.
    """
    known = sorted(f.name for f in fields(cls))
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigError(
            f"{kind} '{name}' has no {noun} {unknown[0]!r}{suggestion(unknown[0], known)}; it has: {', '.join(known) or 'none'}"
        )
