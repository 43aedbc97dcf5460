"""How well the ears hear what is known: python benchmarks/listen.py [--only PART ...] [--recordings FOLDER ...] [--codec FOLDER] [--chordino PYTHON] ...

Parts, each beside its targets; one whose data or tool is missing is skipped with a line that says so:

- rendered: music of listening_data.py, rendered with a SoundFont that no ear was trained on;
- real: the same of recordings: a folder's labels.tsv names files with `chord(Harte)` and `group` (spliced), or with `midi_note` (played as a sampler);
- popular: songs of POP909 (--pop909), rendered as they are, and with the melody loud, on other instruments, and drums;
- opinions: where truth is missing (--untold): how much of the time two listeners hear the same, the ears, templates and, where it is at hand, Chordino;
- codec: what MP3 at 64 kbit/s, and a codec of Ostinato's, cost on that music, and on `etudes`, for which the demo's codec is made; in points;
- speed: times real time on one core, warm, by the wall's clock and by the processor's; memory for long files;
- segments: key, tempo, metre, bars, borders and cuts of songs of known form, in turn in each of --metres; `cuts on chord`: those inside the song within 0.1 s of a
  change of chord; `metre`: the share of the song that is said to be in its metre;
- instruments: F measures of what plays, by family, of single parts and of mixes of two to four (listen.instrument_scores), clean and worn; the etudes' five;
- odd: the share of time called "N" in sounds without a chord; music played off pitch;
- permutation: what the judge hears against the truth, against other clips' labels, and those in all twelve transpositions, which is chance.

Chord scores are mir_eval's, in percent, weighted by duration over all clips, nothing heard with the help of beats but in `segments`. mir_eval leaves out
what a vocabulary cannot compare: `mm judged` and `7 judged` are the shares of time that majmin and sevenths judged. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import listening_data as data
import mir_eval
import numpy as np
import soundfile
import soxr

from ostinato.dataset.cuts import confidence, cut
from ostinato.ears.features import FRAME_RATE
from ostinato.ears.labels import QUALITIES, frame_labels
from ostinato.etudes import arrangement, composition, rendering
from ostinato.etudes import songs as etudes
from ostinato.files import UserError
from ostinato.harmony.chords import Chord
from ostinato.harmony.instruments import obeyed_by
from ostinato.harmony.metres import COMMON_TIME, Metre
from ostinato.judge.intervals import cluster_mean
from ostinato.judge.templates import by_templates
from ostinato.listen import instrument_scores
from ostinato.listen.bars import changes, regular
from ostinato.listen.evidence import analyse, chord_evidence, resampled
from ostinato.listen.hear import Heard, hear, hear_file
from ostinato.listen.instruments import names_of, playing
from ostinato.params import Listen, Params, load

PARTS = ("rendered", "real", "popular", "opinions", "codec", "speed", "segments", "instruments", "odd", "permutation")
EARS = ("labeller", "judge")
METRICS = ("root", "majmin", "sevenths", "tetrads", "majmin_inv", "mirex")
TARGETS = {
    "rendered": {"root": 93, "majmin": 92, "sevenths": 85},
    "chords": {"majmin": 97, "sevenths": 96},
    "notes": {"majmin": 93, "sevenths": 85},
    "popular": {"majmin": 90, "sevenths": 82},
    "segments": {"key": 95, "tempo": 95, "borders F": 80, "cuts on chord": 95, "in bounds": 100},
}
#: Run by the interpreter that has chord-extractor: one line of JSON, (chord, start in s) of each change, for each file.
CHORDINO = """import json, sys
from chord_extractor.extractors import Chordino
for path in sys.argv[1:]: print(json.dumps([[change.chord, change.timestamp] for change in Chordino().extract(path)]))"""
#: Run alone, so that the memory is that of listening; Linux's VmHWM, because getrusage's peak begins at that of the process which started this one.
LONG = """import json, re, sys, time, torch; torch.set_num_threads(1)
from ostinato.listen.hear import hear_file; from ostinato.params import Listen
wall, spent = time.perf_counter(), time.process_time(); heard = hear_file(sys.argv[1], Listen.model_validate_json(sys.argv[2]))
print(json.dumps({"x, wall": heard.duration / (time.perf_counter() - wall), "x, CPU": heard.duration / (time.process_time() - spent),
                  "GiB": int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 2**20}))"""

Row = dict[str, float]
#: True label, heard label, seconds.
Span = tuple[str, str, float]


def spans(truth: data.Timeline, heard: data.Timeline) -> list[Span]:
    """Spans of the truth in which neither it nor what was heard changes."""
    times, names = zip(*(([chord[:2] for chord in chords], [chord.harte for _, _, chord in chords]) for chords in (truth, heard)))
    asked, found = map(np.array, times)
    found, labels = mir_eval.util.adjust_intervals(found, names[1], asked.min(), asked.max(), "N", "N")
    merged, asked_names, labels = mir_eval.util.merge_labeled_intervals(asked, names[0], found, labels)
    return [(name, label, float(end - start)) for (start, end), name, label in zip(merged, asked_names, labels)]


def all_spans(clips: list[data.Clip], heard: list[data.Timeline]) -> list[Span]:
    """The spans of all clips."""
    return [span for clip, chords in zip(clips, heard) for span in spans(clip.truth, chords)]


def scores(found: list[Span]) -> Row:
    """Every metric over spans, percent; `bass`: the bass note is right; NaN where nothing could be compared."""
    names, labels, seconds = map(list, zip(*found))
    weights, values, judged = np.array(seconds), {}, {}
    for metric in METRICS:
        right = getattr(mir_eval.chord, metric)(names, labels)
        known = right >= 0
        values[metric] = 100 * float(np.average(right[known], weights=weights[known])) if known.any() else math.nan
        judged[metric] = 100 * float(weights[known].sum() / weights.sum())
    values["bass"] = 100 * float(np.average([bass_of(name) == bass_of(label) for name, label in zip(names, labels)], weights=weights))
    return values | {"mm judged": judged["majmin"], "7 judged": judged["sevenths"]}


def bass_of(name: str) -> int | None:
    """Pitch class of a chord's bass; None for no chord."""
    chord = Chord.parse(name)
    return chord.bass_pitch_class if chord.is_chord else None


