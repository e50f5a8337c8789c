"""Line charts as SVG, written as plain text: small files that look the same everywhere and can be read in a diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, PAD = 320, 200, 40  # of a panel, in pixels
COLOURS = ("#2a78d6", "#eb6834", "#2b9a66", "#8a4fc7", "#b8860b")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: above it.
        below: what the horizontal axis is.
        x: ticks; the axis reaches from the first to the last.
        y: ticks; likewise.
        lines: points by name.
        bands: by name, points of the lower and of the upper edge around a line.
    """

    title: str
    below: str
    x: Sequence[float]
    y: Sequence[float]
    lines: Mapping[str, Points]
    bands: Mapping[str, tuple[Points, Points]] = field(default_factory=dict)

    def parts(self, left: int, colours: Mapping[str, str]) -> list[str]:
        """Its elements, so far from the left."""
        high, low = HEIGHT - PAD, self.y[0]
        wide, tall = WIDTH - PAD - 15, (HEIGHT - 2 * PAD) / (self.y[-1] - low)

        def place(points: Points) -> str:
            first, scale = self.x[0], wide / (self.x[-1] - self.x[0])
            return " ".join(f"{left + PAD + (px - first) * scale:.1f},{high - (py - low) * tall:.1f}" for px, py in points)

        found = [f'<text x="{left + PAD}" y="20" fill="#333">{self.title}</text>']
        for value in self.y:
            y = high - (value - low) * tall
            found.append(f'<line x1="{left + PAD}" x2="{left + WIDTH - 15}" y1="{y:g}" y2="{y:g}" stroke="#ddd"/>')
            found.append(f'<text x="{left + PAD - 6}" y="{y + 4:g}" text-anchor="end" fill="#666">{value:g}</text>')
        for value in self.x:
            x = left + PAD + (value - self.x[0]) / (self.x[-1] - self.x[0]) * wide
            found.append(f'<text x="{x:g}" y="{high + 16}" text-anchor="middle" fill="#666">{value:g}</text>')
        found.append(f'<text x="{left + WIDTH / 2:g}" y="{HEIGHT - 6}" text-anchor="middle" fill="#333">{self.below}</text>')
        for name, (under, over) in self.bands.items():
            found.append(f'<polygon points="{place([*under, *reversed(over)])}" fill="{colours[name]}" fill-opacity="0.15"/>')
        for name, points in self.lines.items():
            found.append(f'<polyline points="{place(points)}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        return found


def draw(panels: Sequence[Panel], path: Path, called: str = "{}") -> None:
    """Write panels side by side with one legend.

    Args:
        panels: they name the same lines.
        path: of the file.
        called: what the legend says of a line's name.
    """
    colours = dict(zip(panels[0].lines, COLOURS, strict=False))
    width, height = len(panels) * WIDTH, HEIGHT + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">']
    parts.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for column, panel in enumerate(panels):
        parts += panel.parts(column * WIDTH, colours)
    for place, (name, colour) in enumerate(colours.items()):
        parts.append(f'<text x="{PAD + place * (width - PAD) / len(colours):g}" y="{height - 12}" fill="{colour}">')
        parts[-1] += f"{called.format(name)}</text>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", "utf-8")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``, at most so many steps apart."""
    span = max(high - low, 1e-9)
    unit = 10.0 ** np.floor(np.log10(span / most))
    step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= most)
    first, last = int(np.floor(low / step)), int(np.ceil(high / step))
    return [round(float(n * step), 10) for n in range(first, max(last, first + 1) + 1)]
