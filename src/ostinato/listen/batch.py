"""Listen to recordings: print, save and draw what is heard.

One recording is printed whole: its facts, then its chords with bar, time, Roman numeral and confidence. Of a folder, every song is one line; songs that
cannot be listened to are listed at the end and the others go on. What is saved is named after the song, with the folders it lies in below the folder
that holds all recordings asked for. A file that is there already is kept: a `.lab` may be somebody's own work, and counts for more than what is heard.
Songs with clicks (`--click`) are recordings too: they are named `.click.wav`, and are left out where a folder is searched.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import ostinato
from ostinato.corpus.recordings import CLICKED, Decoded, RecordingError, decode, find
from ostinato.ears import features
from ostinato.escapes import shown
from ostinato.files import UserError, refuse_full_disk, write_text
from ostinato.listen import click, jamsfile
from ostinato.listen.drawing import clock, draw, report, rows, spoken_key, spoken_metre
from ostinato.listen.hear import Heard, hear, hear_file
from ostinato.params import Listen, section
from ostinato.pool import in_own_process, resilient_map, seconds_for
from ostinato.tables import write_table


@dataclass(frozen=True)
class Song:
    """A recording, and the name of what is saved of it: a relative path without suffix."""

    path: Path
    name: str


@dataclass(frozen=True)
class Result:
    """What became of a song: the line that is printed, the files that were left as they were, or why it failed; and what is odd about the recording."""

    song: Song
    line: str = ""
    kept: tuple[Path, ...] = ()
    problem: str = ""
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """What is saved comes from: the recording's name for people, and how it is read."""

    title: str
    recording: click.Recording


#: Suffixes that are not what the option is called.
SUFFIXES = {"click": CLICKED}
#: What listening to a song may take: so many seconds, and one more for so many bytes.
LEAST_SECONDS, BYTES_PER_SECOND = 600, 2000


def parameters(source: str | None, vocabulary: str | None) -> Listen:
    """The section `listen`: from `source`, else from params.yaml here, else from the one of the checkout that Ostinato is installed from."""
    if source is None:
        places = (Path("params.yaml"), Path(ostinato.__file__).parents[2] / "params.yaml")
        source = next((str(place) for place in places if place.is_file()), None)
    if source is None:
        raise UserError("params.yaml: no such file here; name one with --params")
    params: Listen = section("listen", source)
    return params.model_copy(update={"vocabulary": vocabulary}) if vocabulary else params


def find_songs(paths: list[Path]) -> list[Song]:
    """The recordings asked for, each once, in the order asked for, and a name for each that no other has."""
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        try:
            for recording in find(path) if path.is_dir() else [path]:
                found.setdefault(os.path.abspath(recording), recording)
        except UserError as error:
            raise UserError(str(error).removeprefix("corpus.folder: ")) from None
    root = os.path.commonpath([os.path.abspath(path if path.is_dir() else path.parent) for path in paths])
    names = [os.path.relpath(recording, root) for recording in found]
    stems = [os.path.splitext(name)[0] for name in names]
    # song.mp3 beside song.flac keep their suffixes; some disks take A and a for the same
    taken = Counter(name.casefold() for name in [*stems, *names])
    return [Song(path, stem if taken[stem.casefold()] == 1 else name) for path, stem, name in zip(found.values(), stems, names)]


def hear_one(song: Song, params: Listen, outputs: dict[str, Path], force: bool) -> None:
    """Print all that is heard in a song, and save what is asked for."""
    try:
        heard, decoded = listen(song, params)
    except RecordingError as error:
        raise UserError(f"{shown(song.path)}: {error}") from None
    print(report(heard, shown(song.path)))
    _list_remarks(song, decoded.remarks)
    kept = save(heard, song, outputs, force, decoded)
    if saved := [shown(path) for path in targets(song, outputs).values() if path not in kept]:
        print("\nsaved " + ", ".join(saved))
    _list_kept(kept)