def table(title: str, rows: dict[str, Row], digits: int = 1) -> dict[str, dict[str, float | None]]:
    """Print rows under their columns; return them rounded."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"\n{title:34}" + "".join(f"{column:>16}" for column in columns))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[column]:16.{digits}f}" if column in row else f"{'':16}" for column in columns), flush=True)
    return {name: {column: None if math.isnan(value) else round(float(value), 2) for column, value in row.items()} for name, row in rows.items()}


def details(title: str, clips: list[data.Clip], heard: list[data.Timeline]) -> None:
    """Print scores by what clips are made of, by quality and by inversion, the worst first, with the seconds they last."""
    groups: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for clip, chords in zip(clips, heard):
        for span in spans(clip.truth, chords):
            chord = Chord.parse(span[0])
            for kind in (clip.tags | {"quality": chord.quality, "bass": f"{chord.quality} over {chord.bass}"}).items():
                groups[kind].append(span)
    for tag in dict.fromkeys(tag for tag, _ in groups):
        rows = {value: scores(group) | {"s": sum(span[2] for span in group)} for (known, value), group in groups.items() if known == tag}
        table(f"{title}, by {tag}", dict(sorted(rows.items(), key=lambda row: row[1]["root"] + row[1]["tetrads"])))


def runs_chordino(python: str | None) -> bool:
    """Whether an interpreter is there and has chord-extractor."""
    return bool(python and shutil.which(python)) and subprocess.run([python, "-c", "import chord_extractor"], capture_output=True).returncode == 0


def chordino(python: str, clips: list[data.Clip]) -> list[data.Timeline]:
    """What Chordino hears, run by another interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{number}.wav") for number in range(len(clips))]
        for path, clip in zip(paths, clips):
            soundfile.write(path, clip.samples, clip.rate)
        lines = subprocess.run([python, "-c", CHORDINO, *paths], check=True, capture_output=True, text=True).stdout.splitlines()
    heard = []
    for clip, changes in zip(clips, map(json.loads, lines)):
        starts = [time for _, time in changes] + [clip.seconds]
        heard.append([(start, end, Chord.parse(name)) for (name, _), start, end in zip(changes, starts, starts[1:]) if end > start])
    return heard


