"""What channels play: from the messages of a Standard MIDI File to notes and pedals, as symusic's Score.

- Notes are held by their track, channel and pitch; of several that sound, the first that was struck is the first that ends, as symusic has it. Where a pitch
  has more notes than ends, each lasts until the next end, the next note, or until all keys are let go (controllers 120, 123), else to the end of its track;
  music21 writes the end of a grace note before its beginning, at the same time.
- The sustain pedal is down from 64 on; a reset of all controllers (121) lets it up. One that is never let up holds to the end of the last note.
- What a track without notes on a channel says to it (programs, pedals) is said to that channel's notes in other tracks, as a synthesizer has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.files import UserError
from ostinato.midi.smf import CONTROL, NOTE_OFF, NOTE_ON, PROGRAM, USUAL_TEMPO, Song, Track

DRUM_CHANNEL = 9
SUSTAIN, RESET, LET_GO = 64, 121, (120, 123)
#: A pedal is down from this value on.
DOWN = 64
#: A beat so short on ticks so short is an error (microseconds): 6,000 beats a minute. Files whose beats are their ticks have short ones by right.
SHORTEST_BEAT, SHORTEST_TICK = 10_000, 100
#: Music said to last longer is broken (s).
LONGEST = 24 * 3600
#: symusic's ticks are int32.
MOST_TICKS = 2**31 - 1


@dataclass(frozen=True)
class Voice:
    """The notes of one track on one channel, in the order they were struck, int64 [notes] each, times in ticks; its pedals as (down, up or None)."""

    channel: int
    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    programs: np.ndarray
    pedals: list[tuple[int, int | None]]


def as_symusic(song: Song) -> Any:
    """A Score in ticks; a track for each track, channel and program that plays.

    Raises:
        UserError: there is no note, or times and tempos that no music has.
    """
    from symusic import Score, Tempo, TimeSignature

    voices = list(_voices(song))
    if not voices:
        raise UserError("a MIDI file without notes")
    last = max(int(voice.ends.max()) for voice in voices)
    _check_times(song, np.concatenate([voice.starts for voice in voices]), last)
    score: Any = Score(song.division)  # in ticks, which its stubs do not tell from seconds
    score.tempos.extend(Tempo(tick, mspq=tempo) for tick, tempo in song.tempos if tick <= MOST_TICKS)
    score.time_signatures.extend(TimeSignature(*metre) for metre in song.metres if metre[0] <= MOST_TICKS)
    score.tracks.extend(track for voice in voices for track in _tracks(voice, last))
    return score


def _tracks(voice: Voice, last: int) -> Iterator[Any]:
    """A voice as tracks of symusic, one a program. Each pedal is its who plays next when it is pressed, or played last."""
    from symusic import Note, Pedal, Track

    downs = np.array([down for down, _ in voice.pedals], np.int64)
    ups = np.array([last if up is None else min(up, MOST_TICKS) for _, up in voice.pedals], np.int64)
    whose = voice.programs[np.minimum(np.searchsorted(voice.starts, downs), len(voice.starts) - 1)]
    for program in np.unique(voice.programs).tolist():
        track: Any = Track("", program, voice.channel == DRUM_CHANNEL)
        mine, held = voice.programs == program, (whose == program) & (downs <= ups)
        starts, lengths = _ints(voice.starts[mine], (voice.ends - voice.starts)[mine])
        pitches, velocities = _ints(voice.pitches[mine], voice.velocities[mine], kind=np.int8)
        track.notes = Note.from_numpy(starts, lengths, pitches, velocities, "tick")
        starts, lengths = _ints(downs[held], (ups - downs)[held])
        track.pedals = Pedal.from_numpy(starts, lengths, "tick")
        yield track


def _ints(*arrays: np.ndarray, kind: type = np.int32) -> list[np.ndarray]:
    return [array.astype(kind) for array in arrays]


def _voices(song: Song) -> Iterator[Voice]:
    """The voices that play, by track, then channel. Raises UserError for a file of several songs."""
    playing = [np.unique(track.channels[_struck(track)]).tolist() for track in song.tracks]
    if song.kind == 2 and sum(map(bool, playing)) > 1:
        raise UserError(f"a MIDI file of type 2, with {sum(map(bool, playing))} songs in it; expected one, write each to a file of its own")
    said: dict[int, Track] = {}
    for track, channels in zip(song.tracks, playing):
        for channel in channels:
            first = channel not in said
            if first:
                said[channel] = _together([other for other, theirs in zip(song.tracks, playing) if channel not in theirs], channel)
            yield _voice(track, channel, said[channel], first)


def _struck(track: Track) -> np.ndarray:
    return (track.kinds == NOTE_ON) & (track.second > 0)


def _together(tracks: Sequence[Track], channel: int) -> Track:
    """What tracks say to a channel, as one, by tick."""
    parts = [(track, mine) for track in tracks if len(mine := np.flatnonzero(track.channels == channel))]
    columns = [np.concatenate([np.zeros(0, np.int64), *(getattr(track, name)[mine] for track, mine in parts)]) for name in ("ticks", "kinds", "channels", "first", "second")]
    order = np.argsort(columns[0], kind="stable")
    ticks, kinds, channels, first, second = (column[order] for column in columns)
    return Track(ticks, kinds, channels, first, second, 0)


def _voice(track: Track, channel: int, said: Track, first: bool) -> Voice:
    """A channel of a track, `said` to it by others; the channel's first also has the pedals they press."""
    mine = np.flatnonzero(track.channels == channel)
    struck, ends = _held(track, mine)
    pedal = _together([said, track], channel) if first else _together([track], channel)
    return Voice(channel, track.ticks[struck], ends, track.first[struck], track.second[struck], _programs(track, mine, struck, said), list(_pedals(pedal)))


