"""What the page shows: the turns of an uploaded recording, and what the model answers with some modalities switched off."""

from __future__ import annotations

import csv
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.api import Model
from lacuna.errors import DataError, LacunaError
from lacuna.evaluation.contributions import Contributions, contributions, log_odds
from lacuna.evaluation.prediction_table import NOT_SURE, prediction_notes
from lacuna.media import Extraction, Limits, MediaError, encoders_of, encoders_of_modalities, inspect, read_audio
from lacuna.media.decode import SUFFIXES
from lacuna.recordings import extract_for, predict_recordings, without_modalities

if TYPE_CHECKING:
    import pandas as pd

TURNS = ("energy", "silero")


@dataclass(frozen=True)
class UploadLimits:
    """Bounds of what the page accepts.

    Attributes:
        megabytes: size of a recording, in 10**6 bytes.
        seconds: duration of a recording.
        characters: length of a transcript.
        wait: seconds that one decoding pass may take.
        kept: number of answers in memory whose modalities can still be switched; the oldest one is forgotten first.
    """

    megabytes: float = 200.0
    seconds: float = 600.0
    characters: int = 4000
    wait: float = 120.0
    kept: int = 8


class TooLargeError(LacunaError):
    """An upload is larger than :attr:`UploadLimits.megabytes`."""


class ForgottenError(LacunaError):
    """The features of a recording are not in memory any more."""


class RecordingReader:
    """Reads recordings with one model. The features are kept in memory, the recordings are not kept.

    Attributes:
        model: a trained model.
        limits: bounds of what is accepted.

    Raises:
        ConfigError: the model cannot read recordings, or weights of its encoders are missing.
    """

    def __init__(self, model: Model, limits: UploadLimits | None = None) -> None:
        self.model, self.limits = model, limits or UploadLimits()
        self._encode = encoders_of_modalities(model.trained.schema.modalities)
        for encoder in encoders_of(self._encode):
            encoder.prepare()
        self._kept: OrderedDict[str, tuple[Extraction, float | None]] = OrderedDict()
        self._one_at_a_time = threading.Lock()  # the number of torch's threads and the random state belong to the process

    def about(self) -> dict[str, Any]:
        """Return what the page says about the model and the limits."""
        schema, target = self.model.trained.schema, self.model.trained.schema.target
        return {
            "model": repr(self.model),
            "target": target.name,
            "classes": list(target.classes),
            "modalities": {name: (self._encode.get(name) or {}).get("name") for name in schema.dims},
            "megabytes": self.limits.megabytes,
            "seconds": self.limits.seconds,
            "characters": self.limits.characters,
            "suffixes": sorted(SUFFIXES),
        }

    def suffix_of(self, name: str) -> str:
        """Return the ending of a file name, the only part of it that is used.

        Raises:
            DataError: it is not that of a recording.
        """
        suffix = Path(name.replace("\\", "/")).suffix.lower()
        if suffix not in SUFFIXES:
            raise DataError(
                "the file is no recording that can be read",
                expected=f"a name that ends in {', '.join(sorted(SUFFIXES))}",
                found=repr(suffix),
                hint="choose a recording",
            )
        return suffix

    def read(self, path: Path | None, folder: Path, text: str = "", turns: str | None = None) -> dict[str, Any]:
        """Return the answer for a recording, see :meth:`answer`, with a ``key`` to ask for further answers.

        Args:
            path: the recording, inside ``folder``; ``None`` if there is only a transcript.
            folder: a temporary folder; the cache of features is written there too.
            text: the transcript of the whole recording, which then stays one turn.
            turns: cut the recording into turns at pauses, see :data:`TURNS`.

        Raises:
            DataError: the recording is too long, or none of its modalities can be used.
            MediaError: the recording cannot be read.
            ConfigError: the model reads none of what was sent.
        """
        seconds = None if path is None else self._seconds(path)
        text = text.strip()
        if path is None:
            with (folder / "recordings.csv").open("w", encoding="utf-8", newline="") as handle:
                csv.writer(handle).writerows([("id", "file", "text"), ("transcript", "", text)])
        elif text:
            path.with_suffix(".txt").write_text(text, "utf-8")
        options: dict[str, Any] = {
            "turns": turns if path is not None else None,
            "cache": folder / "cache",
            "limits": Limits(clip_seconds=self.limits.seconds, wait=self.limits.wait),
            "max_failed": 1.0,
        }
        with self._one_at_a_time:
            extraction = extract_for(self.model.trained, path or folder, **options)
            key = secrets.token_urlsafe(16)
            self._kept[key] = (extraction, seconds)
            while len(self._kept) > self.limits.kept:
                self._kept.popitem(last=False)
        return {"key": key, **self.answer(key)}

    def answer(self, key: str, drop: Sequence[str] = ()) -> dict[str, Any]:
        """Return what the model answers for each turn.

        Args:
            key: from :meth:`read`.
            drop: modalities that are switched off.

        Returns:
            ``seconds`` (of the recording, or ``None``), ``notes``, ``observed`` (modalities of the recording), ``failed`` (turns
            without a usable modality: start, end, reason) and ``turns``: for each ``start``, ``end`` (``None`` = the end),
            ``predicted`` (``None`` without an answer), ``confidence``, ``probabilities`` by class, ``sure`` (``None`` if the
            model has no threshold), ``set`` of classes, or ``value``, ``low``, ``high``; ``absent`` (reason by modality),
            ``recovered``, ``problems``, ``without`` (by modality, probabilities or value if it is left out, too) and
            ``evidence``: ``None``, or for models whose parts sum to the answer, ``parts`` by name and ``against``: the second
            most probable class. The parts sum to ``log(p_predicted / p_against)``, or to the value (``against`` is ``None``).

        Raises:
            ForgottenError: the recording is not in memory any more.
            ConfigError: no modality is left.
        """
        with self._one_at_a_time:
            if key not in self._kept:
                raise ForgottenError("the features of this recording are not in memory any more\n  do: send the recording again")
            extraction, seconds = self._kept[key]
            table = predict_recordings(self.model.trained, extraction, drop=drop)
            parts = contributions(self.model.trained, without_modalities(extraction.corpus, self.model.trained, drop))
            left = [name for name in extraction.corpus.frames if name in self.model.trained.schema.dims and name not in drop]
            fewer = {
                name: predict_recordings(self.model.trained, extraction, drop=[*drop, name]) for name in left if len(left) > 1
            }
        reasons = _reasons(extraction.quarantine)
        rows = table.to_dict("records")
        others: dict[str, list[dict[Any, Any]]] = {name: other.to_dict("records") for name, other in fewer.items()}
        failed = [clip for clip in extraction.clips if clip.id not in set(table["id"])]
        return {
            "seconds": seconds,
            "notes": prediction_notes(table),
            "observed": sorted(extraction.corpus.frames),
            "failed": [
                {"start": clip.start, "end": clip.end, "reason": "; ".join(reasons.get(clip.id, {}).values())} for clip in failed
            ],
            "turns": [
                {
                    **_turn(row, reasons.get(row["id"], {}), drop, {name: table[at] for name, table in others.items()}),
                    "evidence": _evidence(parts, at, row, self.model.trained.schema.target.classes),
                }
                for at, row in enumerate(rows)
            ],
        }

    def _seconds(self, path: Path) -> float | None:
        """Return the promised duration, or that of the sound if nothing is promised; raise if it is too long."""
        tracks, most = inspect(path), self.limits.seconds
        seconds = tracks.duration
        if seconds is None and tracks.audio:  # browsers record without a duration
            with suppress(MediaError):  # what is wrong with the sound is told when it is encoded
                seconds = read_audio(path, limits=Limits(clip_seconds=most + 1, wait=self.limits.wait)).seconds
        if seconds is not None and seconds > most:
            raise DataError(
                "the recording is too long",
                expected=f"at most {most:g} s",
                found=f"{seconds:.0f} s",
                hint="send a part of it, or start the page with a larger --max-seconds",
            )
        return seconds


