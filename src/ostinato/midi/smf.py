"""Standard MIDI Files (MIDI 1.0 Detailed Specification, 1996): what their bytes say, message by message.

Read is what players play: MIDI in RIFF (.rmi) or behind a few bytes of something else, a wrong count of tracks, a wrong length of a track that has its end
mark, no end mark, SMPTE time, chunks and messages that say no music. Refused is what cannot be believed: a data byte over 127, a track that is cut off, a
division of 0.

Neither reader that is pinned will do. symusic 0.5.9 reads on beyond a track that is cut off, into whatever lies in memory, clips data bytes, and takes the
first pedal of most channels to be down from 0 on; mido 1.3.3 refuses half of what players play and takes ten times as long. Here regular expressions check
and part the messages, and numpy does the rest: 0.6 microseconds a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ostinato.files import UserError

HEADER, TRACK = b"MThd", b"MTrk"
#: So many bytes may lie before the header; MacBinary has 128.
JUNK = 1024
#: What else a file may be, by its first bytes.
OTHERS = {b"RIFF": "RIFF without MIDI", b"SMF2CLIP": "a clip of MIDI 2.0", b"\x1f\x8b": "gzip, unpack it first", b"PK": "zip, unpack it first"}
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, SYSEX, ESCAPE, META = 0x80, 0x90, 0xB0, 0xC0, 0xF0, 0xF7, 0xFF
END_OF_TRACK, TEMPO, METRE = 0x2F, 0x51, 0x58
#: Frames a second of SMPTE time by the code in the header; 29 is NTSC's, whose second is longer by 0.1 %.
FRAMES = {24: 24, 25: 25, 29: 30, 30: 30}
#: Microseconds a beat where a file says nothing, and of NTSC's.
USUAL_TEMPO, NTSC_TEMPO = 500_000, 500_500

_TIME, _DATA = rb"[\x80-\xff]{0,3}[\x00-\x7f]", rb"[\x00-\x7f]"
#: Messages with two and with one data byte: a time, a status byte unless it is that of the message before, data.
MESSAGE = {2: re.compile(b"(%b)([\x80-\xbf\xe0-\xef]?)(%b{2})" % (_TIME, _DATA)), 1: re.compile(b"(%b)([\xc0-\xdf]?)(%b)" % (_TIME, _DATA))}
MESSAGES = {size: re.compile(b"(?:%b)++" % message.pattern) for size, message in MESSAGE.items()}
TIME = re.compile(_TIME)
#: System messages, which say no music, and how many data bytes follow each.
SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0} | dict.fromkeys(range(0xF8, META), 0)


@dataclass(frozen=True)
class Track:
    """Messages of channels in their order, int64 [messages] each: tick, kind (NOTE_ON ...), channel, data bytes (0: not there); the tick of its end."""

    ticks: np.ndarray
    kinds: np.ndarray
    channels: np.ndarray
    first: np.ndarray
    second: np.ndarray
    end: int


@dataclass(frozen=True)
class Song:
    """Tracks; ticks a beat; tempos as (tick, microseconds a beat) and metres as (tick, beats, note value), by tick."""

    kind: int
    tracks: list[Track]
    division: int
    tempos: list[tuple[int, int]]
    metres: list[tuple[int, int, int]]


def is_midi(head: bytes) -> bool:
    """Whether a file is MIDI by its first 12 bytes; words may begin with MThd too."""
    return head.startswith(HEADER + b"\0\0\0") or _is_riff(head)


def _is_riff(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"RMID"


def parse(data: bytes) -> Song:
    """Everything a file says of notes and time.

    Raises:
        UserError: it is no MIDI file, or broken. The message does not name the file; offsets in it are bytes from the header on.
    """
    data = unwrapped(data)
    length, kind, division = (int.from_bytes(data[begin:end], "big") for begin, end in ((4, 8), (8, 10), (12, 14)))
    if len(data) < 14 or not 6 <= length <= len(data):
        raise UserError(f"its header is cut off: {len(data)} bytes, expected 14" if len(data) < 14 else f"its header says {length} bytes; expected 6")
    if kind > 2:
        raise UserError(f"a MIDI file of type {kind}; expected 0, 1 or 2")
    smpte = division >= 0x8000
    ticks = _smpte(division) if smpte else division
    if not ticks:
        raise UserError("its division is 0 ticks a beat, so that no time is known")
    read = [_track(_messages(data, *place, number), 1 + smpte) for number, place in enumerate(chunks(data, 8 + length), 1)]
    tempos, metres = _clock([meta for _, metas in read for meta in metas])
    if smpte:  # a beat is half a second there, and its tempos say nothing of time
        tempos = [(0, NTSC_TEMPO if division >> 8 == 256 - 29 else USUAL_TEMPO)]
    return Song(kind, [track for track, _ in read], ticks, tempos, metres)


def unwrapped(data: bytes) -> bytes:
    """A file from its header on, without what is around it. Raises UserError where there is none."""
    sure = data.startswith(HEADER) or _is_riff(data)
    at = data.find(HEADER) if sure else data.find(HEADER + b"\0\0\0", 0, JUNK)
    what = None if sure else next((name for magic, name in OTHERS.items() if data.startswith(magic)), None)
    if at < 0 or what:
        raise UserError(f"no MIDI file; it begins with {data[:4]!r}{f' ({what})' if what else ''}, expected {HEADER!r}")
    inside = data[at - 8 : at - 4] == b"data" if at >= 8 else False
    return data[at : at + int.from_bytes(data[at - 4 : at], "little")] if inside else data[at:]


def _smpte(division: int) -> int:
    """Ticks in a second, which are those of a beat once all ticks are doubled."""
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if frames not in FRAMES:
        raise UserError(f"its time is in {frames} frames a second; expected {', '.join(map(str, FRAMES))}")
    return FRAMES[frames] * ticks


def chunks(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Where each track begins, ends, and says that it ends. One whose length leads nowhere goes on to the next, or the file's end."""
    while at < len(data):
        if not data.startswith(TRACK, at):
            at = _passed(data, at)[0]
            continue
        said = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        end = said if _passed(data, said)[1] else _next_track(data, at)
        yield at + 8, end, said
        at = end


