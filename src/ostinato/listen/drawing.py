"""What was heard, for people: as a table, as text, and as a picture.

The picture has rows of half a minute, each with form, keys and cadences, chords, chromagram and beats above one another. Its colours are the page's
(`report.players`): every root has its own, major blocks are light, minor ones dark, and a tone of the chromagram has the colour of its pitch class, so
that a chord can be checked against what sounds below it. Places are seconds across and, upwards, rows of the chromagram: one unit is a semitone.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from ostinato.files import atomic
from ostinato.harmony.chords import COMMON, MAJOR_SCALE
from ostinato.harmony.colours import COMMON_NAMES, colours, pitch_colour, short
from ostinato.harmony.keys import roman
from ostinato.listen.hear import Heard
from ostinato.listen.key import UPBEAT_SECONDS, key_at

PAPER, INK, MUTED, LINE, SILENT = "#fffdf9", "#1d1a16", "#665f55", "#d8d0c3", "#ece6da"
#: Sections of the same letter look alike; after six letters the tints come again.
TINTS = ("#dccfb4", "#bfd2c4", "#d6c2d0", "#bccbdb", "#e0c4b2", "#cfd3a8")
#: A row shows this many seconds, more only where a picture would have more than MOST_ROWS rows.
ROW_SECONDS, MOST_ROWS = 30.0, 30
#: Inches, but for the resolution.
WIDTH, ROW_HEIGHT, HEADER, FOOTER, LEFT, RIGHT, DPI = 16.0, 2.75, 0.95, 0.35, 0.55, 0.3, 110
#: Lower and upper edges of the lanes of a row.
BEATS, PITCHES, CHORDS, NOTES, FORM = (-1.5, -0.3), (0.0, 12.0), (12.5, 17.0), (17.2, 19.0), (19.1, 21.0)
#: Chords less likely than UNSURE are hatched. What begins NEAR_SECONDS before a beat begins on it.
UNSURE, NEAR_SECONDS = 0.5, 0.15
#: Metres that are told one by one in a line. Beats are as dark as they are sure, but never quite white.
MOST_METRES, PALEST = 2, 0.25
#: Share of the loudest tones below which the chromagram stays empty, and above which it is opaque: a tone also lights its neighbours, faintly.
FAINT, FULL = 0.12, 0.9


def draw(path: Path, heard: Heard, title: str) -> None:
    """Draw `heard` as a PNG, atomically."""
    seconds, count = layout(heard.duration)
    height = HEADER + count * ROW_HEIGHT + FOOTER
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    _header(figure, heard, title)
    for row in range(count):
        bottom = (height - HEADER - (row + 1) * ROW_HEIGHT + 0.25) / height
        axes = figure.add_axes((LEFT / WIDTH, bottom, (WIDTH - LEFT - RIGHT) / WIDTH, (ROW_HEIGHT - 0.5) / height))
        _row(axes, heard, row * seconds, seconds)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def layout(duration: float) -> tuple[float, int]:
    """Seconds of a row and how many rows there are."""
    if duration <= ROW_SECONDS:
        return max(duration, 1.0), 1
    seconds = max(ROW_SECONDS, 10 * math.ceil(duration / MOST_ROWS / 10))
    return seconds, math.ceil(duration / seconds - 1e-6)


def clock(seconds: float, decimals: int = 0) -> str:
    """A time as people say it: 0:07, 3:42, 1:02:03; with decimals 0:07.3."""
    whole, fraction = divmod(round(seconds * 10**decimals), 10**decimals)
    hours, minutes = divmod(whole // 60, 60)
    text = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    return text + (f".{fraction:0{decimals}d}" if decimals else "")


def facts(heard: Heard) -> list[str]:
    """Length, key, tempo, metre, instrument and tuning, each as said in a line. What was not heard is left out."""
    found = [clock(heard.duration), spoken_key(heard.key)]
    if heard.tempo > 0:
        found.append(f"{heard.tempo:.1f} bpm")
    if metre := spoken_metre(heard):
        found.append(metre)
    if heard.instrument[0]:
        found.append(f"{heard.instrument[0]} ({heard.instrument[1]:.0%})")
    cents = round(100 * heard.tuning)
    return [*found, f"tuned {cents:+d} cents" if cents else "tuned to A = 440 Hz"]


def spoken_metre(heard: Heard) -> str:
    """The metre and how sure it is: `3/4 (93%)`, `4/4 then 3/4 from 1:02 (90%)`, `mostly 4/4, 5 changes (70%)`; nothing where there are no beats."""
    if not len(heard.beats):
        return ""
    names, seconds = [str(metre) for _, _, metre, _ in heard.metres], [end - start for start, end, _, _ in heard.metres]
    sure = np.average([sure for *_, sure in heard.metres], weights=seconds)
    if len(names) > MOST_METRES:
        longest = max(dict.fromkeys(names), key=lambda name: sum(length for other, length in zip(names, seconds) if other == name))
        return f"mostly {longest}, {len(names) - 1} changes ({sure:.0%})"
    return " then ".join([names[0], *(f"{name} from {clock(start)}" for name, (start, *_) in zip(names[1:], heard.metres[1:]))]) + f" ({sure:.0%})"


def spoken_key(key: object) -> str:
    """`A:minor` as `A minor`."""
    return str(key).replace(":", " ")


def rows(heard: Heard) -> list[dict[str, Any]]:
    """A row a chord. Bars count from the first downbeat, beats from 1; both are empty before the first beat, and so are cells that do not apply."""
    bars, closing, table = np.cumsum(heard.positions == 1), _goals(heard), []
    for number, ((start, end, chord), confidence) in enumerate(zip(heard.chords, heard.confidences)):
        beat, key = int(np.searchsorted(heard.beats, start + NEAR_SECONDS)) - 1, key_at(heard.keys, start)
        table.append(
            {
                "start": round(start, 3),
                "end": round(end, 3),
                "chord": chord.harte,
                "roman": roman(chord, key) if chord.is_chord else "",
                "key": str(key),
                "bass": COMMON[chord.bass_pitch_class] if chord.is_chord else "",
                "confidence": round(confidence, 3),
                "section": next((letter for first, last, letter in heard.sections if first <= start + NEAR_SECONDS < last), heard.sections[-1][2]),
                "bar": int(bars[beat]) if beat >= 0 else "",
                "beat": int(heard.positions[beat]) if beat >= 0 else "",
                "cadence": closing.get(number, ""),
            }
        )
    return table


def _goals(heard: Heard) -> dict[int, str]:
    """The kind of cadence that a chord, by its number, is the goal of."""
    sounding = [(start, number) for number, (start, _, chord) in enumerate(heard.chords) if chord.is_chord]
    return {max(number for start, number in sounding if start < cadence.time - UPBEAT_SECONDS): cadence.kind for cadence in heard.cadences}


def report(heard: Heard, title: str) -> str:
    """What was heard as text: facts, metres and keys if there are several, form, cadences, and a table of the chords."""
    lists = {
        "metres": [f"{clock(start)} {metre} ({sure:.0%})" for start, _, metre, sure in heard.metres] if len(heard.metres) > 1 and len(heard.beats) else [],
        "keys": [f"{clock(start)} {spoken_key(key)}" for start, _, key in heard.keys] if len(heard.keys) > 1 else [],
        "sections": [f"{clock(start)} {letter}" for start, _, letter in heard.sections],
        "cadences": [f"{count} {kind}" for kind, count in Counter(cadence.kind for cadence in heard.cadences).most_common()],
    }
    lines = [title, "  ".join(facts(heard))]
    lines += [textwrap.fill(", ".join(items), 100, initial_indent=f"{name:10}", subsequent_indent=" " * 10) for name, items in lists.items() if items]
    lines += ["", f"{'':3}{'time':>9}{'bar':>8}  {'chord':14}{'in its key':12}{'sure':>5}"]
    table = rows(heard)
    for row, before in zip(table, [{}, *table]):
        letter = row["section"] if row["section"] != before.get("section") else ""
        place = f"{row['bar']}.{row['beat']}" if row["beat"] else ""
        lines.append(f"{letter:3}{clock(row['start'], 1):>9}{place:>8}  {row['chord']:14}{row['roman']:12}{row['confidence']:5.0%}  {row['cadence']}".rstrip())
    return "\n".join(lines)


def _header(figure: Figure, heard: Heard, title: str) -> None:
    """Title and facts on the left, the colours of the roots on the right."""
    height, left = figure.get_figheight(), LEFT / WIDTH
    figure.text(left, 1 - 0.42 / height, textwrap.shorten(title, 70, placeholder="…"), size=17, weight="bold", color=INK, parse_math=False)
    figure.text(left, 1 - 0.72 / height, "  ·  ".join(facts(heard)), size=11, color=MUTED)
    for pitch, name in enumerate(COMMON_NAMES):
        place = ((WIDTH - RIGHT - (11.5 - pitch) * 0.4) / WIDTH, 1 - 0.4 / height)
        figure.text(
            *place, name, size=9.5, weight="bold", color=INK, ha="center", va="center", bbox={"boxstyle": "square,pad=0.45", "facecolor": pitch_colour(pitch), "edgecolor": "none"}
        )
    note = "light: major    dark: minor    hatched: unsure    below: tones sounding, bars and beats (pale: unsure)"
    figure.text(1 - RIGHT / WIDTH, 1 - 0.72 / height, note, size=9, color=MUTED, ha="right")


def _row(axes: Axes, heard: Heard, start: float, seconds: float) -> None:
    """One row: the seconds from `start`."""
    axes.set(xlim=(start, start + seconds), ylim=(BEATS[0], FORM[1]), facecolor="none")
    axes.spines[:].set_visible(False)
    _form(axes, heard)
    _cadences(axes, heard)
    _chords(axes, heard)
    _pitches(axes, heard, start, start + seconds)
    _beats(axes, heard)
    step = next(step for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600) if seconds / step <= 12 or step == 600)
    ticks = np.arange(math.ceil(start / step) * step, min(start + seconds, heard.duration) + 1e-6, step)
    axes.set_xticks(ticks, [clock(tick) for tick in ticks], size=8.5, color=MUTED)
    axes.set_yticks([step + 0.5 for step in MAJOR_SCALE], [COMMON_NAMES[step] for step in MAJOR_SCALE], size=6.5, color=MUTED)
    axes.tick_params(length=0, pad=3)


def _visible(axes: Axes, start: float, end: float) -> tuple[float, float] | None:
    """The part of a span (s) that a row shows."""
    first, last = axes.get_xlim()
    start, end = max(start, first), min(end, last)
    return (start, end) if end > start else None


def _block(axes: Axes, span: tuple[float, float], lane: tuple[float, float], **style: Any) -> None:
    """A coloured block with a hair of paper between it and the next."""
    axes.broken_barh([(span[0], span[1] - span[0])], (lane[0], lane[1] - lane[0]), **{"edgecolor": PAPER, "linewidth": 1.2, **style})


def _form(axes: Axes, heard: Heard) -> None:
    """Sections, and keys where they begin if there are several."""
    letters, point = sorted({letter for _, _, letter in heard.sections}), 1 / _points(axes, (0, 1))
    for start, end, letter in heard.sections:
        if span := _visible(axes, start, end):
            _block(axes, span, FORM, facecolor=TINTS[letters.index(letter) % len(TINTS)])
            if _points(axes, span) > 16:
                _label(axes, span[0] + 5 * point, FORM, letter, 10, INK, ha="left", weight="bold" if span[0] == start else "normal")
    borders = [axes.get_xlim()[0], *(start for start, _, _ in heard.sections)]
    for start, end, key in heard.keys if len(heard.keys) > 1 else ():
        if (span := _visible(axes, start, end)) and span[0] == start:
            letter_ends = max(border for border in borders if border <= start) + 18 * point
            _label(axes, max(start, letter_ends), FORM, f"▸ {spoken_key(key)}", 9, INK, ha="left", style="italic")


def _cadences(axes: Axes, heard: Heard) -> None:
    """The kinds of cadences before the ends of their phrases."""
    first, last = axes.get_xlim()
    for cadence in heard.cadences:
        if first < cadence.time <= last:
            axes.plot([cadence.time] * 2, [CHORDS[1], FORM[0]], color=INK, linewidth=1.4)
            _label(axes, cadence.time - 4 / _points(axes, (0, 1)), NOTES, cadence.kind, 8, MUTED, ha="right", style="italic")


def _chords(axes: Axes, heard: Heard) -> None:
    for (start, end, chord), confidence in zip(heard.chords, heard.confidences):
        if not (span := _visible(axes, start, end)):
            continue
        background, ink = colours(chord.harte)
        _block(axes, span, CHORDS, facecolor=background or SILENT)
        if confidence < UNSURE:
            _block(axes, span, CHORDS, facecolor="none", edgecolor=(ink or MUTED, 0.3), linewidth=0, hatch="////")
        middle, room = sum(span) / 2, _points(axes, span) - 3
        name = short(chord.harte)
        found = fitting(name, room, (12, 10.5, 9, 8, 7)) or fitting(name.split("/")[0], room, (8, 7, 6))
        numeral = roman(chord, key_at(heard.keys, start)) if chord.is_chord else ""
        below = fitting(numeral, room, (8.5, 7.5, 6.5)) if numeral else None
        if found:
            upper = (CHORDS[0] + 1.6, CHORDS[1] - 0.1) if below else CHORDS
            _label(axes, middle, upper, *found, ink or MUTED, weight="bold")
        if found and below:
            _label(axes, middle, (CHORDS[0] + 0.2, CHORDS[0] + 1.9), *below, ink)


def _pitches(axes: Axes, heard: Heard, start: float, end: float) -> None:
    """The chromagram: loud tones are opaque in their pitch's colour."""
    first, after = (min(round(time * heard.chroma_rate), heard.chroma.shape[1]) for time in (start, end))
    if after <= first:
        return
    loud = max(float(np.percentile(heard.chroma.max(axis=0), 95)), 1e-9)
    strength = np.clip((heard.chroma[:, first:after] / loud - FAINT) / (FULL - FAINT), 0, 1) ** 0.6
    image = np.zeros((*strength.shape, 4), np.float32)
    for pitch in range(12):
        colour = pitch_colour(pitch, 0.6)
        image[pitch, :, :3] = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    image[:, :, 3] = strength
    extent = ((first - 0.5) / heard.chroma_rate, (after - 0.5) / heard.chroma_rate, *PITCHES)
    axes.imshow(image, extent=extent, origin="lower", aspect="auto", interpolation="nearest", zorder=1)
    axes.set(xlim=(start, end), ylim=(BEATS[0], FORM[1]))  # imshow moves them


