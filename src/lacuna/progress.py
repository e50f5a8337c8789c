"""Progress of long work, with the time left: a bar on a terminal, plain log lines elsewhere.

Work inside of other work has no bar of its own: it moves the bar of the whole. So a command shows one bar at a time, also if the
parts run in other processes (:mod:`lacuna.parallel`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

PAUSE = 10.0  # seconds between two plain lines
Show = Callable[[float, str, bool], None]  # share that is done (0 to 1), what is done now, whether a plain line is due
T = TypeVar("T")
_log = logging.getLogger(__name__)
_whole: ContextVar[Show | None] = ContextVar("whole", default=None)  # of the work that this work is a part of


class WorkProgress:
    """Progress of one piece of work; :func:`progress` opens it.

    Attributes:
        total: units of work, at least 0.
        done: units that are done.
    """

    def __init__(self, total: float, show: Show) -> None:
        self.total, self.done, self._show = total, 0.0, show

    def update(self, done: float, note: str = "", *, line: bool = False) -> None:
        """Show how much is done.

        Args:
            done: units of work.
            note: what is done now; by default the numbers.
            line: write a plain line even if the last one is less than ten seconds old; a terminal shows the bar in any case.
        """
        self.done = done
        self._show(min(1.0, done / self.total) if self.total else 1.0, note or f"{int(done)} of {self.total:g}", line)

    @contextmanager
    def part(self, size: float = 1.0) -> Iterator[None]:
        """Count the work in the block as some units of this work; what it shows moves this progress.

        Args:
            size: units of work.
        """
        start = self.done

        def show(share: float, note: str, line: bool) -> None:
            self.update(start + size * share, note, line=line)

        with shown_by(show):
            yield
        self.update(start + size)


@contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """Pass the progress of the work in the block to a function instead of showing it."""
    token = _whole.set(show)
    try:
        yield
    finally:
        _whole.reset(token)


@contextmanager
def progress(title: str, total: float, done: float = 0.0) -> Iterator[WorkProgress]:
    """Show the progress of the work in the block.

    Args:
        title: what is done, e.g. ``scoring``.
        total: units of work.
        done: units that were done before.

    >>> with progress("scoring", 4) as scoring:
    ...     scoring.update(1)
    """
    whole = _whole.get()
    if whole is not None:
        yield WorkProgress(total, lambda share, note, line: whole(share, f"{title}: {note}", line))
    elif sys.stderr.isatty():
        with _bar(title, total, done) as show:
            yield WorkProgress(total, show)
    else:
        yield WorkProgress(total, _lines(title, done / total if total else 0.0))


def tracked(items: Sequence[T], title: str) -> Iterator[T]:
    """Yield the items, and show how many of them are done.

    >>> list(tracked("ab", "letters"))
    ['a', 'b']
    """
    with progress(title, len(items)) as shown:
        for number, item in enumerate(items):
            shown.update(number)
            yield item
        shown.update(len(items))


@contextmanager
def _bar(title: str, total: float, done: float) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    left = (TimeRemainingColumn(), TextColumn("left  {task.fields[note]}"))
    with Bar(*columns, *left, console=Console(stderr=True), transient=True, speed_estimate_period=600) as bar:
        task = bar.add_task(title, total=total, note="")
        bar.update(task, completed=done)
        yield lambda share, note, line: bar.update(task, completed=share * total, note=note)


def _lines(title: str, first: float) -> Show:
    """Return a function that logs plain lines.

    Args:
        title: of the work.
        first: share that was done before.
    """
    began = last = time.monotonic()

    def show(share: float, note: str, line: bool) -> None:
        nonlocal last
        now = time.monotonic()
        if line or now - last > PAUSE:
            last = now
            _log.info("%s: %s%s", title, note, time_left(share - first, 1 - share, now - began))

    return show


def time_left(done: float, remaining: float, seconds: float) -> str:
    """Return the time that is left in words, empty if it is not known or below a second.

    Args:
        done: share of the work, 0 to 1.
        remaining: share of the work.
        seconds: that the share ``done`` took.

    >>> time_left(0.25, 0.75, 30.0), time_left(0.5, 0.5, 300.0), time_left(0.0, 1.0, 9.0)
    (', about 90 s left', ', about 5 min left', '')
    """
    left = seconds * remaining / done if done > 0 else 0.0
    return f", about {in_words(left)} left" if left >= 1 else ""


def in_words(seconds: float) -> str:
    """Return a duration in words.

    >>> in_words(7.4), in_words(300), in_words(7800)
    ('7 s', '5 min', '2 h 10 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours >= 2 else f"{60 * hours + minutes} min"