def _passed(data: bytes, at: int) -> tuple[int, bool]:
    """Where the next track begins, or the file ends, and whether other chunks lead there from here."""
    start = at
    while at < len(data) and not data.startswith(TRACK, at):
        if not data[at : at + 4].isalnum():
            return _next_track(data, start), False
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return (at, True) if at <= len(data) else (_next_track(data, start), False)


def _next_track(data: bytes, at: int) -> int:
    found = data.find(TRACK, at + 1)
    return found if found >= 0 else len(data)


Meta = tuple[int, int, bytes]
#: Messages as (time, status or nothing, data), metas with their type before their data.
Rows = list[tuple[bytes, bytes, bytes]]


def _messages(data: bytes, begin: int, end: int, said: int, number: int) -> Rows:
    """A track's messages, to its end mark or to where it says that it ends."""
    wrong = []
    for stop in (end, said) if said < end else (end,):  # what follows it may be no MIDI
        try:
            rows, marked = _rows(data, begin, stop)
        except UserError as error:
            wrong.append(str(error))
            continue
        if marked or stop == said:
            return rows
        there = f"{end - begin} of {said - begin} bytes are there" if end > begin else "nothing of it is there"
        wrong.append(f"cut off: {there}" if said > end else "no end mark, and no other track where it says that it ends")
    raise UserError(f"track {number}: {wrong[0]}")


