"""Chords that somebody wrote down: from the lines of a file to labels of a song, and whether those can belong to it.

An entry is a line of a text file or an observation of a JAMS file. One that cannot be read costs its own span, which becomes X (unknown), and is listed as
`line 3: found ..., expected ...`. Labels whose times cannot be the song's are not believed at all: UserError says why. Times in seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path

from ostinato.corpus.timed_tables import Row, number, read_timed_table
from ostinato.files import UserError
from ostinato.harmony.chords import Chord, ChordError, Reading, read

#: Overlaps and gaps up to this, s, are how programs round.
ROUNDING_SECONDS = 0.05
#: Labels may end this much after the song, s or as a share of it: another master fades out later.
BEYOND_SECONDS, BEYOND_SHARE = 10.0, 0.1
#: Labels that cover less of the song are of another song, or in another unit.
FEWEST_COVERED = 0.5
#: What is called N elsewhere.
SILENCE = ("silence", "none")
#: Units of time that are taken for seconds, and how many of them a second has.
UNITS = {"ms": 1e3, "hundredths of a second": 1e2, "microseconds": 1e6, "100 ns, as HTK counts": 1e7, "minutes": 1 / 60, "hours": 1 / 3600}
SAMPLE_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)


@dataclass(frozen=True)
class Entry:
    """What stands in one place (`line 3`, `chord 3`) of a file: times (s; None where there is none), text, all of it as found."""

    place: str
    start: float | None
    end: float | None
    text: str
    found: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Label:
    """A chord from `start` to `end`, s, how it was written, and how sure its file is, 0-1."""

    start: float
    end: float
    reading: Reading
    confidence: float = 1.0


def unknown(written: str = "") -> Reading:
    """What is meant by words that nobody can read, or by none: X, and nothing in Harte's syntax."""
    return Reading(Chord("X", ""), written, True, "")


def chord_entries(path: Path | str) -> list[Entry]:
    """The chords of a text file. Raises UserError where it is no text."""
    table = read_timed_table(path)
    if table.columns:
        return [_named(row, table.columns) for row in table.rows]
    ends = _ends(table.rows)
    return [Entry(f"line {row.line}", next(iter(row.numbers), None), end, _text(row.words), row.raw) for row, end in zip(table.rows, ends)]


def _named(row: Row, columns: dict[str, int]) -> Entry:
    """A line under a heading."""
    cells = {kind: row.cells[place] if place < len(row.cells) else "" for kind, place in columns.items()}
    start, end, duration = (number(cells.get(kind, "")) for kind in ("start", "end", "duration"))
    if end is None and start is not None and duration is not None:
        end = start + duration
    return Entry(f"line {row.line}", start, end, cells["text"], row.raw)


def _ends(rows: list[Row]) -> list[float | None]:
    """When the chords of lines end, s: at their second number; or so much later than the first, or than the third says (Sonic Visualiser's start, value,
    duration), where that is when the next begins; None where there is one number."""
    numbers = [row.numbers for row in rows]
    ends = [one[1] if len(one) > 1 else None for one in numbers]
    for place in (1, 2):
        later = [one[0] + one[place] if len(one) > place else None for one in numbers]
        if len(rows) > 2 and _joints(later, numbers) > max(_joints(ends, numbers), 0.9 * (len(rows) - 1)):
            return later
    return ends


def _joints(ends: list[float | None], numbers: list[tuple[float, ...]]) -> int:
    """How many chords end where the next begins."""
    return sum(end is not None and bool(after) and abs(end - after[0]) <= ROUNDING_SECONDS for end, after in zip(ends, numbers[1:]))


def _text(words: tuple[str, ...]) -> str:
    """The chord among the words after the times: as many of them as make a name (`A minor`, not `A`); a comment or a number, such as the bar's, may follow."""
    if len(words) < 2 or number(words[1]) is not None:  # `C 7` may be C in the seventh bar
        return words[0] if words else ""
    return next((text for count in range(len(words), 1, -1) if _reading(text := " ".join(words[:count]))), words[0])


def _reading(text: str) -> Reading | None:
    try:
        return read("N" if text.lower() in SILENCE else text)
    except ChordError:
        return None


def labels_of(entries: list[Entry], duration: float) -> tuple[list[Label], list[str]]:
    """Labels, rising and without overlaps, and what is wrong with entries.

    Raises:
        UserError: these cannot be the chords of a song of `duration` s.
    """
    _refuse_no_number(entries)
    if all(entry.end in (entry.start, None) for entry in entries):  # points in time: a chord lasts until the next
        entries = [replace(entry, end=None) for entry in entries]
    entries = _once(entries)
    places = _rising(entries)
    problems = {place: _misplaced(entries[place]) for place in set(range(len(entries))) - set(places)}
    labels: list[Label] = []
    for place, after in zip(places, [*places[1:], None]):
        label, problem = _label(entries[place], None if after is None else entries[after], place + 1 in problems, duration)
        problem = problem or _early(entries[place], labels)
        problems |= {place: problem} if problem else {}
        labels.append(label)
    listed = [f"{entries[place].place}: found '{excerpt(entries[place].found)}', expected {problems[place]}" for place in sorted(problems)]
    _refuse_strange(labels, listed, duration)
    return _unmixed(labels), listed


def _once(entries: list[Entry]) -> list[Entry]:
    """Entries without those said twice, and without those that last no time where another begins."""
    first = list({(entry.start, entry.end, entry.text): entry for entry in reversed(entries)}.values())[::-1]
    begun = {entry.start for entry in first if entry.end != entry.start}
    return [entry for entry in first if entry.start is None or entry.end != entry.start or entry.start not in begun]


