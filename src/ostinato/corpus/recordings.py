"""Read recordings: wav, flac, ogg, mp3, any rate, mono or stereo, through libsndfile; resampled with soxr.

A recording is decoded whole, block by block, before anything is made of it: headers promise what files do not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import yaml

from ostinato.corpus.containers import cut_short
from ostinato.files import UserError

EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")
BLOCK_SECONDS = 30
#: A header may promise this much more than is decoded (s): an mp3's length is an estimate.
TRUNCATED_SECONDS = 0.5


class RecordingError(UserError):
    """A recording that cannot be used; `reason` is one word for the table of what was set aside."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Decoded:
    """What decoding a whole recording showed: rate in Hz, length in frames, the loudest second's RMS in dBFS, the hash of its samples."""

    sample_rate: int
    channels: int
    frames: int
    loudest_db: float
    content: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.sample_rate


def find(folder: Path | str) -> list[Path]:
    """All recordings below `folder`, sorted; hidden files and folders are left out.

    Raises:
        UserError: the folder is missing, is no folder, cannot be read, or holds no recording.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"corpus.folder: {folder}: " + ("not a folder" if folder.exists() else "no such folder"))
    try:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
        next(folder.iterdir(), None)
    except PermissionError as error:
        raise UserError(f"corpus.folder: {error.filename}: cannot be read ({error.strerror})") from None
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise UserError(f"corpus.folder: {folder}: no recording in it; expected files ending in {', '.join(EXTENSIONS)}")
    return found


def decode(path: Path | str) -> Decoded:
    """Decode a whole recording in blocks and measure it.

    The content hash is over 16-bit samples, rate and channels, so that a copy under another name, or re-wrapped without loss, is recognised.

    Raises:
        RecordingError: reason `empty`, `unreadable`, `truncated` or `not_finite`.
    """
    if Path(path).stat().st_size == 0:
        raise RecordingError("empty", "0 bytes")
    digest, loudest, frames = hashlib.sha256(), 0.0, 0
    try:
        with soundfile.SoundFile(path) as sound:
            rate, channels, promised = sound.samplerate, sound.channels, sound.frames
            digest.update(f"{rate} {channels} ".encode())
            for block in sound.blocks(rate * BLOCK_SECONDS, dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise RecordingError("not_finite", f"NaN or infinity after {frames / rate:.1f} s")
                digest.update((np.clip(block, -1, 1) * 32767).astype(np.int16).tobytes())
                loudest, frames = max(loudest, _loudest_second(block, rate)), frames + len(block)
    except soundfile.LibsndfileError as error:
        raise RecordingError("unreadable", str(error)) from None
    if frames == 0:
        raise RecordingError("empty", "a header, but no sound")
    if (promised - frames) / rate > TRUNCATED_SECONDS:
        raise RecordingError("truncated", f"{promised / rate:.1f} s promised, {frames / rate:.1f} s decoded")
    if missing := cut_short(path):
        raise RecordingError("truncated", f"{missing}, {frames / rate:.1f} s decoded")
    return Decoded(rate, channels, frames, 10 * float(np.log10(max(loudest, 1e-12))), digest.hexdigest())


def _loudest_second(block: np.ndarray, rate: int) -> float:
    """Largest mean square over whole seconds (of the block itself, if it is shorter)."""
    power = (block.astype(np.float64) ** 2).mean(axis=1)
    seconds = len(power) // rate
    return float(power[: seconds * rate].reshape(seconds, rate).mean(axis=1).max()) if seconds else float(power.mean())


def read(path: Path | str, sample_rate: int | None = None, mono: bool = True) -> tuple[np.ndarray, int]:
    """Read a recording: float32 [T], or [C, T] with mono=False, resampled to `sample_rate` (Hz) when given; and its rate.

    Raises:
        RecordingError: it cannot be decoded.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise RecordingError("unreadable", f"{path}: {error}") from None
    samples = samples.mean(axis=1) if mono else samples
    if sample_rate is not None and rate != sample_rate:
        samples, rate = soxr.resample(samples, rate, sample_rate), sample_rate
    return np.ascontiguousarray(samples.T, dtype=np.float32), rate


def stream(path: Path | str, sample_rate: int) -> Iterator[np.ndarray]:
    """Decode a recording to mono at `sample_rate` (Hz), piece by piece: float32 arrays. Raises RecordingError when it cannot be decoded."""
    try:
        with soundfile.SoundFile(path) as sound:
            resampler = soxr.ResampleStream(sound.samplerate, sample_rate, 1, dtype="float32")
            for block in sound.blocks(sound.samplerate * BLOCK_SECONDS, dtype="float32", always_2d=True):
                yield resampler.resample_chunk(block.mean(axis=1))
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    except soundfile.LibsndfileError as error:
        raise RecordingError("unreadable", f"{path}: {error}") from None


def side_files(path: Path) -> tuple[Path | None, dict[str, Any], list[tuple[Path, str]]]:
    """The `.lab` beside a recording, the tags of the `.yaml` beside it, and what is wrong with either as (file, problem)."""
    problems: list[tuple[Path, str]] = []
    lab, tags = path.with_suffix(".lab"), {}
    described = path.with_suffix(".yaml")
    if described.is_file():
        try:
            tags = yaml.safe_load(described.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            problems.append((described, f"not YAML: {error}"))
        if not isinstance(tags, dict):
            problems.append((described, f"expected tags such as `instrument: piano`, found {type(tags).__name__}"))
            tags = {}
    if lab.is_file():
        try:
            read_lab(lab)
            return lab, tags, problems
        except UserError as error:
            problems.append((lab, str(error)))
    return None, tags, problems


def read_lab(path: Path | str) -> list[tuple[float, float, Any]]:
    """Chords of a `.lab` file: lines of start, end (s) and Harte chord. Raises UserError naming file and line."""
    from ostinato.theory import Chord, ChordError

    chords = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split()
        try:
            start, end, chord = float(fields[0]), float(fields[1]), Chord.parse(fields[2])
        except (ValueError, IndexError, ChordError):
            raise UserError(f"{path}:{number}: expected start, end and chord, found '{line.strip()[:60]}'") from None
        if end <= start or (chords and start < chords[-1][1] - 1e-6):
            raise UserError(f"{path}:{number}: times must rise, found {start:g} to {end:g}")
        chords.append((start, end, chord))
    return chords

