"""Decode a recording with FFmpeg (PyAV), packet by packet, counting what comes: nothing is believed of a header that was not decoded.

What cannot be decoded inside a file is left out and counted. FFmpeg says so in three ways: a packet that its decoder refuses, a jump in the packets' times,
and less sound than the container promised, where its promise is an exact one. All are estimates of the same loss, so the largest counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from ostinato.corpus.containers import Part, links, stale_length
from ostinato.corpus.identity import Identity, identity_of

BLOCK_SECONDS = 30
#: Packets whose times jump by more (s) have lost something between them; containers round times to milliseconds.
GAP_SECONDS = 0.05
#: Containers whose length is that of their sound, written by whoever closed the file. Others estimate it, or count what a video lasts.
EXACT = {"mov", "flac", "aiff", "au", "tta", "asf", "rm", "ape", "wv"}
#: A length of so many bytes was written before it was known, into a pipe.
UNKNOWN_BYTES = 2**31 - 2**16
#: Containers that count the longest of their streams.
EXACT_ALONE = {"matroska", "flv", "avi"}
#: What integers of a sample format count as full scale.
FULL_SCALE = {np.dtype("int16"): 2.0**15, np.dtype("int32"): 2.0**31, np.dtype("int64"): 2.0**63}
#: FFmpeg reads playlists too, and what they name; a recording names nothing.
OPTIONS = {"protocol_whitelist": "file"}
PLAYLISTS = {"hls", "concat", "dash", "imf"}
#: For a wav whose header counts less sound than there is.
TO_THE_END = {"ignore_length": "1"}


class NoSound(Exception):
    """A file without a stream of sound."""


@dataclass
class Decoding:
    """A recording while it is decoded and after. All but `container` and `codec` is complete when `blocks` has ended.

    `sample_rate` (Hz) and `channels` are those of the first sound, `frames` counts at that rate; `streams` of sound are in the file, the best is decoded;
    `announced` says that the container gives it a rate; `promised` is the container's exact length (s) or None; `broken` packets were refused, the first loss
    was after `first_loss` s; `unfinished` says that the file ends within a packet; `changes` says in words where rate or channels change.
    """

    path: Path
    container: str = ""
    codec: str = ""
    lossless: bool = False
    streams: int = 1
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    promised: float | None = None
    announced: bool = False
    broken: int = 0
    first_loss: float = 0.0
    unfinished: bool = False
    changes: list[str] = field(default_factory=list)
    _identity: Identity | None = None
    _broken_bytes: int = 0
    _sound_bytes: int = 0
    _gaps: float = 0.0
    _passed: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds decoded so far."""
        return self.frames / self.sample_rate if self.sample_rate else 0.0

    @property
    def lost(self) -> float:
        """Seconds inside the file that could not be decoded, estimated."""
        if not self._sound_bytes:
            return 0.0
        # a clock that jumps, as on air, is no loss: there must have been bytes, or a promise, to be lost
        unread = (os.path.getsize(self.path) - self._sound_bytes) / self._sound_bytes * self.seconds
        room = unread if self.promised is None else max(0.0, self.promised - self.seconds)
        return max(self._broken_bytes / self._sound_bytes * self.seconds, min(self._gaps, room))

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode: float32 [T, C], full scale 1, of at most about BLOCK_SECONDS.

        Raises:
            NoSound: there is no stream of sound.
            av.FFmpegError: this is no container that FFmpeg knows.
        """
        # FFmpeg gives up an ogg where a stream chained to another has another rate, and stops at the end of the first of joined wavs
        parts: list[tuple[int, int] | None] = [*links(self.path)] or [None]
        yield from self._joined(frame for part in parts for frame in self._link(part))

    @property
    def fingerprint(self) -> str:
        """What the recording is known by, once `blocks` has ended."""
        return self._identity.digest() if self._identity else ""

    def _link(self, place: tuple[int, int] | None) -> Iterator[Any]:
        """Decoded frames of the file, or of a part of it (bytes). A part that cannot be opened is lost, if another came before it."""
        import av

        try:
            with self._open(place) as container:
                if container.format.name in PLAYLISTS:
                    raise ValueError(f"a playlist, {container.format.name}, which names other files")
                if not container.streams.audio:
                    raise NoSound
                # none is the best where the beginning of a file does not show rate and channels
                best = container.streams.best("audio") or container.streams.audio[0]
                yield from self._frames(container, best, place[1] if place else os.path.getsize(self.path))
        except (av.FFmpegError, NoSound):
            if place is None or not self._sound_bytes:
                raise
            self._lose(place[1] - place[0])

    def _open(self, place: tuple[int, int] | None) -> Any:
        import av

        if place:
            return av.open(Part(self.path, *place), metadata_errors="replace")
        options = OPTIONS | (TO_THE_END if stale_length(self.path) else {})
        # "file:" since FFmpeg takes what stands before a colon for a protocol; tags need not be text
        return av.open("file:" + os.path.abspath(self.path), options=options, metadata_errors="replace")

    def _about(self, container: Any, stream: Any) -> None:
        codec = stream.codec_context.codec
        self.container, self.codec, self.lossless, self.streams = container.format.name, codec.canonical_name, codec.lossless, len(container.streams.audio)
        self.announced = bool(stream.codec_context.sample_rate)
        self.promised, self._identity = _promised(container, stream), identity_of(codec)

    def _frames(self, container: Any, stream: Any, end: int) -> Iterator[Any]:
        """Decoded frames of all packets; packets that are refused are counted, and what lies beyond a point where the container breaks off."""
        import av

        if self._identity is None:
            self._about(container, stream)
        assert self._identity is not None
        stream.codec_context.thread_count = 1
        expected, read, packets = None, 0, container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                self.unfinished = True
                return self._lose(end - read)
            expected = self._gap(packet, expected)
            if packet.size:  # the last, empty one asks the decoder for what it still holds
                self.unfinished = packet.is_corrupt  # FFmpeg marks a packet that the file's end cuts off
                self._identity.packet(packet)
                read = (packet.pos or 0) + packet.size
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._lose(packet.size)
                continue
            self._sound_bytes += packet.size
            self._passed += sum(frame.samples / frame.sample_rate for frame in frames)
            yield from frames

    def _gap(self, packet: Any, expected: float | None) -> float | None:
        """Count a jump in the packets' times; returns when the next packet is due. Streams that are chained begin again at 0."""
        if packet.pts is None or not packet.time_base:
            return expected
        time = float(packet.pts * packet.time_base)
        if expected is not None and time - expected > GAP_SECONDS:
            self._mark()
            self._gaps += time - expected
        return time + float((packet.duration or 0) * packet.time_base)

    def _lose(self, count: int) -> None:
        self._mark()
        self.broken, self._broken_bytes = self.broken + 1, self._broken_bytes + max(0, count)

    def _mark(self) -> None:
        if not self.broken and not self._gaps:
            self.first_loss = self._passed

    def _joined(self, frames: Iterator[Any]) -> Iterator[np.ndarray]:
        """Frames as blocks at the first one's rate and number of channels, whatever a later one has."""
        resampler, current, waiting, size = None, None, [], 0
        for frame in frames:
            shape = (frame.sample_rate, frame.layout.nb_channels)
            if not self.sample_rate:
                self.sample_rate, self.channels = shape
                assert self._identity is not None  # since there is a frame
                self._identity.begin(*shape)
            if shape != current:
                if resampler is not None:
                    waiting.append(resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True))
                resampler = None if shape[0] == self.sample_rate else soxr.ResampleStream(shape[0], self.sample_rate, self.channels, dtype="float32")
                if current is not None:
                    self.changes.append(f"{shape[0]} Hz, {shape[1]} channels from {self.seconds + size / self.sample_rate:.1f} s on")
                current = shape
            samples = _channels(_floats(frame), self.channels)
            waiting.append(samples if resampler is None else resampler.resample_chunk(samples))
            size += len(waiting[-1])
            if size >= BLOCK_SECONDS * self.sample_rate:
                yield self._block(waiting)
                waiting, size = [], 0
        if resampler is not None:
            waiting.append(resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True))
        if waiting:
            yield self._block(waiting)

    def _block(self, parts: list[np.ndarray]) -> np.ndarray:
        block = np.concatenate(parts)
        self.frames += len(block)
        assert self._identity is not None
        self._identity.samples(block)
        return block


def _promised(container: Any, stream: Any) -> float | None:
    """The length (s) that a container gives, where that is exactly the sound's."""
    kind = container.format.name.split(",")[0]
    seconds = 0.0
    if kind in EXACT and stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif kind in EXACT_ALONE and len(container.streams) == 1 and container.duration:
        seconds = container.duration / 1e6
    piped = kind in ("aiff", "au") and seconds * (stream.codec_context.bit_rate or 0) / 8 > UNKNOWN_BYTES
    return seconds if seconds and not piped else None


def _floats(frame: Any) -> np.ndarray:
    """A frame as float32 [T, C], full scale 1."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    scale = FULL_SCALE.get(samples.dtype)
    return samples.astype(np.float32) if scale is None else samples.astype(np.float32) / np.float32(scale)


def _channels(samples: np.ndarray, count: int) -> np.ndarray:
    """Samples [T, C] with `count` channels: as they are, or their mean in each."""
    if samples.shape[1] == count:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), count, axis=1)