def hear_many(songs: list[Song], task: partial[Result], jobs: int) -> None:
    """Print a line for each song, in their order, while a bar shows how many are done; then what was kept, and what failed."""
    width = min(max(len(shown(song.path)) for song in songs), 60)
    results: list[Result] = []
    with tqdm(total=len(songs), unit="song", disable=None) as bar:  # None: no bar where nobody watches
        for result in hear_all(songs, task, jobs, bar.update):
            results.append(result)
            if result.line:
                tqdm.write(f"{shown(result.song.path):{width}}  {result.line}")
    failed = [result for result in results if result.problem]
    _list_kept([path for result in results for path in result.kept])
    if len(failed) == len(songs):
        raise UserError(f"none of {len(songs)} recordings can be listened to; the first, {shown(failed[0].song.path)}: {failed[0].problem}")
    print(f"{len(songs) - len(failed)} of {len(songs)} recordings listened to")
    for result in results:
        _list_remarks(result.song, result.remarks)
    for result in failed:
        print(f"set aside: {shown(result.song.path)}: {result.problem}", file=sys.stderr)


def _list_remarks(song: Song, remarks: tuple[tuple[str, str], ...]) -> None:
    for _, detail in remarks:
        print(f"used: {shown(song.path)}: {detail}", file=sys.stderr)


def _list_kept(kept: list[Path]) -> None:
    for path in kept:
        print(f"kept as it was: {shown(path)} (--force overwrites)", file=sys.stderr)


def hear_all(songs: list[Song], task: partial[Result], jobs: int, done: Callable[[], Any]) -> Iterator[Result]:
    """Results in the order of the songs, `jobs` at a time; `done` is called when any is ready. A song at which its process dies or hangs has failed."""
    return resilient_map(task, songs, jobs, _dead, _patience, partial(_begin, task.keywords["params"], jobs > 1), done)


def _patience(song: Song) -> float:
    return seconds_for(song.path, LEAST_SECONDS, BYTES_PER_SECOND)


def _dead(song: Song, why: str) -> Result:
    return Result(song, problem=f"the process that listened to it {why}" + ("" if "took" in why else "; where it was for want of memory, --jobs 1 takes the least"))


