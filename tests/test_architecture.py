"""The structure of the code: imports go one way, and names are unique."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import lacuna

SOURCE = Path(lacuna.__file__).parent
BASE = {"errors", "atomic", "registry", "source", "parallel", "progress", "text"}
# Each package may import the packages named for it, directly or through them: the graph of docs/explanation/architecture.md.
BELOW = {
    "corpus": set(),
    "media": {"corpus"},
    "synthetic": {"corpus"},
    "shift": {"corpus"},
    "missing": {"corpus"},
    "metrics": {"missing"},
    "models": {"missing", "metrics"},
    "training": {"models"},
    "evaluation": {"training", "synthetic", "shift"},
    "tuning": {"evaluation"},
    "reporting": {"evaluation", "tuning"},
    "bench": {"reporting"},
}


def _allowed(package: str) -> set[str]:
    """Every package that ``package`` may import, itself included."""
    return {package}.union(*(_allowed(other) for other in BELOW[package]))


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(module: str, *, top_level: bool) -> set[str]:
    """Modules of Lacuna that a module imports: everywhere, or only where an import runs when the module is loaded."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    found = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if top_level and (lazy or typing):
                continue
            if isinstance(child, ast.ImportFrom) and child.module and child.module.split(".")[0] == "lacuna":
                whole = [f"{child.module}.{alias.name}" for alias in child.names]
                found.update(name if name in MODULES else child.module for name in whole)
            elif isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names if alias.name in MODULES)
            visit(child)

    visit(tree)
    return found - {module}


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    allowed = _allowed(package) | BASE
    wrong = [
        f"{module} imports {other}"
        for module in MODULES
        if module.split(".")[1:2] == [package]
        for other in sorted(_imports(module, top_level=False))
        if other != "lacuna" and other.split(".")[1] not in allowed
    ]
    assert not wrong, f"lacuna.{package} may import {', '.join(sorted(allowed))} only:\n" + "\n".join(wrong)


def test_every_package_has_a_place_in_the_graph() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    missing = packages - BELOW.keys() - {"pipelines", "datasets", "cli", "serve"}  # these may import everything below them
    assert not missing, f"declare in BELOW what these may import: {', '.join(sorted(missing))}"


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: _imports(module, top_level=True) for module in MODULES}
    state: dict[str, int] = {}

    def walk(module: str, path: list[str]) -> None:
        state[module] = 1
        for other in sorted(graph[module]):
            assert state.get(other) != 1, "import cycle: " + " -> ".join([*path[path.index(other) :], other])
            if other not in state:
                walk(other, [*path, other])
        state[module] = 2

    for module in MODULES:
        if module not in state:
            walk(module, [module])


def test_the_library_never_imports_kedro() -> None:
    glue = {"pipelines", "datasets", "hooks", "settings", "pipeline_registry"}
    wrong = [m for m, path in MODULES.items() if m.split(".")[1:2] and m.split(".")[1] not in glue and "kedro" in _foreign(path)]
    assert not wrong, f"move what needs Kedro to {', '.join(sorted(glue))}: {', '.join(wrong)}"


def _foreign(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_a_class_name_means_one_class() -> None:
    found = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    doubled = {name: modules for name, modules in found.items() if len(modules) > 1}
    assert not doubled, "rename one of each: " + "; ".join(f"{name} in {', '.join(ms)}" for name, ms in doubled.items())