def _rising(entries: list[Entry]) -> list[int]:
    """Places of the most entries whose starts rise: one wrong time spoils no other."""
    ends: list[float] = []  # the least start that a rising row of each length can end with, and where it stands
    at: list[int] = []
    came: dict[int, int] = {}
    for place, entry in enumerate(entries):
        if entry.start is None or (entry.end is not None and entry.end <= entry.start):
            continue
        length = bisect_right(ends, entry.start)
        came[place] = at[length - 1] if length else -1
        ends[length : length + 1], at[length : length + 1] = [entry.start], [place]
    row, place = [], at[-1] if at else -1
    while place >= 0:
        row.append(place)
        place = came[place]
    return row[::-1]


def _misplaced(entry: Entry) -> str:
    """What was expected of an entry that has no place in time."""
    if entry.start is None:
        return "start, end and chord, or start and chord"
    if entry.end is not None and entry.end <= entry.start:
        return f"an end after {entry.start:g} s"
    return "times that rise from line to line"


def _label(entry: Entry, following: Entry | None, lost: bool, duration: float) -> tuple[Label, str]:
    """The label of an entry and what was expected instead, if anything. `lost`: the next line has no place in time, so nobody knows when this one ends."""
    reading, confidence = _reading(entry.text), entry.confidence
    assert entry.start is not None
    latest = max(duration, entry.start) if following is None else following.start
    assert latest is not None  # both have a place in time
    end = latest if entry.end is None else entry.end
    problem = "" if reading else f"a chord such as C:maj or Am7; {entry.start:g}-{end:g} s become X"
    if following and following.end is not None and end > following.end + ROUNDING_SECONDS:
        problem = f"an end by {latest:g} s, where the next begins; {entry.start:g}-{latest:g} s become X"
        reading, end = None, latest
    if lost and entry.end is None:
        reading = None
    return Label(max(0.0, entry.start), end, reading or unknown(entry.text), confidence), problem


def _early(entry: Entry, labels: list[Label]) -> str:
    """What was expected of an entry that begins before the label before it ends, by more than programs round."""
    assert entry.start is not None
    if not labels or labels[-1].end - entry.start <= ROUNDING_SECONDS:
        return ""
    return f"a start from {labels[-1].end:g} s on, where the chord before ends; what both claim becomes X"


def _refuse_no_number(entries: list[Entry]) -> None:
    if not entries:
        raise UserError("empty: found no line with a time and a chord")
    for entry in entries:
        if any(time is not None and not math.isfinite(time) for time in (entry.start, entry.end)):
            raise UserError(f"{entry.place}: found '{excerpt(entry.found)}', expected times in seconds that are numbers")


def _refuse_strange(labels: list[Label], problems: list[str], duration: float) -> None:
    """Refuse labels that cannot belong to a song of `duration` s."""
    first = f"; {len(problems)} lines cannot be used, first {problems[0]}" if problems else ""
    end = max((label.end for label in labels), default=0.0)
    refuse_beyond(end, duration)
    covered = sum(max(0.0, min(label.end, duration) - label.start) for label in labels if label.reading.harte)
    if covered < FEWEST_COVERED * duration:
        raise UserError(f"covers {covered:.3g} s of a song of {duration:.1f} s{unit(end, duration)}{first}")


def refuse_beyond(end: float, duration: float) -> None:
    """Raise UserError where times end (s) far beyond a song of `duration` s."""
    if end > duration + max(BEYOND_SECONDS, BEYOND_SHARE * duration):
        raise UserError(f"ends at {end:g} s, the song at {duration:.1f} s{unit(end, duration)}")


def unit(end: float, duration: float) -> str:
    """The unit in which times that end so would fit the song, as a question."""
    rates = {f"samples ({rate} Hz)": float(rate) for rate in SAMPLE_RATES}
    name, count = min((UNITS | rates).items(), key=lambda known: abs(math.log(max(end, 1e-9) / duration / known[1])))
    return f"; times in {name}?" if 0.85 < end / duration / count < 1.05 else ""


def _unmixed(labels: list[Label]) -> list[Label]:
    """Labels of which no two overlap: what two claim is nobody's, but for what rounding makes."""
    spans: list[Label] = []
    for label in labels:
        if spans and spans[-1].end > label.start:
            before, shared = spans[-1], min(spans[-1].end, label.end)
            spans[-1] = replace(before, end=label.start)
            if shared - label.start > ROUNDING_SECONDS:
                spans.append(Label(label.start, shared, unknown()))
                label = replace(label, start=shared)
        spans.append(label)
    return [span for span in spans if span.end > span.start]


def cover(labels: list[Label], duration: float) -> list[Label]:
    """Labels that cover 0..duration (s): clipped to it, gaps of up to ROUNDING_SECONDS closed, X where nothing is said."""
    covered: list[Label] = []
    time = 0.0
    for label in labels:
        start, end = min(label.start, duration), min(label.end, duration)
        if end <= start:
            continue
        if start - time > ROUNDING_SECONDS:
            covered.append(Label(time, start, unknown()))
        elif covered:
            covered[-1] = replace(covered[-1], end=start)
        covered.append(replace(label, start=start if covered else 0.0, end=end))
        time = end
    if covered and duration - time <= ROUNDING_SECONDS:
        return [*covered[:-1], replace(covered[-1], end=duration)]
    return [*covered, Label(time, duration, unknown())]


def excerpt(text: str) -> str:
    """The beginning of a line, for a message."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
