"""Was a file cut short? Decoders play what there is without a word; the containers know better.

wav: the size of the data chunk. mp3: a Xing/Info header tells how many frames there should be. ogg: the last page of a stream carries an end-of-stream flag,
and is whole. Programs that write to a pipe cannot know a length, and recorders that are switched off leave an old one: such lengths are not believed.
Sources: RIFF/WAVE (Microsoft, 1991), ISO 11172-3 frame header, RFC 3533 page header, LAME's Xing header.
"""

from __future__ import annotations

import io
import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO

#: A data chunk of so many bytes or more, in a smaller file, was written before its length was known.
UNKNOWN_LENGTH = 0x7FFFF000
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
#: How much of an mp3 is searched for its first frame, and of an ogg for its last page (bytes): a page has 65,307 at most.
SEARCHED = 1 << 17
#: What the body of a matroska begins with.
SEGMENT = b"\x18\x53\x80\x67"
#: Bytes of an ogg page before its table of segments.
OGG_HEADER = 27


def missing_wav(path: Path | str) -> int:
    """Bytes of sound that a wav promises and does not hold."""
    with Path(path).open("rb") as stream:
        found = _data_chunk(stream)
        return max(0, found[0] + found[1] - os.path.getsize(path)) if found and 0 < found[1] < UNKNOWN_LENGTH else 0


def missing_share(path: Path | str) -> float:
    """The share of an avi or a matroska (mkv, webm) that is missing by the size it gives itself; 0 where it gives none. Films may outlast their sound."""
    size = os.path.getsize(path)
    with Path(path).open("rb") as stream:
        head = stream.read(SEARCHED)
    promised = 0
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        promised = 8 + struct.unpack("<I", head[4:8])[0]
    elif (at := head.find(SEGMENT)) >= 0 and at + 4 < len(head):
        # a size of EBML (RFC 8794): as many bytes as the first has leading zeros, and one; all ones say that nobody knows
        length = 9 - head[at + 4].bit_length()
        value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
        promised = 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value
    return max(0.0, 1 - size / promised) if promised else 0.0


def stale_length(path: Path | str) -> bool:
    """Whether sound goes on in a wav after the length its header gives: what follows is no other chunk."""
    with Path(path).open("rb") as stream:
        found, size = _data_chunk(stream), os.path.getsize(path)
        if not found or found[0] + found[1] + 8 >= size:
            return False
        stream.seek(found[0] + found[1])
        after = stream.read(9)
        return not any(_is_chunk(after[pad : pad + 8]) for pad in (0, 1)) and any(after)


def _is_chunk(header: bytes) -> bool:
    return len(header) == 8 and all(32 <= byte < 127 for byte in header[:4])


def _data_chunk(stream: BinaryIO) -> tuple[int, int] | None:
    """Where the sound of a RIFF file begins, and how many bytes its header gives it."""
    if stream.read(4) != b"RIFF":
        return None
    stream.seek(12)
    while len(header := stream.read(8)) == 8:
        length = struct.unpack("<I", header[4:])[0]
        if header[:4] == b"data":
            return stream.tell(), length
        stream.seek(length + length % 2, 1)
    return None


def promised_mp3(path: Path | str) -> float | None:
    """Seconds that the Xing or Info header of an mp3 promises; None where there is none."""
    with Path(path).open("rb") as stream:
        tag = stream.read(10)
        while tag[:3] == b"ID3":  # a file may have several
            stream.seek(sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:10], (21, 14, 7, 0))), 1)
            tag = stream.read(10)
        stream.seek(-len(tag), 1)
        data = stream.read(SEARCHED)
    at = min((place for place in (data.find(b"Xing"), data.find(b"Info")) if place >= 0), default=-1)
    frame = max((data.rfind(b"\xff" + bytes([second]), 0, max(at, 0)) for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)), default=-1)
    if at < 0 or frame < 0 or at - frame > 64 or not data[at + 7] & 1:
        return None
    version, rate = (data[frame + 1] >> 3) & 3, (data[frame + 2] >> 2) & 3
    if rate == 3:
        return None
    return int.from_bytes(data[at + 8 : at + 12], "big") * (1152 if version == 3 else 576) / RATES[version][rate]


def links(path: Path | str) -> list[tuple[int, int]]:
    """Where each of several recordings that were joined to one file begins and ends, in bytes; nothing where a file is one, or FFmpeg reads on by itself."""
    found = _ogg_links(path) or _wav_links(path)
    return found if len(found) > 1 else []


def _wav_links(path: Path | str) -> list[tuple[int, int]]:
    """Of wavs joined one behind another."""
    size, starts, at = os.path.getsize(path), [], 0
    with Path(path).open("rb") as stream:
        while at + 12 <= size:
            stream.seek(at)
            head = stream.read(12)
            if head[:4] != b"RIFF" or head[8:] != b"WAVE":
                break
            starts.append(at)
            at += 8 + struct.unpack("<I", head[4:8])[0]
    return list(zip(starts, [*starts[1:], size]))


def _ogg_links(path: Path | str) -> list[tuple[int, int]]:
    """Of streams chained in an ogg: a link begins with pages marked as beginnings."""
    if os.path.getsize(path) < OGG_HEADER:
        return []
    with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"OggS":
            return []
        starts, begun, page = [], True, 0
        while page >= 0 and page + OGG_HEADER <= len(data):
            first = bool(data[page + 5] & 2)
            if first and begun:
                starts.append(page)
            begun = not first
            table = data[page + OGG_HEADER : page + OGG_HEADER + data[page + 26]]
            after = page + OGG_HEADER + len(table) + sum(table)
            # where the next page is not where it should be, the file is damaged: go on at the next mark
            page = after if data[after : after + 4] == b"OggS" else data.find(b"OggS", page + 4)
        return list(zip(starts, [*starts[1:], len(data)]))


def ogg_end(path: Path | str) -> str | None:
    """What is wrong with the end of an ogg, in words."""
    with Path(path).open("rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - SEARCHED))
        data = stream.read()
    last = data.rfind(b"OggS")
    if last < 0 or last + OGG_HEADER > len(data):
        return "no whole page at the end"
    segments = data[last + OGG_HEADER : last + OGG_HEADER + data[last + 26]]
    if last + OGG_HEADER + len(segments) + sum(segments) > len(data):
        return "the last page is cut off"
    return None if data[last + 5] & 4 else UNMARKED_END


#: What a recording of a stream on air looks like too.
UNMARKED_END = "the last page is not marked as the end"


class Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file, self._start, self._length = path.open("rb"), start, end - start
        self._file.seek(start)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, from where we are."""
        left = max(0, self._length - self.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, counted from the part's beginning (or where we are, or its end)."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._length}[whence]
        self._file.seek(self._start + base + offset)
        return self.tell()

    def tell(self) -> int:
        """Where we are."""
        return self._file.tell() - self._start

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