def _beats(axes: Axes, heard: Heard) -> None:
    """A tick a beat, paler where it is unsure, a longer and bolder one with its number a bar; metres where they begin, if there are several."""
    (first, last), downbeats, begins = axes.get_xlim(), heard.downbeats, heard.positions == 1
    shades = PALEST + (1 - PALEST) * np.clip(heard.sureness, 0, 1)
    for times, lane, colour, width, some in ((heard.beats[~begins], (sum(BEATS) / 2, BEATS[1]), MUTED, 0.9, shades[~begins]), (downbeats, BEATS, INK, 1.8, shades[begins])):
        axes.vlines(times, *lane, color=[to_rgba(colour, shade) for shade in some] or colour, linewidth=width)
    axes.vlines(downbeats, *PITCHES, color=LINE, linewidth=0.7, zorder=0)
    _metres(axes, heard)
    if len(downbeats) > 1:
        room = _points(axes, (0.0, float(np.median(np.diff(downbeats)))))
        every = next(bars for bars in (1, 4, 8, 16, 64) if bars * room > 16 or bars == 64)
        for number, time in enumerate(downbeats):
            if first <= time < last and number % every == 0:
                axes.annotate(str(number + 1), (time, BEATS[0]), (2.5, 0), textcoords="offset points", size=7, color=MUTED)


