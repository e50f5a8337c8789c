"""Print the size of the source by folder, the longest files, and draw which package imports which.

Usage: ``python benchmarks/structure.py [--draw docs/images/imports.svg]``. Prints Markdown. Code lines are lines without
docstrings, comments and blank lines.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lacuna"
COLUMNS = (  # left to right: a package imports packages to its left only
    ("corpus",),
    ("synthetic", "shift", "missing"),
    ("metrics",),
    ("models",),
    ("training",),
    ("evaluation",),
    ("tuning",),
    ("reporting",),
    ("bench", "api"),
    ("cli", "pipelines"),
)
TOP = {"api": "api", "loading": "api", "results": "api", "runs": "api"}  # modules beside the packages, drawn as one box


def code_lines(path: Path) -> int:
    """Return the number of lines that hold code."""
    text = path.read_text("utf-8")
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    used: set[int] = set()
    ignored = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.ENCODING,
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in ignored:
            used.update(range(token.start[0], token.end[0] + 1))
    return len(used - skipped)


def package_of(module: str) -> str:
    """Return the box of a module's full name, or an empty string for modules that every package may import."""
    parts = module.split(".")
    first = parts[1] if len(parts) > 1 else ""
    first = TOP.get(first, first)
    return {"datasets": "pipelines"}.get(first, first) if any(first in c for c in COLUMNS) or first == "datasets" else ""


def imports() -> Counter[tuple[str, str]]:
    """Return how many import statements lead from one package to another."""
    found: Counter[tuple[str, str]] = Counter()
    for path in SOURCE.rglob("*.py"):
        own = package_of("lacuna." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                other = package_of(name) if name.startswith("lacuna.") else ""
                if own and other and own != other:
                    found[own, other] += 1
    return found


def draw() -> str:
    """Return an SVG with a box for each package and an arrow for each pair of packages of which one imports the other."""
    place = {}
    for x, column in enumerate(COLUMNS):
        for y, name in enumerate(column):
            place[name] = (20 + 118 * x, 210 + 70 * (y - (len(column) - 1) / 2))
    lines = []
    for (own, other), count in sorted(imports().items()):
        (x1, y1), (x2, y2) = place[own], place[other]
        lift = 0 if abs(x1 - x2) < 130 else (x1 - x2) / 7 * (-1 if (x1 + x2 + y1) % 3 else 1)
        width = 0.6 + min(2.0, count / 20)
        path = f"M{x1} {y1 + 15} C{x1 - 40} {y1 + 15 + lift:.0f} {x2 + 140} {y2 + 15 + lift:.0f} {x2 + 98} {y2 + 15}"
        lines.append(f'<path d="{path}" stroke-width="{width:.1f}"><title>{own} imports {other}: {count}</title></path>')
    boxes = [
        f'<rect x="{x}" y="{y}" width="98" height="30" rx="5"/><text x="{x + 49}" y="{y + 20}">{name}</text>'
        for name, (x, y) in place.items()
    ]
    size = f'width="{118 * len(COLUMNS) + 20}" height="440"'
    style = (
        "path{fill:none;stroke:#8a94b8;opacity:.55;marker-end:url(#a)}rect{fill:#eef1fb;stroke:#3949ab}"
        "text{font:13px sans-serif;text-anchor:middle;fill:#1a237e}"
    )
    marker = '<marker id="a" markerWidth="7" markerHeight="6" refX="6" refY="3" orient="auto">'
    arrow = f'{marker}<path d="M0 0L7 3L0 6z" style="fill:#8a94b8"/></marker>'
    title = "<title>Packages of Lacuna; an arrow leads from a package to one that it imports</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{title}<style>{style}</style><defs>{arrow}</defs>'
    return head + "".join(lines) + "".join(boxes) + "</svg>\n"


def main() -> None:
    """Print the tables, and draw the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=Path)
    wanted = parser.parse_args()
    if wanted.draw:
        wanted.draw.write_text(draw(), "utf-8")
    for title, folder in (("src/lacuna", SOURCE), ("tests", ROOT / "tests")):
        sizes = {path: len(path.read_text("utf-8").splitlines()) for path in sorted(folder.rglob("*.py"))}
        code = {path: code_lines(path) for path in sizes}
        groups: dict[str, list[Path]] = {}
        for path in sizes:
            parts = path.relative_to(folder).parts
            groups.setdefault(parts[0] if len(parts) > 1 else ".", []).append(path)
        print(f"\n## {title}\n\n| folder | files | lines | code lines |\n|---|---|---|---|")
        for name, paths in sorted(groups.items()):
            print(f"| {name} | {len(paths)} | {sum(sizes[p] for p in paths)} | {sum(code[p] for p in paths)} |")
        print(f"| **all** | {len(sizes)} | {sum(sizes.values())} | {sum(code.values())} |")
        print(f"\nMedian file: {statistics.median(sizes.values()):.0f} lines. Longest:")
        for path in sorted(sizes, key=sizes.__getitem__, reverse=True)[:10]:
            print(f"- {path.relative_to(ROOT)}: {sizes[path]} lines, {code[path]} of code")


if __name__ == "__main__":
    main()
