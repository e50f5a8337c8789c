"""Evaluation protocols of the field, one file a protocol: pure functions of two tables, predictions and truth."""

from lacuna.metrics.protocols.answer_map import AnswerMap, answer_map, read_answer_map
from lacuna.metrics.protocols.answers import answers_report, map_answers, read_answers
from lacuna.metrics.protocols.files import read_table
from lacuna.metrics.protocols.intervals import score_with_intervals
from lacuna.metrics.protocols.registry import (
    ProtocolScore,
    ScoringProtocol,
    get_protocol,
    list_protocols,
    protocols_markdown,
    score_tables,
)

__all__ = [
    "AnswerMap",
    "ProtocolScore",
    "ScoringProtocol",
    "answer_map",
    "answers_report",
    "get_protocol",
    "list_protocols",
    "map_answers",
    "protocols_markdown",
    "read_answer_map",
    "read_answers",
    "read_table",
    "score_tables",
    "score_with_intervals",
]
