"""Was a file cut short? Decoders play what there is without a word; the containers know better.

wav: the size of the data chunk. mp3: every frame's header tells its length, so the last one is whole or not, and a Xing/Info header tells how many
there should be. ogg: the last page carries an end-of-stream flag. (flac: the decoder itself fails.)
Sources: RIFF/WAVE (Microsoft, 1991), ISO 11172-3 frame header, RFC 3533 page header, LAME's Xing header.
"""

from __future__ import annotations

import struct
from pathlib import Path

#: kbit/s by (MPEG 1?, index), layer III.
BITRATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def cut_short(path: Path | str) -> str | None:
    """Why a wav, mp3 or ogg file is incomplete, in words; None when it is whole or of another kind."""
    path = Path(path)
    test = {".wav": _wav, ".mp3": _mp3, ".ogg": _ogg}.get(path.suffix.lower())
    return test(path) if test else None


def _wav(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"RIFF":
            return None
        stream.seek(12)
        while len(header := stream.read(8)) == 8:
            length = struct.unpack("<I", header[4:])[0]
            if header[:4] == b"data":
                missing = stream.tell() + length - size
                # 0 and 2^32-1 are written by programs that stream and do not know the length
                return f"{missing} bytes of sound are missing" if missing > 0 and length not in (0, 0xFFFFFFFF) else None
            stream.seek(length + length % 2, 1)
    return None


def _mp3(path: Path) -> str | None:
    data = path.read_bytes()
    position = 10 + _tag_size(data) if data[:3] == b"ID3" else 0
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    promised, found = None, 0
    while position + 4 <= end:
        length = _frame_length(data[position : position + 4])
        if length is None:
            # not a frame: padding or another tag at the end is no damage, and damage inside is the decoder's business
            return None if promised is None or found >= promised else f"{promised - found} of {promised} frames are missing"
        if position + length > end:
            return "the last frame is cut off"
        if found == 0:
            promised = _xing_frames(data[position : position + length])
        position, found = position + length, found + 1
    return f"{promised + 1 - found} of {promised} frames are missing" if promised and found < promised else None


def _tag_size(data: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0)))


def _frame_length(header: bytes) -> int | None:
    """Bytes of an MPEG layer III frame, header included; None if this is no such header."""
    version, layer = (header[1] >> 3) & 3, (header[1] >> 1) & 3
    bitrate, rate = header[2] >> 4, (header[2] >> 2) & 3
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    return samples // 8 * BITRATES[version == 3][bitrate] * 1000 // RATES[version][rate] + ((header[2] >> 1) & 1)


def _xing_frames(frame: bytes) -> int | None:
    for mark in (b"Xing", b"Info"):
        at = frame.find(mark, 0, 64)
        if at >= 0 and frame[at + 7] & 1:
            return int.from_bytes(frame[at + 8 : at + 12], "big")
    return None


def _ogg(path: Path) -> str | None:
    data = path.read_bytes()
    last = data.rfind(b"OggS")
    if last < 0 or last + 27 > len(data):
        return "no whole page at the end"
    segments = data[last + 27 : last + 27 + data[last + 26]]
    if last + 27 + len(segments) + sum(segments) > len(data):
        return "the last page is cut off"
    return None if data[last + 5] & 4 else "the last page is not marked as the end"