def _turn(row: dict[Any, Any], problems: dict[str, str], drop: Sequence[str], fewer: dict[str, dict[Any, Any]]) -> dict[str, Any]:
    """Return one turn of :meth:`RecordingReader.answer` from its row of the table of predictions."""
    reasons = {"text": "there is no transcript"} | problems | dict.fromkeys(drop, "switched off")
    absent = {name: reasons.get(name, "not observed") for name in _parts(row["absent"])}
    return {
        "start": row["start"],
        "end": _number(row["end"]),
        "predicted": row.get("predicted") or None,
        "confidence": _number(row.get("confidence")),
        "sure": {"sure enough": True, NOT_SURE: False}.get(row.get("sureness", "")),
        "set": _parts(row.get("prediction_set", "")),
        **_scores(row),
        "low": _number(row.get("low")),
        "high": _number(row.get("high")),
        "absent": absent,
        "recovered": _parts(row["recovered"]),
        "problems": {name: reason for name, reason in problems.items() if name not in absent},
        "without": {name: _scores(other) for name, other in fewer.items() if name not in absent},
    }


def _evidence(parts: Contributions, at: int, row: dict[Any, Any], classes: Sequence[str]) -> dict[str, Any] | None:
    """Return the parts of an answer, those that are exactly zero left out; ``None`` without parts or without an answer."""
    if not parts or row["nothing_observed"]:
        return None
    if classes:
        second, first = sorted(range(len(classes)), key=lambda code: row[f"p_{classes[code]}"])[-2:]
        against, values = classes[second], log_odds(parts, at, first, second)
    else:
        against, values = None, {name: float(part[at, 0]) for name, part in parts.items()}
    return {"against": against, "parts": {name.removeprefix("evidence."): value for name, value in values.items() if value}}


def _scores(row: dict[Any, Any]) -> dict[str, Any]:
    probabilities = {str(name)[2:]: float(value) for name, value in row.items() if str(name).startswith("p_")}
    return {"probabilities": probabilities, "value": _number(row.get("value"))}


def _reasons(quarantine: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return what is wrong by clip and modality."""
    reasons: dict[str, dict[str, str]] = {}
    for row in quarantine.itertuples():
        by_modality = reasons.setdefault(str(row.id), {})
        earlier = by_modality.get(str(row.modality))
        by_modality[str(row.modality)] = str(row.reason) if earlier is None else f"{earlier}; {row.reason}"
    return reasons


def _parts(text: str) -> list[str]:
    return text.split("+") if text else []


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


__all__ = ["TURNS", "ForgottenError", "RecordingReader", "TooLargeError", "UploadLimits"]
