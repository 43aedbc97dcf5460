"""Read recordings: whatever FFmpeg decodes, any rate, any number of channels; resampled with soxr.

A recording is decoded whole, block by block, before anything is made of it: headers promise what files do not hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ostinato.corpus.containers import UNMARKED_END, missing_share, missing_wav, ogg_end, promised_mp3
from ostinato.corpus.decoding import Decoding, NoSound
from ostinato.corpus.levels import Levels, Meter
from ostinato.corpus.side_files import SUFFIXES as SIDE_FILES
from ostinato.files import UserError
from ostinato.folders import Aside, Found, hidden, search

#: What is taken for a recording by its name. FFmpeg goes by what is in a file; names keep pictures and texts from being asked.
SOUND = """.3ga .aa3 .aac .ac3 .adts .aif .aifc .aiff .amr .ape .au .awb .bwf .caf .dff .dsf .dts .dtshd .eac3 .flac .gsm .m4a .m4b .m4r .mka .mp1 .mp2 .mp3 .mpa .mpc
    .mpga .oga .ogg .ogx .oma .opus .qoa .ra .rf64 .rm .shn .snd .spx .tak .tta .voc .w64 .wav .wave .weba .wma .wv""".split()
FILM = ".3g2 .3gp .asf .avi .f4v .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()
EXTENSIONS = (*SOUND, *FILM)
#: Other files are asked for sound too, but for these, which are known to hold none: what lies about in folders of music.
SILENT = (
    *SIDE_FILES,
    *".bmp .gif .jpeg .jpg .png .svg .tif .tiff .webp .doc .docx .htm .html .md .odt .pdf .rtf .tex .xls .xlsx .xml".split(),
    *".cue .db .ini .json .log .m3u .m3u8 .md5 .nfo .pls .sfv .sha1 .sha256 .url .yml .gz .rar .zip .ipynb .py".split(),
    *".kar .krn .mid .midi .mscz .musicxml .mxl .sf2 .sf3 .sfz .sv .svl".split(),
)
#: How a song is named over which its beats and chords were laid, to be judged by ear: nobody's recording.
CLICKED = ".click.wav"
#: What can only belong to a recording.
LABELS = (".lab", ".jams", ".beats")
#: So much sound (s) makes a file of another name a recording: chance bytes look like a moment of mp3.
PROBED_SECONDS = 2.0
#: A length may promise so much more than is decoded (s): coders pad, and containers round.
TRUNCATED_SECONDS = 0.5
#: Recordings of which a larger share is lost are set aside, where corpus.max_damage does not say otherwise.
MAX_DAMAGE = 0.1
#: Containers whose last packet is whole unless something is missing after it; others end anywhere when they were recorded on air.
WHOLE = {"w64", "caf", "voc"}
#: Containers that say how large they are.
FILMS = {"matroska", "avi"}
#: A coder may overshoot full scale by so much (ratio) before it is worth a line: 1 dB.
OVERSHOOT = 1.122
#: No sound reaches so many times full scale, were it integers of 32 bits taken for floats: bytes that are no samples do.
LOUDEST = 2.0**32


class RecordingError(UserError):
    """A recording that cannot be used; `reason` is one word for the table of what was set aside."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.detail)  # so that it can go from one process to another


@dataclass(frozen=True)
class Decoded:
    """What decoding a whole recording showed: rate in Hz, length in frames, the loudest second's RMS in dBFS, the identity of its sound, how it is to be
    heard, and what is to be said of it though it is used, as (reason, detail)."""

    sample_rate: int
    channels: int
    frames: int
    loudest_db: float
    content: str
    levels: Levels
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.sample_rate


def find(folder: Path | str) -> list[Path]:
    """All recordings below `folder`, sorted; hidden ones are left out. Raises UserError as `searched`, or when there is none."""
    found = [Path(file.path) for file in searched(folder).files if os.path.splitext(file.path)[1].lower() in EXTENSIONS and not hidden(file.path, folder)]
    if not found:
        raise nothing_in(folder)
    return found


def nothing_in(folder: Path | str) -> UserError:
    """What to raise where a folder has no recording."""
    return UserError(f"corpus.folder: {folder}: no recording in it; expected files such as .wav, .flac, .mp3, .m4a, .ogg, .opus or the sound of .mp4")


