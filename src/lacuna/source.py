"""Hashes of Lacuna's own source code: what a cached result depends on, and nothing else.

A result of one model depends on the module of that model and on what it imports, not on the other models. Comments, docstrings
and calls of a module's logger are left out of the hash, so that editing them makes no other result.

Imports are read from the source, not from the running process: ``from lacuna.missing import Layout`` depends on the module that
defines ``Layout``, even if the package also imports ten others.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent
# Read when the process starts, because that is the code that runs, whoever edits the files meanwhile.
_FILES = {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in sorted(_ROOT.rglob("*.py"))}
# These decide no number: messages, locks, files, and the registry that finds classes by name.
NO_EFFECT = frozenset(
    f"lacuna.{name}"
    for name in ("atomic", "errors", "parallel", "progress", "registry", "source", "training.lock", "training.logs")
)
_LOGGERS = {"_log", "log", "logger", "logging"}


def code_digest(modules: Iterable[str], *, leave_out: Iterable[str] = ()) -> str:
    """Return a hash of modules and of everything in Lacuna that they import, directly or through others.

    Args:
        modules: full names, e.g. ``lacuna.models.gsdnet``, or of a model outside Lacuna, e.g. ``my_models.first``.
        leave_out: full names of modules or packages that do not count and are not followed.

    Returns:
        12 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for module in sorted(dependencies(modules, leave_out=leave_out)):
        digest.update(module.encode() + b"\0" + _normal(module).encode() + b"\0")
    return digest.hexdigest()[:12]


def dependencies(modules: Iterable[str], *, leave_out: Iterable[str] = ()) -> set[str]:
    """Return modules and all modules of Lacuna that they import, directly or through others.

    Args:
        modules: full names.
        leave_out: as for :func:`code_digest`.
    """
    without = NO_EFFECT.union(leave_out)
    waiting, found = list(modules), set[str]()
    while waiting:
        module = waiting.pop()
        left_out = module == "lacuna" or any(module == name or module.startswith(f"{name}.") for name in without)
        if module not in found and not left_out:
            found.add(module)
            waiting += _imported(module)
    return found


def _path(module: str) -> str | None:
    """The file of a module relative to the package, or ``None`` if Lacuna has no such module."""
    top, *rest = module.split(".")
    if top != "lacuna":
        return None
    stem = "/".join(rest)
    candidates = (f"{stem}.py", f"{stem}/__init__.py") if stem else ("__init__.py",)
    return next((path for path in candidates if path in _FILES), None)


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is not None:
        return ast.parse(_FILES[path])
    file = getattr(sys.modules.get(module), "__file__", None)  # a module of somebody else; a notebook has no file
    return ast.parse(Path(file).read_bytes() if file else b"")


@cache
def _imported(module: str) -> tuple[str, ...]:
    """Modules of Lacuna that a module imports, anywhere in it but for type checkers."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names if alias.name.split(".")[0] == "lacuna")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lacuna":
            found.extend(_definition(node.module, alias.name) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(_tree(module))
    return tuple(dict.fromkeys(found))


def _definition(module: str, name: str) -> str:
    """The module that defines a name: a submodule, or the one from which a package's ``__init__`` takes it."""
    if _path(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    path = _path(module)
    if path is not None and path.endswith("__init__.py"):
        for node in _tree(module).body:
            if isinstance(node, ast.ImportFrom) and node.module and any((a.asname or a.name) == name for a in node.names):
                original = next(a.name for a in node.names if (a.asname or a.name) == name)
                return _definition(node.module, original)
    return module


@cache
def _normal(module: str) -> str:
    """The code of a module without comments, layout, docstrings and calls of its logger."""
    return ast.dump(_Bare().visit(ast.parse(ast.unparse(_tree(module)))))


class _Bare(ast.NodeTransformer):
    """Drops docstrings and statements that only write to a logger."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = list(_lasting(body)) or [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _lasting(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            continue
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            target = value.func.value
            if isinstance(target, ast.Name) and target.id in _LOGGERS:
                continue
        yield statement
