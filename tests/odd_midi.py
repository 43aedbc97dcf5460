"""MIDI files as people have them, byte by byte: what is odd about each is in the test that makes it."""

import random
import struct

END = b"\0\xff\x2f\0"
ON, OFF = 0x90, 0x80


def number(value: int) -> bytes:
    """A number of variable length."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def header(kind: int = 1, tracks: int = 1, division: int = 480, length: int = 6, more: bytes = b"") -> bytes:
    return b"MThd" + struct.pack(">IHHH", length, kind, tracks, division) + more


def track(body: bytes, length: int | None = None) -> bytes:
    return b"MTrk" + struct.pack(">I", len(body) if length is None else length) + body


def song(*bodies: bytes, **said: int) -> bytes:
    """A file of tracks, each with its end mark."""
    return header(**{"tracks": len(bodies)} | said) + b"".join(track(body + END) for body in bodies)


def tune(seed: int = 0, notes: int = 40, channel: int = 0, low: int = 48, high: int = 84) -> bytes:
    """Notes one after another, 200 ticks long and 40 apart: at 480 ticks and 120 beats a minute, 40 of them last 9.958 s."""
    rng, pitch, body = random.Random(seed), (low + high) // 2, b""
    for i in range(notes):
        pitch = min(high, max(low, pitch + rng.choice([-5, -3, -2, -1, 1, 2, 4])))
        body += number(40 if i else 0) + bytes([ON + channel, pitch, 80]) + number(200) + bytes([OFF + channel, pitch, 64])
    return body


def event(*message: int, wait: int = 0) -> bytes:
    """A message after so many ticks."""
    return number(wait) + bytes(message)


def tempo(microseconds: int) -> bytes:
    return b"\0\xff\x51\x03" + struct.pack(">I", microseconds)[1:]


def text(kind: int, words: bytes) -> bytes:
    return bytes([0, 0xFF, kind]) + number(len(words)) + words


def riff(midi: bytes, before: bytes = b"") -> bytes:
    """A file as Windows has them (.rmi)."""
    body = b"RMID" + before + b"data" + struct.pack("<I", len(midi)) + midi
    return b"RIFF" + struct.pack("<I", len(body)) + body


# handed to us: these ended commands, or were found out by the last of them
DIVISION_0 = song(tune(1), division=0)
HUGE_TICK = song(tune(2) + b"\xff\xff\xff\x7f" + event(ON, 60, 80)[1:] + event(OFF, 60, 0, wait=96))
DRUMS_ALONE = song(tune(3, channel=9, low=40, high=70))
HANDED = {"division_0.mid": DIVISION_0, "huge_tick.mid": HUGE_TICK, "beatb1.mid": DRUMS_ALONE}
