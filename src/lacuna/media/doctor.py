"""What a folder of recordings holds, without encoding anything: the answer of ``lacuna doctor``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lacuna.corpus.diagnosis import Diagnosis
from lacuna.errors import LacunaError
from lacuna.media.clips import Clips, clips_of
from lacuna.media.decode import Tracks, inspect
from lacuna.media.names import recognise_names
from lacuna.media.problems import MediaError

_LONG = 60.0  # seconds; a longer recording without a table probably holds several turns
_MOST = 5  # unreadable files that are named one by one


def examine_recordings(path: Path) -> Diagnosis:
    """Return the diagnosis of a recording or of a folder of recordings; only the headers of the files are read."""
    kind = "a recording" if path.is_file() else "a folder of recordings"
    try:
        clips = clips_of(path)
    except LacunaError as error:
        return Diagnosis(path.name, kind, errors=(str(error),), advice="correct what the error names")
    tracks: dict[Path, Tracks] = {}
    broken: dict[Path, str] = {}
    for file in dict.fromkeys(clip.path for clip in clips.clips if clip.path is not None):
        try:
            tracks[file] = inspect(file)
        except MediaError as error:
            broken[file] = error.problem.reason
    warnings = tuple(_warnings(clips, tracks, broken))
    readable = any(clip.text or clip.path in tracks for clip in clips.clips)
    errors = () if readable else (f"none of {len(broken)} recordings can be read",)
    return Diagnosis(
        path.name,
        kind,
        readable,
        "recordings" if readable else None,
        summary=_facts(clips, tracks),
        warnings=warnings,
        errors=errors,
        advice=_advice(path, clips, tracks) if readable else "check the files",
    )


def _facts(clips: Clips, tracks: Mapping[Path, Tracks]) -> dict[str, str]:
    facts = {"clips": f"{len(clips.clips)} in {len(tracks)} readable files, {len(set(clips.dialogues))} dialogues"}
    if tracks:
        formats = Counter(one.format for one in tracks.values())
        seconds = [one.duration for one in tracks.values() if one.duration is not None]
        facts["files"] = ", ".join(f"{name} {n}" for name, n in formats.most_common())
        n_audio, n_video = sum(one.audio for one in tracks.values()), sum(one.video for one in tracks.values())
        facts["tracks"] = f"sound in {n_audio}, picture in {n_video}"
        if seconds:
            facts["durations"] = f"{sum(seconds) / 60:.1f} minutes in all, {min(seconds):.1f} to {max(seconds):.1f} s a file"
    facts["transcripts"] = f"{sum(bool(clip.text) for clip in clips.clips)} of {len(clips.clips)} clips"
    facts["speakers"] = ", ".join(sorted(set(clips.speakers))[:8])
    for target in clips.targets:
        codes = Counter(clips.labels[target.name]) if target.classes else Counter()
        counts = ", ".join(f"{name} {codes[code]}" for code, name in enumerate(target.classes))
        facts[f"target {target.name}"] = counts or "numbers"
    return facts | {f"note {number}": note for number, note in enumerate(clips.notes, 1)}


def _warnings(clips: Clips, tracks: Mapping[Path, Tracks], broken: Mapping[Path, str]) -> list[str]:
    warnings = [f"{reason}" for reason in list(broken.values())[:_MOST]]
    if len(broken) > _MOST:
        warnings.append(f"{len(broken) - _MOST} more files cannot be read")
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
