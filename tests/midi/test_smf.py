"""MIDI files as people have them: what is read of each, or why it is not; and that a well-formed one is read as symusic reads it."""

import random

import numpy as np
import pytest

from odd_midi import DIVISION_0, END, HUGE_TICK, OFF, ON, event, header, number, riff, song, tempo, text, track, tune
from ostinato.files import UserError
from ostinato.midi import channels, smf
from ostinato.midi.notes import DRUMS, Piece, from_score, read_midi, write_midi

GOOD = song(tune())
SMPTE = [(256 - frames) << 8 | ticks for frames, ticks in ((25, 40), (29, 80), (24, 0), (17, 4))]


def read(data: bytes) -> Piece:
    return from_score(channels.as_symusic(smf.parse(data)))


USED = {
    "good": (GOOD, 40, 9.958),
    "type 0": (song(tune(), kind=0), 40, 9.958),
    "type 2, one song": (song(tempo(500_000), tune(), kind=2), 40, 9.958),
    "riff": (riff(GOOD), 40, 9.958),
    "riff, names first": (riff(GOOD, b"LIST\x0e\0\0\0INFOINAM\x02\0\0\0x\0"), 40, 9.958),
    "MacBinary": (b"\0\x08song.mid" + bytes(118) + GOOD, 40, 9.958),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 40, 9.958),
    "long header": (header(length=10, more=bytes(4)) + track(tune() + END), 40, 9.958),
    "karaoke": (song(text(1, b"@KMIDI KARAOKE FILE") + text(5, "さくら".encode("shift-jis")), tune()), 40, 9.958),
    "more tracks than said": (song(tune(), tune(1, channel=1), tracks=1), 80, 9.958),
    "fewer than said": (song(tune(), tracks=65535), 40, 9.958),
    "thousands of tracks": (song(*[tune(seed, 1) for seed in range(2000)]), 2000, 0.208),
    "no end mark": (header() + track(tune()), 40, 9.958),
    "no end mark, then garbage": (header() + track(tune()) + b"garbage\0\xff", 40, 9.958),
    "garbage at the end": (GOOD + b"\xff\x80garbage" * 9, 40, 9.958),
    "chunks of others": (header() + b"XFIH\0\0\0\x02ab" + track(tune() + END) + b"XFKM\0\0\0\x02ab", 40, 9.958),
    "length too long": (header() + track(tune() + END, 5000), 40, 9.958),
    "length 0": (header() + track(tune() + END, 0), 40, 9.958),
    "length too short, two tracks": (header(tracks=2) + track(tune() + END, 100) + track(tune(1) + END), 80, 9.958),
    "25 frames a second of 40 ticks": (song(tempo(1), tune(), division=SMPTE[0]), 40, 9.56),
    "NTSC": (song(tune(), division=SMPTE[1]), 40, 9.56 * 1.001 / 2.4),
    "running status over a meta": (song(event(ON, 60, 80) + event(60, 0, wait=240) + text(1, b"la") + event(62, 80) + event(62, 0, wait=240)), 2, 0.5),
    "running status over a sysex": (song(event(ON, 60, 80) + event(60, 0, wait=240) + b"\0\xf0\1\xf7" + event(62, 80) + event(62, 0, wait=240)), 2, 0.5),
    "megabytes of sysex": (song(b"\0\xf0" + number(3 << 20) + bytes((3 << 20) - 1) + b"\xf7" + tune()), 40, 9.958),
    "clock, song position, tune request": (song(b"\0\xf8\0\xf2\x01\x02\0\xf6" + tune()), 40, 9.958),
    "no length": (song(b"".join(event(ON, 60, 80, wait=240) + event(OFF, 60, 0) for _ in range(40))), 40, 10),
    "tempo after the notes": (song(tune() + tempo(1)), 40, 9.958),
    "a tempo of 1 us where nothing begins": (song(tempo(1) + b"\x83\x60" + tempo(500_000)[1:] + tune()), 40, 9.958),
    "16.7 s a beat": (song(tempo(0xFFFFFF) + tune()), 40, 334.146),
    "thousands of tempos at once": (song(b"".join(tempo(400_000 + i) for i in range(5000)) + tune()), 40, 8.066),
    "beats that are ticks": (song(tempo(1000) + tune(), division=1), 40, 9.56),
    "a rest of three hours": (song(tune() + event(ON, 60, 80, wait=3 * 3600 * 960) + event(OFF, 60, 0, wait=96)), 41, 10810.06),
    "key and metre of nonsense": (song(b"\0\xff\x59\x02\x7f\x05\0\xff\x58\x04\0\xff\0\0" + tune()), 40, 9.958),
}
REFUSED = {
    "division 0": (DIVISION_0, "division is 0"),
    "huge tick": (HUGE_TICK, "last note would end after 279630 s; expected less than 86400, a day"),
    "ticks over 32 bits": (song(tempo(20_000) + tune() + b"\xff\xff\xff\x7f\xb0\x07\x40" * 9 + event(ON, 60, 80), division=32767), "2415928655 ticks"),
    "a rest of a day": (song(tune() + event(ON, 60, 80, wait=24 * 3600 * 960) + event(OFF, 60, 0)), "86410 s; expected less than 86400"),
    "SMPTE, no ticks": (song(tune(), division=SMPTE[2]), "division is 0"),
    "SMPTE, 17 frames": (song(tune(), division=SMPTE[3]), "17 frames a second; expected 24, 25, 29, 30"),
    "tempo 0": (song(tempo(0) + tune()), "a beat lasts 0 microseconds"),
    "1 us a beat, later": (song(tune() + tempo(1) + tune()), "a beat lasts 1 microseconds; expected 10000"),
    "half a tempo": (song(b"\0\xff\x51\x02\x07\xa1" + tune()), "a tempo of 2 bytes; expected 3"),
    "velocity 200": (song(event(ON, 60, 200) + tune()), "track 1: byte 24: data byte 200, expected 0 to 127"),
    "program 200": (song(b"\0\xc0\xc8" + tune()), "data byte 200"),
    "running status from nothing": (song(tune(), event(60, 80) + tune()), "track 2: byte .*data byte 60 without a status"),
    "a time of five bytes": (song(tune() + b"\x81\xff\xff\xff\x7f\x90\x3c\x50"), "a time of at most 4 bytes, got 81 ff ff ff 7f"),
    "undefined status": (song(b"\0\xf4" + tune()), "status byte 244"),
    "cut in a text": (header() + track(tune() + b"\0\xff\x01\x7fab"), "cut off within a message that says 127 bytes"),
    "second track cut off": (song(tune(), tune())[:-90], "track 2: .*cut off"),
    "songs of type 2": (song(tune(), tune(1), kind=2), "type 2, with 2 songs"),
    "type 3": (song(tune(), kind=3), "type 3; expected 0, 1 or 2"),
    "short header": (b"MThd\0\0\0\x04" + GOOD[8:], "header says 4 bytes"),
    "no tracks": (header(tracks=0), "without notes"),
    "silent notes": (song(event(ON, 60, 0) * 40), "without notes"),
    "pedals alone": (song(event(0xB0, 64, 127)), "without notes"),
    "nothing": (b"", "no MIDI file"),
    "a byte": (b"M", "no MIDI file; it begins with b'M'"),
    "words": (b"words about MThd", "no MIDI file"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF without MIDI"),
    "MIDI 2.0": (b"SMF2CLIP" + bytes(40), "a clip of MIDI 2.0"),
    "gzip": (b"\x1f\x8b\x08\0" + GOOD, "gzip, unpack it first"),
}


@pytest.mark.parametrize("name", USED)
def test_what_players_play_is_read(name):
    data, notes, seconds = USED[name]
    piece = read(data)
    assert len(piece.notes) == notes and piece.seconds == pytest.approx(seconds, abs=0.003)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_believed_is_refused(name):
    data, match = REFUSED[name]
    with pytest.raises(UserError, match=match):
        read(data)


def test_no_part_of_a_file_passes_for_the_whole():
    for size in range(len(GOOD)):
        with pytest.raises(UserError):
            read(GOOD[:size])


def test_broken_bytes_raise_nothing_else():
    rng = random.Random(1)
    for _ in range(400):
        data = bytearray(rng.choice([data for data, *_ in USED.values() if len(data) < 2000]))
        for _ in range(rng.choice([1, 3, 9])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            piece = read(bytes(data))
        except UserError:
            continue
        assert (piece.notes["end"] >= piece.notes["start"]).all() and piece.notes["start"].min() >= 0
        assert piece.notes["pitch"].max() < 128 and piece.seconds < 86400


def lasting(*messages: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Pitch, start and end of the notes of messages (wait, status, data, data), in ticks of 1 ms."""
    notes = read(song(tempo(500_000) + b"".join(event(*message, wait=wait) for wait, *message in messages), division=500)).notes
    return sorted((int(note["pitch"]), round(1000 * float(note["start"])), round(1000 * float(note["end"]))) for note in notes)


def test_notes_without_an_end_and_keys_struck_twice():
    on, off = (ON, 60, 80), (OFF, 60, 0)
    assert lasting((0, *on), (100, *on), (100, *off), (50, *off)) == [(60, 0, 200), (60, 100, 250)]  # first come, first ended
    assert lasting((0, *on), (100, *on), (100, *off)) == [(60, 0, 100), (60, 100, 200)]  # struck again
    assert lasting((0, *on), (0, *on), (100, *off)) == [(60, 0, 100)]  # one note, told twice
    assert lasting((0, *on), (100, *on), (0, *off), (100, *off)) == [(60, 0, 100), (60, 100, 200)]
    assert lasting((0, *on), (100, ON, 64, 80), (100, OFF, 64, 0)) == [(60, 0, 200), (64, 100, 200)]  # to the end of the track
    assert lasting((0, *on), (100, 0xB0, 123, 0), (100, ON, 64, 80), (100, OFF, 64, 0)) == [(60, 0, 100), (64, 200, 300)]  # all notes off
    grace = (0, *off), (0, *on)  # as music21 writes it
    assert lasting((0, *on), (100, *off), *grace, (100, *on), (100, *off)) == [(60, 0, 100), (60, 100, 100), (60, 200, 300)]
    assert lasting((0, *off), (0, *on), (100, ON, 60, 0)) == [(60, 0, 100)]  # no grace note: it has an end


def pedals(*tracks: bytes) -> list[tuple[float, float, int]]:
    return [(round(float(start), 3), round(float(end), 3), int(program)) for start, end, program in read(song(*tracks)).pedals.tolist()]


@pytest.mark.parametrize("channel", [0, 5])
def test_pedals(channel):
    def pedal(value: int, control: int = 64) -> bytes:
        return event(0xB0 + channel, control, value)

    some, rest, beat = tune(0, 10, channel), tune(1, 10, channel), 240 / 960
    assert pedals(some + pedal(127) + rest + pedal(0) + tune(2, 5, channel)) == [(2.458, 4.917, 0)]
    assert pedals(pedal(127) + some) == [(0, 2.458, 0)]  # never let up: to the end of the last note
    assert pedals(pedal(0) + some + pedal(127) + pedal(0)) == [(2.458, 2.458, 0)]
    assert pedals(pedal(63) + some + pedal(64) + rest + pedal(40)) == [(2.458, 4.917, 0)]  # half pedals
    assert pedals(pedal(127) + some + pedal(100) + rest + pedal(0)) == [(0, 4.917, 0)]
    assert pedals(pedal(127, 66) + pedal(127, 67) + some + pedal(0, 66)) == []  # sostenuto and una corda
    assert pedals(pedal(127) + some + pedal(0, 121) + rest) == [(0, 2.458, 0)]  # a reset lets go
    assert pedals(some, pedal(127) + event(0xB0 + channel, 64, 0, wait=240)) == [(0, beat, 0)]  # from a track of its own
    assert pedals(pedal(127) + event(0xC0 + channel, 40) + some) == [(0, 2.458, 40)]  # whose it is, is said later


def test_programs_by_track_or_by_channel():
    assert read(song(event(0xC0, 40) + tune(0, 3) + event(0xC0, 41) + tune(1, 3))).programs == [40, 41]
    assert read(song(event(0xC0, 40) + event(0xC1, 73), tune(), tune(1, channel=1))).programs == [40, 73]  # all set in a first track
    assert read(song(event(0xC0, 40) + tune(), tune(1))).programs == [0, 40]  # each track says its own
    assert read(song(event(0xC9, 8) + tune(0, channel=9), event(0xB0, 0, 8) + event(0xC0, 24) + tune(1))).programs == [DRUMS, 24]


def test_what_is_written_is_read_again_and_as_symusic_reads_it(tmp_path):
    import symusic

    rng = np.random.default_rng(0)
    rows = [(0.5 * i, 0.5 * i + rng.uniform(0.1, 0.4), rng.integers(30, 90), rng.integers(1, 127), rng.choice([DRUMS, 0, 40])) for i in range(200)]
    piece = Piece.of(rows, [(1.0, 3.0, 40), (5.0, 5.5, 0), (6.0, 7.0, 40)])
    write_midi(tmp_path / "a.mid", piece)
    again, theirs = read_midi(tmp_path / "a.mid"), from_score(symusic.Score.from_midi((tmp_path / "a.mid").read_bytes()))
    assert np.array_equal(again.notes, theirs.notes) and np.abs(again.notes["start"] - piece.notes["start"]).max() < 0.001
    assert [tuple(row) for row in again.pedals.tolist()] == [tuple(row) for row in piece.pedals.tolist()]
