"""What a folder of recordings holds and which of them can be used: the answer of ``lacuna doctor``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.corpus.diagnosis import Diagnosis
from lacuna.errors import DataError, LacunaError
from lacuna.media.check import ALL_SECONDS, TRACK_SECONDS, Checked, check_clips, checkers, looks_for_faces
from lacuna.media.clips import Clips, clips_of
from lacuna.media.decode import Tracks, inspect
from lacuna.media.names import recognise_names
from lacuna.media.problems import MediaError
from lacuna.media.quarantine import MAX_FAILED, check_share, notes_of, quarantine_table

if TYPE_CHECKING:
    import pandas as pd

_LONG = 60.0  # seconds; a longer recording without a table probably holds several turns
_MOST = 20  # clips that are named one by one
_COUNTED = ("no_track", "no_text")  # kinds that the facts count, unless they are the reason of a quarantine


def examine_recordings(path: Path) -> Diagnosis:
    """Return the diagnosis of a recording or of a folder of recordings.

    Every clip is decoded as by an extraction, with bounds on time (:func:`lacuna.media.check.check_clips`), so that outcome and
    reason of a clip are those of its quarantine table. It can be used if an extraction with the default settings ends well.
    """
    kind = "a recording" if path.is_file() else "a folder of recordings"
    try:
        clips = clips_of(path)
    except LacunaError as error:
        return Diagnosis(path.name, kind, errors=(str(error),), advice="correct what the error names")
    tracks: dict[Path, Tracks] = {}
    for file in dict.fromkeys(clip.path for clip in clips.clips if clip.path is not None):
        try:
            tracks[file] = inspect(file)
        except MediaError:
            continue  # its reason is in the table of problems
    checked = check_clips(clips.clips, checkers())
    errors: tuple[str, ...] = ()
    try:
        check_share(path.name, clips.clips, checked.results, MAX_FAILED)
    except DataError as error:
        errors = (str(error),)
    problems = quarantine_table(clips.clips, checked.results)
    return Diagnosis(
        path.name,
        kind,
        not errors,
        None if errors else "recordings",
        summary=_facts(clips, tracks, checked),
        warnings=(*_problem_lines(problems), *_warnings(clips, tracks)),
        errors=errors,
        advice="correct what the error names" if errors else _advice(path, clips, tracks),
    )


def _facts(clips: Clips, tracks: Mapping[Path, Tracks], checked: Checked) -> dict[str, str]:
    facts = {"clips": f"{len(clips.clips)} in {len(tracks)} readable files, {len(set(clips.dialogues))} dialogues"}
    if tracks:
        formats = Counter(one.format for one in tracks.values())
        seconds = [one.duration for one in tracks.values() if one.duration is not None]
        facts["files"] = ", ".join(f"{name} {n}" for name, n in formats.most_common())
        n_audio, n_video = sum(one.audio for one in tracks.values()), sum(one.video for one in tracks.values())
        facts["tracks"] = f"sound in {n_audio}, picture in {n_video}"
        if seconds:
            facts["durations"] = f"{sum(seconds) / 60:.1f} minutes in all, {min(seconds):.1f} to {max(seconds):.1f} s a file"
    rest = "" if checked.n_decoded == len(clips.clips) else "; the others were opened only, or in part"
    bound = f"at most {TRACK_SECONDS:.0f} s of decoding a track, no clip after {ALL_SECONDS:.0f} s"
    facts["decoded"] = f"{checked.n_decoded} of {len(clips.clips)} clips as far as they can be read ({bound}){rest}"
    if any(one.video for one in tracks.values()) and not looks_for_faces():
        facts["faces"] = "not looked for, as their network is missing (lacuna assets fetch face-landmarker)"
    facts["transcripts"] = f"{sum(bool(clip.text) for clip in clips.clips)} of {len(clips.clips)} clips"
    facts["speakers"] = ", ".join(sorted(set(clips.speakers))[:8])
    for target in clips.targets:
        codes = Counter(clips.labels[target.name]) if target.classes else Counter()
        counts = ", ".join(f"{name} {codes[code]}" for code, name in enumerate(target.classes))
        facts[f"target {target.name}"] = counts or "numbers"
    return facts | {f"note {number}": note for number, note in enumerate(clips.notes, 1)}


def _problem_lines(problems: pd.DataFrame) -> list[str]:
    """Return a line a clip with its outcome and reasons, those in quarantine first, and counts of what is not shown."""
    quarantined = problems["outcome"] == "quarantined"
    shown = problems[quarantined | ~problems["kind"].isin(_COUNTED)].assign(used=~quarantined)
    shown = shown.sort_values("used", kind="stable")
    ids = shown["id"].unique()
    lines = [f"{name}: {_verdict(shown[shown['id'] == name])}" for name in ids[:_MOST]]
    rest = shown[shown["id"].isin(ids[_MOST:])]
    return [*lines, *([f"{len(ids) - _MOST} more clips: {', '.join(notes_of(rest))}"] if len(rest) else [])]


def _verdict(rows: pd.DataFrame) -> str:
    """Return the outcome and the reasons of one clip; modalities with the same ones are named together."""
    reasons = rows.groupby("modality", sort=False)["reason"].agg("; ".join)
    outcomes = rows.groupby("modality", sort=False)["outcome"].first()
    if "quarantined" in outcomes.to_numpy():
        return f"quarantined ({'; '.join(dict.fromkeys(reasons))})"
    modalities: dict[str, list[str]] = {}
    for modality, outcome, reason in zip(reasons.index, outcomes, reasons, strict=True):
        modalities.setdefault(f"{outcome} ({reason})", []).append(modality)
    return ", ".join(f"{' and '.join(names)} {verdict}" for verdict, names in modalities.items())


def _warnings(clips: Clips, tracks: Mapping[Path, Tracks]) -> list[str]:
    warnings = []
    if not clips.targets:
        warnings.append("no labels: the recordings can be predicted, not trained on")
    if not clips.tables and clips.targets == () and recognise_names([p.stem for p in tracks]) is None and len(tracks) > 1:
        warnings.append("the file names follow no known rule, so that speakers, dialogues and labels are not known")
    return warnings


def _advice(path: Path, clips: Clips, tracks: Mapping[Path, Tracks]) -> str:
    long = not clips.tables and any((one.duration or 0) > _LONG for one in tracks.values())
    turns = " --turns energy" if long else ""
    lines = [f"lacuna features {path} --out {path.stem}_corpus{turns}"]
    if not clips.targets:
        lines += [
            f"or predict: lacuna predict MODEL {path}{turns}",
            "to train, write recordings.csv with labels: id,file,start,end,text,dialogue,turn,speaker,split,emotion",
        ]
    return "\n".join(lines)