def searched(folder: Path | str) -> Found:
    """What lies below a folder of recordings, songs with clicks aside. Raises UserError where it is missing, is no folder, or cannot be read."""
    if not os.path.isdir(folder):
        raise UserError(f"corpus.folder: {folder}: " + ("not a folder" if os.path.exists(folder) else "no such folder"))
    found = search(folder)
    if (str(folder), "unreadable") in [row[:2] for row in found.aside]:
        raise UserError(f"corpus.folder: {folder}: cannot be read")
    clicked = [file for file in found.files if file.path.endswith(CLICKED)]
    if clicked:
        found.aside += [(file.path, "with_clicks", "made by `ostinato hear --click`: a song with clicks and chords over it") for file in clicked]
        found.files = [file for file in found.files if not file.path.endswith(CLICKED)]
    return found


def probe(path: Path) -> Aside | None:
    """Whether there is sound in a file that is called as no recording is; then a row for the table."""
    decoding = Decoding(path)
    try:
        heard = any(decoding.seconds >= PROBED_SECONDS for _ in _blocks(decoding))
    except RecordingError:
        return None
    return (str(path), "unknown_suffix", f"sound in it ({decoding.codec}); give it a suffix such as {_suffix(decoding)} to have it used") if heard else None


def _suffix(decoding: Decoding) -> str:
    kind = decoding.container.split(",")[0]
    return {"mov": ".m4a", "matroska": ".mka", "asf": ".wma"}.get(kind, f".{kind}" if f".{kind}" in EXTENSIONS else ".mka")


def decode(path: Path | str, max_damage: float = MAX_DAMAGE) -> Decoded:
    """Decode a whole recording in blocks and measure it. `max_damage` is the share of it that may be lost.

    Raises:
        RecordingError: reason `empty`, `unreadable`, `no_sound`, `truncated`, `damaged` or `not_finite`.
    """
    decoding, meter = Decoding(Path(path)), Meter()
    for block in _blocks(decoding):
        if not np.isfinite(block).all():
            raise RecordingError("not_finite", f"NaN or infinity after {meter.frames / decoding.sample_rate:.1f} s")
        if (peak := np.abs(block).max(initial=0.0)) > LOUDEST:
            raise RecordingError("not_finite", f"{peak:.3g} times full scale after {meter.frames / decoding.sample_rate:.1f} s")
        meter.add(block, decoding.sample_rate)
    if not meter.frames:
        if decoding.broken or not decoding.announced:
            raise RecordingError("unreadable", f"nothing in it that FFmpeg can decode ({decoding.broken} packets refused)")
        raise RecordingError("empty", "a header, but no sound")
    remarks = [*_losses(decoding, max_damage), *_odd_levels(meter, decoding), *(("used_changes", change) for change in decoding.changes)]
    if decoding.streams > 1:
        remarks.append(("used_one_stream", f"{decoding.streams} streams of sound in it, one is used"))
    return Decoded(decoding.sample_rate, decoding.channels, decoding.frames, 10 * float(np.log10(max(meter.loudest, 1e-12))), decoding.fingerprint, meter.levels, tuple(remarks))


def _blocks(decoding: Decoding) -> Iterator[np.ndarray]:
    """Blocks of a recording, [T, C]. Whatever FFmpeg and what lies between throw at a file is that file's fault."""
    if decoding.path.stat().st_size == 0:
        raise RecordingError("empty", "0 bytes")
    try:
        yield from decoding.blocks()
    except NoSound:
        raise RecordingError("no_sound", f"a {decoding.container or 'file'} without a stream of sound") from None
    except Exception as error:
        log = getattr(error, "log", None)  # of an FFmpegError: level, part of FFmpeg, what it said last
        said = [getattr(error, "strerror", None) or str(error) or type(error).__name__, *([log[2]] if log else [])]
        raise RecordingError("unreadable", f"FFmpeg cannot read it as sound ({' '.join('; '.join(said).split())})") from None


