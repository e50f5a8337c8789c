"""The figure and the table that show what masks remove."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from lacuna.missing import MaskFile
from lacuna.reporting.core.style import finish, plain
from lacuna.reporting.core.words import panel_label, percent

UTTERANCES = 12  # in the figure
WIDEST = 24  # columns of an utterance in the figure; a longer one is shown in this many steps
COLORS = [[0, "#e8702a"], [0.5, "#e8702a"], [0.5, "#b9d9ec"], [1, "#b9d9ec"]]  # missing, present
COLUMNS = ["corpus", "pattern", "setting", "rate", "mask_seed", "measured_rate", "unit", "n"]


def mask_table(file: MaskFile) -> pd.DataFrame:
    """Return a row for each mask: pattern, setting, nominal rate, seed, measured rate with its unit, number of utterances."""
    rows = [[file.corpus, m.pattern, m.setting, m.rate, m.seed, m.measured, m.unit, len(file.ids)] for m in file.masks]
    return pd.DataFrame(rows, columns=COLUMNS)


def mask_figure(file: MaskFile) -> go.Figure:
    """Return which frames of the first utterances are present, one panel for each pattern.

    A panel shows one mask of the pattern: that with the rate nearest to 0.5. Utterances lie side by side, and their modalities
    one below the other; each modality is stretched to the length of the longest one.

    Args:
        file: the masks.
    """
    shown: dict[str, int] = {}
    for index in sorted(range(len(file.masks)), key=lambda i: abs(file.masks[i].rate - 0.5)):
        shown.setdefault(file.masks[index].pattern, index)
    order = sorted(shown.values())
    titles = [f"{plain(panel_label(m.pattern, m.setting))}, rate {percent(m.rate)}" for m in (file.masks[i] for i in order)]
    n_panels = max(1, len(order))
    figure = make_subplots(rows=n_panels, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.3 / n_panels)
    ids = file.ids[:UTTERANCES]
    width = np.clip(np.max([count[: len(ids)] for count in file.count.values()], axis=0, initial=1), 1, WIDEST)
    names = np.repeat(np.array(ids, object), width)
    for row, index in enumerate(order, 1):
        flags = [_stretched(file, m, index, width) for m in file.count]
        figure.add_heatmap(
            z=flags,
            y=[plain(m) for m in file.count],
            customdata=np.broadcast_to(names, (len(flags), len(names))),
            coloraxis="coloraxis",
            ygap=3,
            hovertemplate="%{customdata}, %{y}: %{z}<extra>1 = present, 0 = missing</extra>",
            row=row,
            col=1,
        )
        for edge in np.cumsum(width)[:-1]:
            figure.add_vline(x=float(edge) - 0.5, line_width=1, line_color="#5a626c", row=row, col=1)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showticklabels=False, showgrid=False)
    if order:
        figure.update_xaxes(title_text=f"Frames of the first {len(ids)} utterances", row=len(order), col=1)
    alt = f"Present and missing frames of {len(ids)} utterances of {file.corpus} under {len(order)} patterns."
    finish(figure, "Orange frames are missing", height=140 + 130 * n_panels, alt=alt)
    return figure.update_layout(coloraxis={"colorscale": COLORS, "cmin": 0, "cmax": 1, "showscale": False})


def _stretched(file: MaskFile, modality: str, index: int, width: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (sum width,) flags of the first utterances, NaN where the modality has no frames."""
    count = file.count[modality]
    flags = np.unpackbits(file.present[modality][index], count=int(count.sum()))
    pieces = [np.zeros(0)]
    for start, n, cells in zip(file.start[modality].tolist(), count.tolist(), width.tolist(), strict=False):
        place = ((np.arange(cells) + 0.5) * n / cells).astype(np.int64)
        pieces.append(flags[start + place].astype(np.float64) if n else np.full(cells, np.nan))
    return np.concatenate(pieces)