def _track(rows: Rows, scale: int) -> tuple[Track, list[Meta]]:
    """Messages as a track, and its metas as (tick, type, bytes), ticks times `scale`."""
    times = np.frombuffer(b"".join(time.rjust(4, b"\x80") for time, _, _ in rows), np.uint8).reshape(-1, 4) & 0x7F
    ticks = scale * np.cumsum(times @ np.array([1 << 21, 1 << 14, 1 << 7, 1]))
    said = np.frombuffer(b"".join(status or b"\0" for _, status, _ in rows), np.uint8).astype(np.int64)
    mine = np.flatnonzero(said < SYSEX)
    status = said[mine][np.maximum.accumulate(np.where(said[mine] > 0, np.arange(len(mine)), 0))] if len(mine) else mine
    both = np.frombuffer(b"".join(rows[i][2].ljust(2, b"\0") for i in mine), np.uint8).astype(np.int64).reshape(-1, 2)
    metas = [(int(ticks[i]), rows[i][2][0], rows[i][2][1:]) for i in np.flatnonzero(said == META)]
    return Track(ticks[mine], status & 0xF0, status & 0x0F, both[:, 0], both[:, 1], int(ticks[-1]) if len(ticks) else 0), metas


def _rows(data: bytes, at: int, end: int) -> tuple[Rows, bool]:
    """Messages, and whether there is an end mark. Raises UserError for what is none."""
    rows: Rows = []
    running = 0
    while at < end:
        time = TIME.match(data, at, end)
        if not time or time.end() == end:
            raise UserError(f"byte {at}: " + ("cut off" if end - at < 4 else f"expected a time of at most 4 bytes, got {data[at : at + 5].hex(' ')}"))
        status = data[time.end()]
        if status < SYSEX:
            running = _data_bytes(status) or running
            at = _of_channels(data, at, time.end(), end, running, rows)
            continue
        at, what = _system(data, time.end(), end, status)
        rows.append((time[0], bytes([status]), what))
        if status == META and what[0] == END_OF_TRACK:
            return rows, True
    return rows, False


def _data_bytes(status: int) -> int:
    """How many data bytes follow a status of a channel; 0 for what is none."""
    return 0 if status < NOTE_OFF else 1 if PROGRAM <= status < 0xE0 else 2


def _of_channels(data: bytes, at: int, status_at: int, end: int, size: int, rows: Rows) -> int:
    """Take all messages of channels of one size; where they end."""
    if not size:
        raise UserError(f"byte {status_at}: data byte {data[status_at]} without a status before it")
    found = MESSAGES[size].match(data, at, end)
    if not found:
        place = status_at + (data[status_at] >= NOTE_OFF)
        wrong = next((byte for byte in data[place : min(place + size, end)] if byte > 0x7F), None)
        raise UserError(f"byte {place}: " + ("cut off within a message" if wrong is None else f"data byte {wrong}, expected 0 to 127"))
    rows += MESSAGE[size].findall(data, at, found.end())
    return found.end()


def _system(data: bytes, at: int, end: int, status: int) -> tuple[int, bytes]:
    """Pass a message that is no channel's, from its status byte on: where it ends, and a meta's type and bytes."""
    if status in SYSTEM:
        return at + 1 + SYSTEM[status], b""
    if status not in (SYSEX, ESCAPE, META):
        raise UserError(f"byte {at}: status byte {status}, which has no meaning")
    begin = at + 1 + (status == META)
    size = TIME.match(data, begin, end)
    stop = size.end() + _number(size[0]) if size else end + 1
    if not size or stop > end:
        raise UserError(f"byte {at}: cut off within a message that says {_number(size[0]) if size else 'no'} bytes")
    return stop, data[at + 1 : at + 2] + data[size.end() : stop] if status == META else b""


def _number(digits: bytes) -> int:
    """A number of variable length."""
    value = 0
    for digit in digits:
        value = value << 7 | digit & 0x7F
    return value


def _clock(metas: list[Meta]) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]]]:
    """Tempos, of several at once the last, and metres, by tick; a metre without beats or of notes shorter than 128ths is none."""
    tempos = [(tick, int.from_bytes(what, "big")) for tick, kind, what in metas if kind == TEMPO]
    odd = next((what for _, kind, what in metas if kind == TEMPO and len(what) != 3), None)
    if odd is not None:
        raise UserError(f"a tempo of {len(odd)} bytes; expected 3")
    metres = [(tick, what[0], 1 << what[1]) for tick, kind, what in metas if kind == METRE and len(what) >= 2 and what[0] and what[1] <= 7]
    return sorted(dict(tempos).items()), sorted(metres, key=lambda metre: metre[0])