def _losses(decoding: Decoding, max_damage: float) -> Iterator[tuple[str, str]]:
    """What of a recording is lost, inside or at its end. Raises RecordingError when that is more than `max_damage` of it, or nobody knows how much."""
    inside, (ending, said) = decoding.lost, _missing_end(decoding)
    whole = decoding.seconds + inside + ending
    sort = "truncated" if ending > inside else "damaged"
    detail = "; ".join(
        [*([f"about {inside:.2f} s of {whole:.1f} s cannot be decoded, from {decoding.first_loss:.1f} s on"] if decoding.broken or inside else []), *([said] if said else [])]
    )
    if ending == np.inf or (inside + ending) / whole > max_damage:
        raise RecordingError(sort, f"{detail}; corpus.max_damage is {max_damage:g}")
    if detail:
        yield f"used_{sort}", detail


def _missing_end(decoding: Decoding) -> tuple[float, str]:
    """Seconds that are missing at the end of a recording (infinite where nobody knows how many), and in words what says so."""
    promised, kind = decoding.promised, decoding.container
    if kind == "mp3":
        promised = promised_mp3(decoding.path)
    elif kind == "wav" and (missing := missing_wav(decoding.path)):
        held = decoding.path.stat().st_size
        return decoding.seconds * missing / held, f"{missing} bytes of sound are missing at its end, after {decoding.seconds:.1f} s"
    elif kind == "ogg" and (said := ogg_end(decoding.path)):
        return (0.0 if said == UNMARKED_END else np.inf), said
    elif promised is None and kind.split(",")[0] in FILMS and (share := missing_share(decoding.path)):
        return decoding.seconds * share / (1 - share), f"{share:.0%} of the file are missing at its end, after {decoding.seconds:.1f} s"
    elif kind in WHOLE and decoding.unfinished:
        return np.inf, "it ends within a packet"
    seconds = max(0.0, (promised or 0.0) - decoding.seconds - decoding.lost)
    return (seconds, f"{promised:.1f} s promised, {decoding.seconds:.1f} s decoded") if seconds > TRUNCATED_SECONDS else (0.0, "")


def _odd_levels(meter: Meter, decoding: Decoding) -> Iterator[tuple[str, str]]:
    """What is done to levels that are not as usual."""
    levels, peak = meter.levels, meter.peak
    if levels.offset:
        yield "used_offset", f"a constant offset of {', '.join(f'{value:+.3f}' for value in levels.offset)} of full scale is removed"
    if levels.mix == "side":
        yield "used_out_of_phase", "left and right are in opposite phase and cancel when mixed: half their difference is heard"
    elif levels.mix != "mean":
        yield "used_out_of_phase", f"its {decoding.channels} channels cancel when mixed: the loudest, number {int(levels.mix) + 1}, is heard"
    if peak > (1.0 if decoding.lossless else OVERSHOOT):
        yield "used_scaled", f"its peaks reach {peak:.3g} times full scale: scaled down by {20 * np.log10(peak):.1f} dB where it is written"


def read(path: Path | str, sample_rate: int | None = None, mono: bool = True, levels: Levels = Levels()) -> tuple[np.ndarray, int]:
    """Read a recording: float32 [T], or [C, T] with mono=False, resampled to `sample_rate` (Hz) when given; and its rate.

    Raises:
        RecordingError: it cannot be decoded.
    """
    decoding = Decoding(Path(path))
    blocks = [levels.mono(block) if mono else levels.centred(block) for block in _named(decoding)]
    if not blocks:
        raise RecordingError("empty", f"{path}: no sound in it")
    samples, rate = np.concatenate(blocks), decoding.sample_rate
    if sample_rate is not None and rate != sample_rate:
        samples, rate = soxr.resample(samples, rate, sample_rate), sample_rate
    return np.ascontiguousarray(samples.T, dtype=np.float32), rate


def stream(path: Path | str, sample_rate: int, levels: Levels = Levels()) -> Iterator[np.ndarray]:
    """Decode a recording to mono at `sample_rate` (Hz), piece by piece: float32 arrays. Raises RecordingError when it cannot be decoded."""
    decoding, resampler = Decoding(Path(path)), None
    for block in _named(decoding):
        resampler = resampler or soxr.ResampleStream(decoding.sample_rate, sample_rate, 1, dtype="float32")
        yield resampler.resample_chunk(levels.mono(block))
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _named(decoding: Decoding) -> Iterator[np.ndarray]:
    """Blocks of a recording; the file is named when it cannot be read."""
    try:
        yield from _blocks(decoding)
    except RecordingError as error:
        raise RecordingError(error.reason, f"{decoding.path}: {error.detail}") from None