def confused(title: str, found: list[Span], named: int = 4) -> None:
    """Print, for each quality, what it was heard as for how much of its time: the chords that most of it went to, by the interval of their root from the true one."""
    seconds: dict[str, Counter[str]] = defaultdict(Counter)
    for name, label, length in found:
        asked = Chord.parse(name)
        seconds[asked.quality if asked.is_chord else "N"][_seen_from(asked, Chord.parse(label))] += length
    print(f"\n{title + ', heard as, %':44}{'s':>7}")
    for quality, heard in sorted(seconds.items(), key=lambda row: row[1][row[0]] / row[1].total()):
        wrong = [(name, length) for name, length in heard.most_common() if name != quality][:named]
        shares = [f"{name} {100 * length / heard.total():.1f}" for name, length in [(quality, heard[quality]), *wrong]]
        print(f"{quality:10}{heard.total():8.0f} s   " + "".join(f"{share:14}" for share in shares), flush=True)


def mass(title: str, clips: list[data.Clip], listen: Listen, ear: str, named: int = 4) -> None:
    """Print what share of its probability a network gives, in the frames of each quality, to that quality and to the chords that get most of the rest."""
    given: dict[str, list[np.ndarray]] = defaultdict(list)
    for clip in clips:
        analysis = analyse([resampled(clip.samples, clip.rate)], ear)
        probabilities = np.exp(chord_evidence(analysis, ear, listen.ears).chord)
        for (root, quality, _), row in zip(frame_labels(clip.truth, len(probabilities)).tolist(), probabilities):
            if quality >= 0:
                given[QUALITIES[quality]].append(np.append(np.roll(row[:-1].reshape(-1, 12), -root, axis=1).ravel(), row[-1]))
    names = [f"+{step} {quality}" if step else quality for quality in QUALITIES for step in range(12)] + ["N"]
    print(f"\n{title + ', probability goes to, %':44}{'s':>7}")
    for quality, rows in sorted(given.items(), key=lambda row: float(np.mean([values[12 * QUALITIES.index(row[0])] for values in row[1]]))):
        mean = 100 * np.mean(rows, axis=0)
        most = [k for k in np.argsort(-mean) if names[k] != quality][:named]
        print(f"{quality:10}{len(rows) / FRAME_RATE:8.0f} s   " + "".join(f"{names[k] + f' {mean[k]:.1f}':14}" for k in [names.index(quality), *most]), flush=True)


def _seen_from(asked: Chord, heard: Chord) -> str:
    """A heard chord's quality, with its root where that is not the true one: `+3 min7`."""
    if not heard.is_chord or not asked.is_chord:
        return heard.quality if heard.is_chord else "N"
    interval = (heard.pitch_class - asked.pitch_class) % 12
    return f"+{interval} {heard.quality}" if interval else heard.quality


def templates(clips: list[data.Clip]) -> list[data.Timeline]:
    """What `ostinato.judge.templates` hears."""
    return [by_templates(clip.samples, clip.rate) for clip in clips]