def _programs(track: Track, mine: np.ndarray, struck: np.ndarray, said: Track) -> np.ndarray:
    """The program each note is played by: the last its track said before it, else the last that others did, else 0."""
    changes, others = mine[track.kinds[mine] == PROGRAM], np.flatnonzero(said.kinds == PROGRAM)
    own = np.searchsorted(changes, struck) - 1
    theirs = np.searchsorted(said.ticks[others], track.ticks[struck], "right") - 1
    result = np.append(said.first[others], 0)[theirs]
    result[own >= 0] = track.first[changes][own[own >= 0]]
    return result


def _held(track: Track, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Messages that strike a note, by index, and the ticks at which those notes end."""
    notes = mine[np.isin(track.kinds[mine], (NOTE_ON, NOTE_OFF))]
    strikes = _struck(track)[notes].tolist()
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    ends: dict[int, int] = {}
    for index, strike, pitch, tick in zip(notes.tolist(), strikes, track.first[notes].tolist(), track.ticks[notes].tolist()):
        if strike:
            waiting[pitch].append(index)
            ends[index] = -1
        elif waiting[pitch]:
            ends[waiting[pitch].pop(0)] = tick
    for pitch in [pitch for pitch, left in waiting.items() if left]:
        happens = np.isin(track.kinds[mine], (NOTE_ON, NOTE_OFF)) & (track.first[mine] == pitch)
        _one_at_a_time(track, mine[happens | (track.kinds[mine] == CONTROL) & np.isin(track.first[mine], LET_GO)], ends)
    return np.array(list(ends)), np.array(list(ends.values()))


def _one_at_a_time(track: Track, happens: np.ndarray, ends: dict[int, int]) -> None:
    """End the notes of a pitch that has more notes than ends, in place, each by what happens next to it; struck twice at once it is one note."""
    sounding, ended_at = None, -1
    for index, tick in zip(happens.tolist(), track.ticks[happens].tolist()):
        strikes = index in ends
        if sounding is not None and strikes and track.ticks[sounding] == tick:
            del ends[index]
            continue
        if sounding is not None:
            ends[sounding], sounding = tick, None
        elif not strikes:
            ended_at = tick  # nothing: the end of a note that begins here, unless none does
        if strikes and tick == ended_at:
            ends[index], ended_at = tick, -1
        elif strikes:
            sounding = index
    if sounding is not None:
        ends[sounding] = track.end


def _pedals(said: Track) -> Iterator[tuple[int, int | None]]:
    """When a pedal is pressed and let up; None for one that never is."""
    mine = (said.kinds == CONTROL) & np.isin(said.first, (SUSTAIN, RESET))
    down = None
    for tick, control, value in zip(*(column[mine].tolist() for column in (said.ticks, said.first, said.second))):
        pressed = control == SUSTAIN and value >= DOWN
        if pressed and down is None:
            down = tick
        elif not pressed and down is not None:
            yield down, tick
            down = None
    if down is not None:
        yield down, None


def _check_times(song: Song, starts: np.ndarray, last: int) -> None:
    """Raise UserError for times that no music has."""
    ticks, tempos = (np.array(column, np.int64) for column in zip((0, USUAL_TEMPO), *song.tempos))
    beat = int(tempos[np.searchsorted(ticks, starts, "right") - 1].min())
    if beat < SHORTEST_BEAT and beat / song.division < SHORTEST_TICK:
        raise UserError(f"a note begins where a beat lasts {beat} microseconds; expected {SHORTEST_BEAT} or more, 6000 beats a minute")
    seconds = float((np.diff(np.minimum(np.append(ticks, last), last)) * tempos).sum()) / 1e6 / song.division
    if not seconds < LONGEST:
        raise UserError(f"its last note would end after {seconds:.0f} s; expected less than {LONGEST}, a day")
    if last > MOST_TICKS:
        raise UserError(f"its last note would end after {last} ticks; expected at most {MOST_TICKS}")