def _begin(params: Listen, others: bool) -> None:
    """Make a process ready to listen: one thread, and where there are others, librosa's functions compiled on a moment of noise, for which they wait for each other."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    if others:
        hear(np.random.default_rng(0).normal(0, 0.1, 4 * features.RATE).astype(np.float32), features.RATE, params)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    atexit.register(signal.signal, signal.SIGTERM, signal.SIG_IGN)  # a process that ends anyway is ended without a word


def attempt(song: Song, params: Listen, outputs: dict[str, Path], force: bool) -> Result:
    """Listen to one song of many and save what is asked for. A song whose files are all there is not listened to again, so that a run can go on."""
    try:
        if outputs and not force and all(path.exists() for path in targets(song, outputs).values()):
            return Result(song, kept=tuple(targets(song, outputs).values()))
        decoded = decode(song.path)
        heard = hear_file(song.path, params, decoded.levels)
        kept = save(heard, song, outputs, force, decoded)
    except SystemExit:  # SIGTERM: what was half-written is removed by now, and the process would go on with the next song
        os._exit(1)
    except Exception as error:  # whatever is thrown at one song must not stop a thousand
        refuse_full_disk(error)
        return Result(song, problem=" ".join(str(error).split()) or type(error).__name__)
    return Result(song, line(heard), tuple(kept), remarks=decoded.remarks)


def examined(path: Path) -> Decoded | RecordingError:
    """A recording decoded whole, because headers promise what files do not hold; or why it cannot be."""
    try:
        return decode(path)
    except RecordingError as error:
        return error


def listen(song: Song, params: Listen) -> tuple[Heard, Decoded]:
    """Listen to a recording that was first decoded in a process of its own, which a broken file may kill. Raises RecordingError."""
    decoded = in_own_process(examined, song.path, lambda _, why: RecordingError("unreadable", f"the process that decoded it {why}"))
    if isinstance(decoded, RecordingError):
        raise decoded
    return hear_file(song.path, params, decoded.levels), decoded


def line(heard: Heard) -> str:
    """A song in a line: duration, key, tempo, metre and how sure, instrument, number of chords, and their mean confidence over time."""
    chords = sum(chord.is_chord for _, _, chord in heard.chords)
    sure = np.average(heard.confidences, weights=[end - start for start, end, _ in heard.chords])
    return f"{clock(heard.duration):>7}  {spoken_key(heard.key):8}  {heard.tempo:5.1f} bpm  {spoken_metre(heard):10}  {heard.instrument[0]:8}  {chords:4d} chords  {sure:4.0%} sure"


def targets(song: Song, outputs: dict[str, Path]) -> dict[str, Path]:
    """Where what is saved of a song goes, by kind."""
    return {kind: place if is_file(kind, place) else place / f"{song.name}{SUFFIXES.get(kind, f'.{kind}')}" for kind, place in outputs.items()}


def is_file(kind: str, place: Path) -> bool:
    """Whether what is asked for is a file, of one song, by its name; else it is a folder."""
    return kind == "click" and place.suffix.lower() == ".wav" and not place.is_dir()


def refuse_places(outputs: dict[str, Path], songs: list[Song]) -> None:
    """Refuse outputs that are no folders, a file for several songs, and one that is itself a recording asked for. Raises UserError."""
    for kind, place in outputs.items():
        if not is_file(kind, place):
            if place.exists() and not place.is_dir():
                raise UserError(f"--{kind} {place}: not a folder; name the recordings first, then --{kind}")
        elif len(songs) > 1:
            raise UserError(f"--{kind} {place}: one file for {len(songs)} recordings; name a folder")
        elif place.exists() and place.samefile(songs[0].path):
            raise UserError(f"--{kind} {place}: the recording itself; name another file")


def save(heard: Heard, song: Song, outputs: dict[str, Path], force: bool, decoded: Decoded) -> list[Path]:
    """Save what is asked for; the files that were there already, and stay unless `force`, are returned. `decoded`: what decoding the song showed."""
    kept = []
    for kind, path in targets(song, outputs).items():
        if path.exists() and not force:
            kept.append(path)
        else:
            SAVED[kind][0](path, heard, Source(shown(Path(song.path.stem)), click.Recording(song.path, decoded.levels, decoded.sample_rate)))
    return kept


def _write_lab(path: Path, heard: Heard, _: Source) -> None:
    write_text(path, "".join(f"{start:.6f} {end:.6f} {chord.harte}\n" for start, end, chord in heard.chords))


def _write_csv(path: Path, heard: Heard, _: Source) -> None:
    table = rows(heard)
    write_table(path, list(table[0]), [row.values() for row in table])


def _write_jams(path: Path, heard: Heard, source: Source) -> None:
    jamsfile.write(path, heard, source.title)


def _write_png(path: Path, heard: Heard, source: Source) -> None:
    draw(path, heard, source.title)


def _write_click(path: Path, heard: Heard, source: Source) -> None:
    click.write(path, heard, source.recording)


#: What can be saved, by the suffix of its file where SUFFIXES has no other -> what writes it, and what it is.
SAVED: dict[str, tuple[Callable[[Path, Heard, Source], None], str]] = {
    "lab": (_write_lab, "a line a chord: start, end, chord (beside the song, it would count for more than what is heard)"),
    "jams": (_write_jams, "beats, metres, chords, key, sections and tempo as JAMS (beside the song, likewise)"),
    "csv": (_write_csv, "a table of the chords with numeral, key, bass, confidence, section, bar and cadence (beside the song, likewise)"),
    "png": (_write_png, "a picture"),
    "click": (_write_click, "a .click.wav to judge by ear: the song, clicks on its beats, the chords played softly (of one song also a file: --click out.wav)"),
}
