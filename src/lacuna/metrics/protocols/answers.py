"""Free-text answers of large models: extract labels by a declared map, and report what could not be mapped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols.answer_map import AnswerMap
from lacuna.metrics.protocols.files import read_table
from lacuna.metrics.protocols.registry import GROUPS
from lacuna.metrics.protocols.tables import words

STATUSES = ("one label", "several labels", "negated only", "refusal", "no known word", "empty")
TEXT_COLUMNS = ("answer", "response", "text", "output", "generation", "prediction")
_PIECE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:'[^\W_]+)*|[.!?;:,\n\u3002\uff0c\uff01\uff1f\uff1b\u3001]"
)
_SENTENCE_END, _CLAUSE_END = frozenset(".!?\n\u3002\uff01\uff1f"), frozenset(",;:\uff0c\uff1b")


@dataclass(frozen=True)
class MappedAnswer:
    """What an answer says.

    Attributes:
        labels: classes in the order in which they are first affirmed.
        status: one of :data:`STATUSES`.
    """

    labels: tuple[str, ...]
    status: str


def map_answer(text: str, meaning: AnswerMap) -> MappedAnswer:
    """Return the classes that an answer affirms; see :class:`AnswerReader`.

    Example:
        >>> from lacuna.metrics.protocols.answer_map import answer_map
        >>> meaning = answer_map(["happy", "sad", "anger"])
        >>> map_answer("She isn't happy, rather sad and a bit mad.", meaning)
        MappedAnswer(labels=('sad', 'anger'), status='several labels')
        >>> map_answer("I cannot tell whether he is happy or sad.", meaning).status
        'refusal'
    """
    return AnswerReader(meaning).read(text)


class AnswerReader:
    """Reads answers by a map.

    1. If a pattern of the map matches, such as ``<answer>...</answer>``, only the part that it marks is read.
    2. Words and phrases of the map are found from left to right, the longest first. Chinese, Japanese and Korean are compared
       character by character.
    3. A label is off if a negation stands at most ``reach`` words before it in the same clause; a comma, the end of a sentence or
       a contrast word (*but*) ends the clause. Negations after the label are not understood.
    4. A refusal phrase turns off the labels that follow it in the same sentence, up to a contrast word.
    5. A class that is affirmed once counts, also if it is negated elsewhere.

    Args:
        meaning: the map.
    """

    def __init__(self, meaning: AnswerMap) -> None:
        self.meaning = meaning
        self._classes = {tuple(_pieces(word)): name for word, name in meaning.words.items()}
        self._labels = _by_first_piece(self._classes)
        self._refusals = _by_first_piece(tuple(_pieces(phrase)) for phrase in meaning.refusals)
        self._contrasts = _by_first_piece(tuple(_pieces(word)) for word in meaning.contrasts)

    def read(self, text: str) -> MappedAnswer:
        """Return the classes that an answer affirms, and its status."""
        if not text.strip():
            return MappedAnswer((), "empty")
        pieces = _pieces(_marked_part(text.strip(), self.meaning.patterns))
        reach = self.meaning.reach
        affirmed: dict[str, None] = {}
        negated = refused = refusing = False
        since_negation = reach + 1  # words since the last negation of this clause
        position = 0
        while position < len(pieces):
            piece, step = pieces[position], 1
            if piece in _SENTENCE_END or piece in _CLAUSE_END:
                refusing, since_negation = refusing and piece in _CLAUSE_END, reach + 1
            elif contrast := _longest(pieces, position, self._contrasts):
                refusing, since_negation, step = False, reach + 1, len(contrast)
            elif refusal := _longest(pieces, position, self._refusals):
                refused = refusing = True
                step = len(refusal)
            elif label := _longest(pieces, position, self._labels):
                if not refusing and since_negation > reach:
                    affirmed[self._classes[label]] = None
                negated = negated or (not refusing and since_negation <= reach)
                since_negation, step = since_negation + 1, len(label)
            elif piece in self.meaning.negations or piece.endswith("n't"):
                since_negation = 1
            else:
                since_negation += 1
            position += step
        if affirmed:
            return MappedAnswer(tuple(affirmed), STATUSES[0] if len(affirmed) == 1 else STATUSES[1])
        return MappedAnswer((), "refusal" if refused else "negated only" if negated else "no known word")


def _marked_part(text: str, patterns: Sequence[str]) -> str:
    for pattern in patterns:
        if matches := re.findall(pattern, text, re.IGNORECASE | re.DOTALL):
            return str(matches[-1])
    return text


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text.casefold().replace("\u2019", "'"))


def _by_first_piece(phrases: Iterable[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    """Return phrases by their first piece, the longest first."""
    index: dict[str, list[tuple[str, ...]]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        if phrase:
            index.setdefault(phrase[0], []).append(phrase)
    return index


def _longest(pieces: Sequence[str], position: int, index: Mapping[str, list[tuple[str, ...]]]) -> tuple[str, ...]:
    """Return the longest phrase that begins at a position, ``()`` if none does."""
    candidates = index.get(pieces[position], [])
    return next((phrase for phrase in candidates if tuple(pieces[position : position + len(phrase)]) == phrase), ())


def map_answers(table: pd.DataFrame, meaning: AnswerMap, text: str = "text") -> pd.DataFrame:
    """Return predictions of free-text answers, for `lacuna score` and the leaderboard.

    Args:
        table: ``id`` and a column of texts; optionally ``model``, ``seed`` and ``modalities``, which are kept. A list in a cell
            counts as its entries with commas between them.
        meaning: of the words.
        text: name of the column of texts.

    Returns:
        ``id``, kept columns, ``predicted`` (empty where nothing was mapped: an error in every score), ``p_<class>`` (1 for one
        label, by ``several`` for more, uniform where nothing was mapped), ``labels`` (all affirmed classes, with ``;``),
        ``status``.

    Raises:
        DataError: an id is there twice for one model and set of modalities.
    """
    kept = [column for column in GROUPS if column in table]
    if (twice := table.duplicated(["id", *kept])).any():
        raise DataError(
            "an id is there twice",
            utterance=words(table, "id")[int(np.flatnonzero(twice)[0])],
            expected="one answer an id, model and set of modalities",
        )
    cells = [", ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in table[text]]
    reader = AnswerReader(meaning)
    answers = [reader.read(cell) for cell in words(pd.DataFrame({"text": cells}), "text")]
    column = {name: index for index, name in enumerate(meaning.classes)}
    p = np.full((len(table), len(column)), 1 / len(column))
    predicted = []
    for row, answer in enumerate(answers):
        chosen = answer.labels[:1] if meaning.several == "first" else answer.labels
        if not chosen or (len(chosen) > 1 and meaning.several == "none"):
            predicted.append("")
            continue
        predicted.append(chosen[0])
        p[row] = 0
        p[row, [column[name] for name in chosen]] = 1 / len(chosen)
    result = pd.DataFrame({"id": words(table, "id")} | {name: words(table, name) for name in kept})
    result["predicted"] = predicted
    for name, index in column.items():
        result[f"p_{name}"] = p[:, index]
    result["labels"] = [";".join(answer.labels) for answer in answers]
    result["status"] = [answer.status for answer in answers]
    return result


def read_answers(path: Path, *, text: str | None = None, ids: str | None = None) -> tuple[pd.DataFrame, str]:
    """Return the table of a file of answers, with a column ``id``, and the name of its column of texts.

    Args:
        path: CSV, JSON, JSONL or parquet, see :func:`read_table`.
        text: column of texts. By default the only one of :data:`TEXT_COLUMNS`.
        ids: column of ids, ``id`` by default.

    Raises:
        ConfigError: there is no such file or column, or several columns may hold the texts.
    """
    table = read_table(path)
    columns = [str(column) for column in table.columns]
    wanted = [text] if text else [column for column in columns if column.lower() in TEXT_COLUMNS]
    if len(wanted) != 1 or wanted[0] not in columns:
        raise ConfigError(f"which column of {path} holds the answers? Say --text COLUMN; there are: {', '.join(columns)}")
    if (ids or "id") not in columns:
        raise ConfigError(
            f"{path} has no column '{ids or 'id'}' of utterance ids. Say --id COLUMN; there are: {', '.join(columns)}"
        )
    return table.rename(columns={ids: "id"}) if ids else table, wanted[0]


def answers_report(mapped: pd.DataFrame, texts: Sequence[str], limit: int = 10) -> str:
    """Return what was mapped and what was not: counts by status, and the first answers without a label.

    Args:
        mapped: of :func:`map_answers`.
        texts: the answers, in the same order.
        limit: how many answers without a label are shown.
    """
    counts, n = Counter(mapped["status"]), len(mapped)
    lines = [f"{n} answers, {int((mapped['predicted'] != '').sum())} with a predicted class"]
    lines += [f"  {status}: {counts[status]} ({counts[status] / n:.1%})" for status in STATUSES if counts[status]]
    lost = [row for row in range(n) if mapped["status"].iloc[row] in STATUSES[2:5]]
    if lost:
        lines.append(f"without a label (scored as errors), {min(limit, len(lost))} of {len(lost)}:")
        lines += [
            f"  {mapped['id'].iloc[row]} [{mapped['status'].iloc[row]}]: {' '.join(texts[row].split())[:100]}"
            for row in lost[:limit]
        ]
    return "\n".join(lines)