class Bench:
    """The parts, each a method that prints its tables and returns them. Raises UserError where something it needs is missing."""

    def __init__(self, args: argparse.Namespace, params: Params) -> None:
        self.args, self.params = args, params
        self.listen = params.listen.model_copy(update={"ears": args.ears or params.listen.ears, "vocabulary": args.vocabulary or params.listen.vocabulary})
        self.listeners: dict[str, Callable] = {ear: partial(self.heard_by, ear) for ear in EARS}
        if runs_chordino(args.chordino):
            self.listeners["chordino"] = partial(chordino, args.chordino)
        else:
            print("chordino: skipped, --chordino names no Python that has chord-extractor")
        self.known: dict[tuple[str, str], list[data.Timeline]] = {}

    def heard_by(self, ear: str, clips: list[data.Clip]) -> list[data.Timeline]:
        """The chords an ear hears."""
        return [hear(clip.samples, clip.rate, self.listen, want_form=False, ear=ear).chords for clip in clips]

    def heard(self, listener: str, name: str, clips: list[data.Clip]) -> list[data.Timeline]:
        """What a listener hears in the music of that name; heard once."""
        if (listener, name) not in self.known:
            self.known[listener, name] = self.listeners[listener](clips)
        return self.known[listener, name]

    def font(self) -> Path:
        """The SoundFont to render with."""
        return rendering.soundfont(self.args.soundfont)

    def rendered(self) -> dict:
        return self.compared("rendered", "rendered", data.rendered(self.font(), self.args.clips))

    def real(self) -> dict:
        if not self.args.recordings:
            raise UserError("--recordings is not given")
        return {folder.name: self.compared(folder.name, *data.recorded(folder, self.args.clips)) for folder in self.args.recordings}

    def compared(self, name: str, kind: str, clips: list[data.Clip]) -> dict:
        """All listeners on clips, beside the targets."""
        heard = {listener: self.heard(listener, name, clips) for listener in self.listeners}
        title = f"{name}, {len(clips)} clips, {sum(clip.seconds for clip in clips) / 60:.0f} min"
        for ear in EARS if self.args.details else ():
            details(f"{name}, {ear}", clips, heard[ear])
            confused(f"{name}, {ear}", all_spans(clips, heard[ear]))
            mass(f"{name}, {ear}", clips, self.listen, ear)
        return table(title, {listener: scores(all_spans(clips, chords)) for listener, chords in heard.items()} | {"target, at least": TARGETS[kind]})

    def popular(self) -> dict:
        """Songs with the set's own labels."""
        if not self.args.pop909:
            raise UserError("--pop909 is not given")
        songs = {"as they are": False, "melody loud, drums": True}
        return {name: self.compared(f"POP909, {name}", "popular", data.popular(self.args.pop909, self.font(), self.args.songs, loud)) for name, loud in songs.items()}

    def opinions(self) -> dict:
        """Agreement of every two listeners; the first is taken for the truth, which changes little."""
        if not self.args.untold:
            raise UserError("--untold is not given")
        rows: dict[str, Row] = {}
        for folder in self.args.untold:
            clips = data.recordings(folder)
            heard = {name: listener(clips) for name, listener in {**self.listeners, "templates": templates}.items()}
            for first, second in combinations(heard, 2):
                asked = [replace(clip, truth=chords) for clip, chords in zip(clips, heard[first])]
                found = scores(all_spans(asked, heard[second]))
                rows[f"{folder.name}: {first}, {second}"] = {metric: found[metric] for metric in ("root", "majmin", "mm judged")}
        return table("opinions: the same is heard, %", rows)

    def codec(self) -> dict:
        """What is lost, of half of all music there is."""
        wears = {"mp3": data.as_mp3}
        if self.args.codec:
            from ostinato.codec.codec import load_codec

            wears["codec"] = partial(data.through_codec, codec=load_codec(self.args.codec))
        else:
            print("\ncodec: Ostinato's own skipped, --codec is not given")
        music = {folder.name: data.recorded(folder, self.args.clips)[1] for folder in self.args.recordings}
        with suppress(UserError):
            music["rendered"] = data.rendered(self.font(), self.args.clips)
        music["etudes"] = [song_clip(*song) for song in songs(rendering.soundfont(None), max(5, self.args.clips // 4), seed=76)]
        rows: dict[str, Row] = {}
        for name, whole in music.items():
            clips = whole[: max(5, self.args.clips // 2)]
            clean = {ear: scores(all_spans(clips, self.heard(ear, name, whole))) for ear in EARS}
            for wear, wearing in wears.items():
                worn = [wearing(clip) for clip in clips]
                for ear in EARS:
                    found = scores(all_spans(clips, self.heard_by(ear, worn)))
                    lost = {f"{metric} lost": clean[ear][metric] - found[metric] for metric in ("root", "majmin", "sevenths")}
                    rows[f"{name}, {ear}, {wear}"] = {metric: found[metric] for metric in ("root", "majmin", "sevenths")} | lost
        return table("codec", rows | {"target, at most": {f"{metric} lost": 5 for metric in ("root", "majmin", "sevenths")}})

    def speed(self) -> dict:
        """A four-minute song of 44.1 kHz; the song over and over, as a file of 12 minutes and one of two hours."""
        sound = np.concatenate([clip.samples for clip in data.rendered(self.font(), 6)])[: 240 * data.SAMPLE_RATE]
        song = soxr.resample(sound, data.SAMPLE_RATE, 44100)
        rows = {f"{ear}, samples, {what}": timed(partial(hear, song, 44100, self.listen, form, ear), 240) for ear in EARS for what, form in (("chords", False), ("whole", True))}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "song.mp3"
            soundfile.write(path, song, 44100, format="MP3")
            rows["labeller, mp3 file, whole"] = timed(partial(hear_file, path, self.listen), 240)
            for turns in (3, 30):
                path = Path(folder) / "long.flac"
                with soundfile.SoundFile(path, "w", data.SAMPLE_RATE, 1, "PCM_16") as stream:
                    for _ in range(turns):
                        stream.write(sound)
                done = subprocess.run([sys.executable, "-c", LONG, path, self.listen.model_dump_json()], check=True, capture_output=True, text=True)
                rows[f"labeller, file of {4 * turns} min, cold"] = json.loads(done.stdout.splitlines()[-1])
        return table("speed", rows | {"target, samples": {"x, CPU": 200}, "target, mp3": {"x, CPU": 100}}, 2)

    def segments(self) -> dict:
        """Songs of known form, by instrument, and by metre where there are several."""
        rows: dict[str, list[Row]] = defaultdict(list)
        metres = [Metre.parse(name) for name in self.args.metres]
        for samples, truth in songs(self.font(), self.args.clips, metres=metres):
            row = self.form_scores(hear(samples, rendering.SAMPLE_RATE, self.listen), truth)
            for group in (truth["instrument"], *([truth.get("metre", "4/4")] if len(metres) > 1 else []), "all"):
                rows[group].append(row)
        rows["all"] = rows.pop("all")  # last
        means = {name: {key: float(np.nanmean([row[key] for row in group])) for key in group[0]} for name, group in rows.items()}
        return table(f"segments of {self.args.clips} songs", means | {"target, at least": TARGETS["segments"]})

    def form_scores(self, heard: Heard, truth: dict) -> Row:
        """Percent, of one song; `in bounds`: segments neither too short nor too long; `covered`: the music that is in segments."""
        borders = [np.array([section[:2] for section in sections]) for sections in (truth["sections"], heard.sections)]
        asked = [(start, end, Chord.parse(name)) for start, end, name in truth["chords"]]
        changes = np.array([later[0] for earlier, later in zip(asked, asked[1:]) if not earlier[2].same_sound(later[2])])
        segments, bounds = self.cuts(heard), self.params.segments
        inside = sorted({time for segment in segments for time in segment if 0.1 < time < asked[-1][1] - 0.1})
        chords = scores(spans(asked, heard.chords))
        return {
            "key": 100 * mir_eval.key.weighted_score(truth["key"].replace(":", " "), str(heard.key).replace(":", " ")),
            "tempo": 100.0 * (abs(heard.tempo / truth["tempo"] - 1) <= 0.04),
            "metre": 100 * in_metre(heard, Metre.parse(truth.get("metre", "4/4"))),
            "bars F": 100 * mir_eval.beat.f_measure(np.array(truth["downbeats"]), heard.downbeats, 0.07),
            "borders F": 100 * mir_eval.segment.detection(*borders, window=0.5, trim=True)[2],
            "cuts on chord": share([np.abs(time - changes).min() <= 0.1 for time in inside]),
            "in bounds": share([bounds.min_seconds - 1e-6 <= end - start <= bounds.max_seconds + 1e-6 for start, end in segments]),
            "covered": 100 * sum(end - start for start, end in segments) / heard.duration,
            "instrument": 100.0 * any(name in obeyed_by(truth["instrument"]) for name, _ in names_of(heard.instruments, 0.0, heard.duration)),
            "majmin": chords["majmin"],
            "sevenths": chords["sevenths"],
        }

    def cuts(self, heard: Heard) -> list[tuple[float, float]]:
        """The segments that the pipeline would write."""
        ends, bars = [cadence.time for cadence in heard.cadences], regular(heard.downbeats)
        pieces = cut(bars, heard.chords, heard.sections, ends, heard.duration, self.params.segments, changes(heard.metres, bars))
        return [piece for piece in pieces if confidence(*piece, heard.chords, heard.confidences) >= self.params.segments.min_confidence]

    def instruments(self) -> dict:
        """What plays: F measures of clips of every family, six times `--clips`, and of songs of the etudes' five."""
        player, found = rendering.Player(self.font()), {}
        for name in ("clean", "worn"):
            rows = [instrument_scores.hear_clip(k, 2025, player, self.listen, name == "worn") for k in range(6 * self.args.clips)]
            by_part = instrument_scores.scores(rows)
            lines = dict.fromkeys(line for part in by_part.values() for line in part)
            by_family = {line: {part: values[line] for part, values in by_part.items() if line in values} for line in lines}
            found[name] = table(f"instruments, {name}, {len(rows)} clips", by_family | {"target, macro, at least": {"single": 80, "mix": 80}})
        songs_heard = [(truth["instrument"], self.names(samples)) for samples, truth in songs(self.font(), self.args.clips, seed=76)]
        five = {name: self.told(name, songs_heard) for name in composition.INSTRUMENTS}
        return found | {"etudes": table("instruments, etudes", five | {"mean": column_means(list(five.values())), "target, at least": {"F1": 90}})}

    def names(self, samples: np.ndarray) -> list[str]:
        """The names that a prompt of the whole song would get."""
        analysis = analyse([resampled(samples, rendering.SAMPLE_RATE)], "labeller")
        return [name for name, _ in names_of(playing(analysis, self.listen.ears), 0.0, analysis.duration)]

    def told(self, name: str, heard: list[tuple[str, list[str]]]) -> Row:
        """Of songs (instrument, names heard): whether those of a name have it, and only it, percent; F measure of having it."""
        has = [(real == name, any(one in obeyed_by(name) for one in names)) for real, names in heard]
        alone = [bool(names) and all(one in obeyed_by(name) for one in names) for real, names in heard if real == name]
        right, said, there = (sum(flags) for flags in ([a and b for a, b in has], [b for _, b in has], [a for a, _ in has]))
        return {"has it": 100 * right / max(there, 1), "only it": share(alone), "F1": 200 * right / max(said + there, 1)}

    def odd(self) -> dict:
        """Sounds without a chord, and some of the rendered music played faster or slower."""
        called = {}
        for name, sound in data.chordless(self.font()).items():
            clip = data.Clip(name, {}, sound, data.SAMPLE_RATE, [(0.0, len(sound) / data.SAMPLE_RATE, Chord("N", ""))])
            called[name] = {
                ear: share([label == "N" for _, label, _ in found], [seconds for _, _, seconds in found])
                for ear, found in ((ear, all_spans([clip], self.heard_by(ear, [clip]))) for ear in EARS)
            }
        clips = data.rendered(self.font(), max(1, self.args.clips // 2))
        off = {f"{cents:+} cents": [data.detuned(clip, cents) for clip in clips] for cents in (0, 40, -40)}
        pitch = {
            name: {f"{ear} {metric}": value for ear in EARS for metric, value in scores(all_spans(worn, self.heard_by(ear, worn))).items() if metric in ("root", "majmin")}
            for name, worn in off.items()
        }
        return {"called N": table("odd, called N %", called), "off pitch": table("odd, off pitch", pitch)}

    def permutation(self) -> dict:
        """A score for each clip of the rendered music; 95 % intervals over clips."""
        clips = data.rendered(self.font(), self.args.clips)
        heard, rows = self.heard("judge", "rendered", clips), {}
        others = [[data.laid_on(clips[(k + shift) % len(clips)], clip.seconds) for shift in (1, 2, 3)] for k, clip in enumerate(clips)]
        chance = [[data.transposed(other, steps) for other in labels for steps in range(12)] for labels in others]
        for name, truths in {"true": [[clip.truth] for clip in clips], "permuted": others, "chance": chance}.items():
            found = [[scores(spans(truth, chords)) for truth in labels] for labels, chords in zip(truths, heard)]
            for metric in ("root", "majmin"):
                estimate = cluster_mean({str(k): [row[metric] for row in group] for k, group in enumerate(found)}, 0.95)
                rows[f"judge, {metric}, {name}"] = {key: estimate[key] for key in ("value", "low", "high")}
        return table("permutation", dict(sorted(rows.items(), key=lambda row: "root" not in row[0])))


def column_means(rows: list[Row]) -> Row:
    """The mean of each column."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def share(flags: list[bool], weights: list[float] | None = None) -> float:
    """Percent of those that are true; NaN of none."""
    return 100 * float(np.average(flags, weights=weights)) if flags else math.nan


def song_clip(samples: np.ndarray, truth: dict) -> data.Clip:
    """A song as far as its last chord."""
    chords = [(start, end, Chord.parse(name)) for start, end, name in truth["chords"]]
    return data.Clip(truth["instrument"], {}, samples[: round(chords[-1][1] * rendering.SAMPLE_RATE)], rendering.SAMPLE_RATE, chords)


def timed(case: Callable, seconds: float) -> Row:
    """The best of three calls after a first that warms up, for music of so many seconds."""
    case()
    walls, spent = [], []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        case()
        walls.append(time.perf_counter() - wall)
        spent.append(time.process_time() - processor)
    return {"x, wall": seconds / min(walls), "x, CPU": seconds / min(spent)}


def in_metre(heard: Heard, metre: Metre) -> float:
    """The share of a song that is heard in a metre."""
    return sum(end - start for start, end, found, _ in heard.metres if found == metre) / heard.duration


def songs(font: Path, count: int, seed: int = 75, metres: Sequence[Metre] = (COMMON_TIME,)):
    """(samples, truth) of songs as `ostinato etudes` composes them, with other seeds and a SoundFont; metres take turns when all instruments have had theirs."""
    for number in range(count):
        rng, instrument = np.random.default_rng([seed, number]), composition.INSTRUMENTS[number % len(composition.INSTRUMENTS)]
        song = composition.compose(rng, instrument, 60, 120, metres[number // len(composition.INSTRUMENTS) % len(metres)])
        notes, program = arrangement.arrange(song, rng), int(rng.choice(rendering.PROGRAMS[instrument]))
        seconds = sum(len(part.bars) for part in song.sections) * song.bar_seconds + rendering.RING_SECONDS
        yield rendering.render(notes, program, font, seconds), etudes.truth(song)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--params", default="params.yaml", help="for `listen` and `segments`")
    parser.add_argument("--ears", help="folder of the networks' weights; default: what listen.ears says")
    parser.add_argument("--vocabulary", choices=("majmin", "sevenths", "full"), help="in place of listen.vocabulary")
    parser.add_argument("--soundfont", default="FluidR3_GM.sf2", help="one that no ear was trained on: a file, or a name where Linux keeps them")
    parser.add_argument("--recordings", type=Path, nargs="+", default=[], help="folders with labels.tsv, of recorded chords or notes")
    parser.add_argument("--pop909", type=Path, help="folder of POP909's songs")
    parser.add_argument("--songs", type=int, default=12, help="songs of POP909")
    parser.add_argument("--untold", type=Path, nargs="+", default=[], help="folders of recordings without truth")
    parser.add_argument("--codec", type=Path, help="folder of the demo's codec")
    parser.add_argument("--chordino", help="a Python interpreter that has chord-extractor")
    parser.add_argument("--clips", type=int, default=40, help="clips of each set of music, and songs")
    parser.add_argument("--metres", nargs="+", choices=list(map(str, composition.GROUPINGS)), default=["4/4"], metavar="METRE", help="of the songs of `segments`, such as 3/4 6/8")
    parser.add_argument("--details", action="store_true", help="also scores by family, pattern, quality, inversion, and what is taken for what")
    return parser.parse_args()


def main() -> None:
    import torch

    args = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    bench, found = Bench(args, load(args.params)), {}
    for part in args.only:
        begun = time.perf_counter()
        try:
            found[part] = getattr(bench, part)()
            print(f"({time.perf_counter() - begun:.0f} s)")
        except UserError as missing:
            print(f"\n{part}: skipped, {missing}")
    print(json.dumps({"benchmark": "listen", "vocabulary": bench.listen.vocabulary, "clips": args.clips, **found}))


if __name__ == "__main__":
    main()
