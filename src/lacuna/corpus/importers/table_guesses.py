"""What the label columns of a table look like, so that the doctor can name the option that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lacuna.corpus.importers.sheets import STANDARD, read_sheet
from lacuna.corpus.importers.table import TABLES, table_files

_CODES = 20  # more whole numbers are a scale
_RATERS = 100  # larger numbers are not counts of votes


def likely_votes(path: Path) -> list[str]:
    """Return the columns that look like rater votes: small counts, 0 in some rows, not all 0 in any row.

    Args:
        path: a folder that this importer reads.

    Returns:
        Their names; empty if there are fewer than two.
    """
    files = table_files(path)
    table, _ = read_sheet(next(files[t] for t in TABLES if t in files))
    columns = []
    for column in [c for c in table.columns if c not in STANDARD]:
        votes = table[column].to_numpy()
        if votes.dtype.kind in "iuf" and ((votes >= 0) & (votes <= _RATERS) & (votes % 1 == 0)).all() and not votes.all():
            columns.append(str(column))
    return columns if len(columns) > 1 and (table[columns].sum(axis=1) > 0).all() else []


def likely_classes(path: Path) -> list[str]:
    """Return the columns that look like codes of classes: whole numbers from 0 or 1, none of them skipped, each used often.

    Args:
        path: a folder that this importer reads.
    """
    files = table_files(path)
    table, _ = read_sheet(next(files[t] for t in TABLES if t in files))
    columns = []
    for column in [c for c in table.columns if c not in STANDARD]:
        codes = table[column].dropna().to_numpy()
        if codes.dtype.kind not in "iuf" or not len(codes):
            continue
        values, counts = np.unique(codes, return_counts=True)
        often = counts.min() >= max(2, len(codes) / (10 * len(values)))  # a tenth of an equal share
        if often and 1 < len(values) <= _CODES and (values == values[0] + np.arange(len(values))).all():
            columns += [str(column)] if values[0] in (0, 1) else []
    return columns