def _metres(axes: Axes, heard: Heard) -> None:
    """The metres of a song that has several, above the bars with which they begin."""
    first, last = axes.get_xlim()
    for start, _, metre, sure in heard.metres if len(heard.metres) > 1 and len(heard.beats) else ():
        if first <= start < last:
            axes.plot([start] * 2, [PITCHES[0], NOTES[1]], color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
            _label(axes, start + 4 / _points(axes, (0, 1)), NOTES, str(metre), 9.5, (INK, PALEST + (1 - PALEST) * min(max(sure, 0.0), 1.0)), ha="left", weight="bold")


def _points(axes: Axes, span: tuple[float, float]) -> float:
    """Width of a span of seconds on paper, in points."""
    first, last = axes.get_xlim()
    return (span[1] - span[0]) / (last - first) * (WIDTH - LEFT - RIGHT) * 72


def fitting(text: str, room: float, sizes: tuple[float, ...]) -> tuple[str, float] | None:
    """The text and the largest size at which it fits into `room` points in bold, if it does at any."""
    width = TextPath((0, 0), text, size=1, prop=FontProperties(weight="bold")).get_extents().width
    return next(((text, size) for size in sizes if width * size <= room), None)


def _label(axes: Axes, place: float, lane: tuple[float, float], text: str, size: float, colour: str | tuple[str, float], ha: str = "center", **style: Any) -> None:
    axes.text(place, sum(lane) / 2, text, size=size, color=colour, ha=ha, va="center_baseline", clip_on=True, **style)
