"""MDPE: one table of answers a subject in ``labels``, and clips of the answers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, matching, number, read_text
from lacuna.corpus.adapters.splits import split_of_person
from lacuna.corpus.schema import Target
from lacuna.errors import DataError


@register_adapter("mdpe")
class Mdpe(Adapter):
    """Reads whether each answer is a lie; the fourth column of a table, as the official code does."""

    title = "MDPE"
    licence = "EULA, research only"
    where = "https://github.com/cai-cong/MDPE (signed EULA to mdpe.contact@gmail.com)"
    paper = "Cai et al., MDPE: A Multimodal Deception Dataset with Personality and Emotional Characteristics, 2024"
    language = "Chinese"
    layout = "labels/001.csv, ... (row = question, fourth column > 0 = lie); clips 001/<name>-<question>-<name>.mp4"
    splits = "none official (the published code splits inside subjects); here by subject: 60 % train, 20 % valid, 20 % test"
    published = "193 subjects"
    verified = "the official code's reader of labels and names"
    unverified = "the release itself; emotion.csv and personality.csv, whose columns are not described, are not read"
    targets = (Target("deception", "classification", ("truth", "lie")),)
    label_files = ("labels/*.csv",)
    media = (*VIDEO, *AUDIO)

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether there are label tables named by a number."""
        tables = matching(files, "labels/*.csv")
        return bool(tables) and all(re.fullmatch(r"\d{3}", Path(table).stem) for table in tables)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        tables = find(folder, self.label_files[0])
        media = Media(folder, self.media)
        questions = {
            (parent, int(found[1])): stem for parent, stem in media.names() if (found := re.search(r"-(\d+)-", stem)) is not None
        }
        split = split_of_person(table.stem for table in tables)
        for table in tables:
            rows = [cells for cells in csv.reader(io.StringIO(read_text(table), newline="")) if cells][1:]
            for question, cells in enumerate(rows, 1):
                if len(cells) < 4:
                    raise DataError(f"{table.name} has too few columns", expected="4", found=f"{len(cells)} in row {question}")
                name = f"{table.stem}_{question}"
                lie = number(table, cells[3].strip(), name)
                stem = questions.get((table.stem, question))
                yield Row(
                    name,
                    table.stem,
                    question,
                    speaker=f"subject-{table.stem}",
                    split=split[table.stem],
                    file=media.find(f"{table.stem}/{stem}") if stem else media.path(name),
                    labels={"deception": None if lie is None else ("lie" if lie > 0 else "truth")},
                )
        notes.append("the published code puts answers of one subject into train and valid; here a subject is in one split only")
