"""How well the ears hear what is known: python benchmarks/listen.py [PART ...] --soundfont FONT --chords FOLDER --notes FOLDER --codec FOLDER ...

Parts: `rendered`, `guitar`, `samples` (music of listening_data.py: as it is, after MP3 at 64 kbit/s, after the demo codec; by both ears, their
agreement, and by Chordino), `permutation` (the rendered music against other clips' labels), `chordless` (sounds without a chord; music off pitch),
`form` (key, tempo, bars, borders, cuts), `speed`, `long` (a file of two hours). A part whose data is not given is skipped with a line that says so.

Scores are mir_eval's, in percent, weighted by duration over all clips. mir_eval leaves out what a vocabulary cannot compare: `mm judged` and
`7 judged` are the shares of time that majmin and sevenths judged. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import listening_data as data
import mir_eval
import numpy as np
import soundfile
import soxr

from ostinato.corpus import arrangement, composition, etudes, rendering
from ostinato.corpus.recordings import read
from ostinato.dataset.cuts import cut
from ostinato.judge.intervals import bootstrap
from ostinato.listen.hear import Heard, hear, hear_file
from ostinato.params import Listen, Params, load
from ostinato.theory import Chord

PARTS = ("rendered", "guitar", "samples", "permutation", "chordless", "form", "speed", "long")
METRICS = ("root", "majmin", "sevenths", "tetrads", "majmin_inv", "sevenths_inv", "mirex")
EARS = ("labeller", "judge")
#: Run by the interpreter that has chord-extractor: one line of JSON, (chord, start in s) of each change, for each file.
CHORDINO = """import json, sys
from chord_extractor.extractors import Chordino
for path in sys.argv[1:]: print(json.dumps([[change.chord, change.timestamp] for change in Chordino().extract(path)]))"""
#: Run alone, so that the memory is that of listening.
LONG = """import json, resource, sys, time, torch; torch.set_num_threads(1)
from ostinato.listen.hear import hear_file; from ostinato.params import Listen
begun = time.perf_counter(); heard = hear_file(sys.argv[1], Listen.model_validate_json(sys.argv[2])); wall = time.perf_counter() - begun
print(json.dumps({"hours": heard.duration / 3600, "wall s": wall, "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))"""

#: (what the span belongs to, true label, heard label, seconds)
Span = tuple[dict[str, str], str, str, float]


def spans(clip: data.Clip, heard: data.Timeline) -> list[Span]:
    """Spans in which neither the truth of a clip nor what was heard changes."""
    truth, found = (np.array([chord[:2] for chord in chords]) for chords in (clip.truth, heard))
    names, labels = ([chord.harte for _, _, chord in chords] for chords in (clip.truth, heard))
    found, labels = mir_eval.util.adjust_intervals(found, labels, truth.min(), truth.max(), "N", "N")
    times, names, labels = mir_eval.util.merge_labeled_intervals(truth, names, found, labels)
    return [(clip.tags, name, label, float(end - start)) for (start, end), name, label in zip(times, names, labels)]


def all_spans(clips: list[data.Clip], heard: list[data.Timeline]) -> list[Span]:
    """The spans of all clips."""
    return [span for clip, chords in zip(clips, heard) for span in spans(clip, chords)]


def scores(found: list[Span]) -> dict[str, float]:
    """Every metric over spans, percent; `bass`: the bass note is right; NaN where nothing could be compared."""
    _, names, labels, seconds = zip(*found)
    weights, values, judged = np.array(seconds), {}, {}
    for metric in METRICS:
        right = getattr(mir_eval.chord, metric)(list(names), list(labels))
        known = right >= 0
        values[metric] = 100 * float(np.average(right[known], weights=weights[known])) if known.any() else float("nan")
        judged[metric] = 100 * float(weights[known].sum() / weights.sum())
    values["bass"] = 100 * float(np.average([bass_of(name) == bass_of(label) for name, label in zip(names, labels)], weights=weights))
    return values | {"mm judged": judged["majmin"], "7 judged": judged["sevenths"]}


def bass_of(name: str) -> int | None:
    """Pitch class of a chord's bass; None for no chord."""
    chord = Chord.parse(name)
    return chord.bass_pitch_class if chord.is_chord else None


def table(title: str, rows: dict[str, dict[str, float]], digits: int = 1) -> dict[str, dict[str, float]]:
    """Print rows under their columns; return them rounded."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"\n{title:34}" + "".join(f"{column:>13}" for column in columns))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row[column]:13.{digits}f}" if column in row else f"{'':13}" for column in columns), flush=True)
    return {name: {column: round(float(value), 2) for column, value in row.items()} for name, row in rows.items()}


def by(found: list[Span], key) -> dict[str, dict[str, float]]:
    """Some scores of the spans of each kind, the worst first, with the seconds they last."""
    kinds: dict[str, list[Span]] = defaultdict(list)
    for span in found:
        kinds[key(span)].append(span)
    kept = ("root", "majmin", "sevenths", "tetrads", "bass")
    rows = {name: {metric: scores(group)[metric] for metric in kept} | {"s": sum(span[3] for span in group)} for name, group in kinds.items()}
    return dict(sorted(rows.items(), key=lambda row: row[1]["root"] + row[1]["tetrads"]))


def weaknesses(name: str, found: list[Span]) -> None:
    """Print what is heard worst: by what the clips are made of, by quality, by inversion; and what is mistaken for what."""
    for tag in found[0][0]:
        table(f"{name}, by {tag}", by(found, lambda span, tag=tag: span[0][tag]))
    table(f"{name}, by quality", by(found, lambda span: Chord.parse(span[1]).quality))
    table(f"{name}, by bass", by(found, lambda span: f"{Chord.parse(span[1]).quality} over {Chord.parse(span[1]).bass}"
                                 if Chord.parse(span[1]).bass else "root position"))
    mistakes: dict[str, float] = defaultdict(float)
    for _, truth, label, seconds in found:
        asked, got = Chord.parse(truth), Chord.parse(label)
        if (asked.pitch_class, asked.quality) != (got.pitch_class if got.is_chord else None, got.quality):
            taken = f"{got.quality} {(got.pitch_class - asked.pitch_class) % 12} semitones up" if got.is_chord else "N"
            mistakes[f"{asked.quality} as {taken}"] += seconds
    worst, total = sorted(mistakes.items(), key=lambda row: -row[1])[:15], sum(span[3] for span in found)
    table(f"{name}, mistaken", {mistake: {"% of time": 100 * seconds / total} for mistake, seconds in worst}, 2)


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


class Bench:
    """The parts, each a method that prints its tables and returns them."""

    def __init__(self, args: argparse.Namespace, params: Params) -> None:
        self.args, self.params = args, params
        changed = {"ears": args.ears or params.listen.ears, "vocabulary": args.vocabulary or params.listen.vocabulary}
        self.listen: Listen = params.listen.model_copy(update=changed)
        self.listeners = {ear: partial(self.heard_by, ear) for ear in args.ear}
        if args.chordino:
            self.listeners["chordino"] = partial(chordino, args.chordino)

    def heard_by(self, ear: str, clips: list[data.Clip]) -> list[data.Timeline]:
        """The chords an ear hears."""
        return [hear(clip.samples, clip.rate, self.listen, False, ear).chords for clip in clips]

    def rendered(self, font: Path) -> dict:
        return self.compared("rendered", data.rendered(font, self.args.clips))

    def guitar(self, chords: Path) -> dict:
        return self.compared("guitar", data.spliced(chords, max(1, self.args.clips // 8)))

    def samples(self, notes: Path) -> dict:
        return self.compared("samples", data.sampled(notes, max(1, self.args.clips // 2)))

    def compared(self, name: str, clips: list[data.Clip]) -> dict:
        """All listeners on clips as they are and worn; what wear costs; where they fail."""
        rows: dict[str, dict[str, float]] = {}
        print(f"\n{name}: {len(clips)} clips, {sum(clip.seconds for clip in clips) / 60:.1f} min, vocabulary {self.listen.vocabulary}")
        for condition, worn in self.worn(clips):
            heard = {listener: listening(worn) for listener, listening in self.listeners.items()}
            for listener, chords in heard.items():
                found = all_spans(clips, chords)
                rows[f"{listener} {condition}"] = scores(found)
                if condition == "clean" and listener in EARS:
                    weaknesses(f"{name} {listener}", found)
                elif condition != "clean":
                    rows[f"{listener} lost by {condition}"] = {metric: rows[f"{listener} clean"][metric] - rows[f"{listener} {condition}"][metric]
                                                               for metric in (*METRICS, "bass")}
            if set(EARS) <= set(heard):
                labelled = [replace(clip, truth=chords) for clip, chords in zip(clips, heard["labeller"])]
                rows[f"agreement {condition}"] = scores(all_spans(labelled, heard["judge"]))
        return table(name, rows)

    def worn(self, clips: list[data.Clip]):
        """(condition, clips in it)."""
        yield "clean", clips
        mp3 = [data.as_mp3(clip) for clip in clips]
        print(f"mp3: {np.mean([bits for _, bits in mp3]) / 1000:.1f} kbit/s")
        yield "mp3", [clip for clip, _ in mp3]
        if self.args.codec:
            from ostinato.lm.codec import load_codec

            codec = load_codec(self.args.codec)
            yield "codec", [data.through_codec(clip, codec) for clip in clips]

    def permutation(self, font: Path) -> dict:
        """What is heard against the truth, and against the labels of the next three clips laid on the same span; a score for each clip."""
        clips, rows = data.rendered(font, self.args.clips), {}
        for ear in self.args.ear:
            heard = self.listeners[ear](clips)
            for metric in ("root", "majmin"):
                for name, shifts in (("true", (0,)), ("permuted", (1, 2, 3))):
                    values = {clip.name: [scores(spans(laid_on(clip, clips[(k + shift) % len(clips)]), heard[k]))[metric] for shift in shifts]
                              for k, clip in enumerate(clips)}
                    estimate = bootstrap(values, 2000, 0.95, 1)
                    rows[f"{ear} {metric} {name}"] = {key: estimate[key] for key in ("value", "low", "high")}
        return table("permutation (95 % over clips)", rows)

    def chordless(self, font: Path) -> dict:
        """The share of time called "N", percent; and how music 40 cents off pitch is heard."""
        rows: dict[str, dict[str, float]] = {}
        for name, sound in data.chordless(font, self.args.speech).items():
            clip = data.Clip(name, {}, sound, data.SAMPLE_RATE, [(0.0, len(sound) / data.SAMPLE_RATE, Chord("N", ""))])
            rows[name] = {ear: 100 * sum(span[3] for span in spans(clip, self.listeners[ear]([clip])[0]) if span[2] == "N") / clip.seconds
                          for ear in self.args.ear}
        clips = data.rendered(font, min(10, self.args.clips))
        for cents in (0, 40, -40):
            off = [detuned(clip, cents) for clip in clips]
            rows[f"majmin, {cents:+} cents"] = {ear: scores(all_spans(off, self.listeners[ear](off)))["majmin"] for ear in self.args.ear}
        return table("chordless, called N %", rows)

    def form(self, font: Path) -> dict:
        """Songs of known form, by instrument: those of a folder of etudes, or new ones."""
        songs = known_songs(self.args.etudes) if self.args.etudes else new_songs(font, max(5, self.args.clips // 2))
        rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        for samples, rate, truth in songs:
            row = self.form_scores(hear(samples, rate, self.listen), truth)
            rows[truth["instrument"]].append(row)
            rows["all"].append(row)
        rows["all"] = rows.pop("all")  # last
        return table("form", {name: {key: float(np.nanmean([row[key] for row in group])) for key in group[0]} for name, group in rows.items()})

    def form_scores(self, heard: Heard, truth: dict) -> dict[str, float]:
        """Percent; lengths of segments in percent of those within their bounds; `covered` of the music."""
        borders = [np.array([section[:2] for section in sections]) for sections in (truth["sections"], heard.sections)]
        true_chords = [(start, end, Chord.parse(name)) for start, end, name in truth["chords"]]
        changes = [later[0] for earlier, later in zip(true_chords, true_chords[1:]) if not earlier[2].same_sound(later[2])]
        changes = np.array([0.0, *changes, true_chords[-1][1], heard.duration])
        segments, bounds = self.segments(heard), self.params.segments
        cuts = np.array(segments).reshape(-1)
        chords = scores(spans(data.Clip("", {}, np.zeros(0), 1, true_chords), heard.chords))
        near = np.abs(cuts[:, None] - changes).min(axis=1) <= 0.1 if len(cuts) else np.array([np.nan])
        return {"key": 100 * mir_eval.key.weighted_score(truth["key"].replace(":", " "), str(heard.key).replace(":", " ")),
                "tempo": 100.0 * (abs(heard.tempo / truth["tempo"] - 1) < 0.04),
                "bars F": 100 * mir_eval.beat.f_measure(np.array(truth["downbeats"]), heard.downbeats, 0.07),
                "borders F": 100 * mir_eval.segment.detection(*borders, window=0.5, trim=True)[2],
                "cuts on chord": 100 * float(near.mean()), "in bounds": 100 * within(segments, bounds.min_seconds, bounds.max_seconds),
                "covered": 100 * sum(end - start for start, end in segments) / heard.duration,
                "majmin": chords["majmin"], "sevenths": chords["sevenths"]}

    def segments(self, heard: Heard) -> list[tuple[float, float]]:
        """How the pipeline would cut the song."""
        ends = [cadence.time for cadence in heard.cadences]
        return cut(heard.downbeats, heard.chords, heard.sections, ends, heard.duration, self.params.segments)

    def speed(self, font: Path) -> dict:
        """How many times faster than the music a four-minute song is heard, on one core, warm; by the wall's clock and by the processor's."""
        song = np.concatenate([clip.samples for clip in data.rendered(font, 6)])[: 240 * data.SAMPLE_RATE]
        sounds = {rate: soxr.resample(song, data.SAMPLE_RATE, rate) for rate in (44100, 16000)}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "song.mp3"
            soundfile.write(path, sounds[44100], 44100, format="MP3")
            cases = {f"{ear}, {rate} Hz, {'with form' if form else 'chords'}": partial(hear, sound, rate, self.listen, form, ear)
                     for ear in self.args.ear for rate, sound in sounds.items() for form in (False, True)}
            cases["labeller, mp3 file, with form"] = partial(hear_file, path, self.listen)
            return table("speed", {name: timed(case, 240) for name, case in cases.items()}, 2)

    def long(self, font: Path) -> dict:
        """Time and memory for a file of two hours."""
        sounds = [clip.samples for clip in data.rendered(font, 6)]
        with tempfile.TemporaryDirectory() as folder:
            path, left = Path(folder) / "long.flac", 7200 * data.SAMPLE_RATE
            with soundfile.SoundFile(path, "w", data.SAMPLE_RATE, 1, "PCM_16") as stream:
                while left > 0:
                    for sound in sounds:
                        stream.write(sound[:left])
                        left -= min(left, len(sound))
            done = subprocess.run([sys.executable, "-c", LONG, path, self.listen.model_dump_json()], check=True, capture_output=True, text=True)
        return table("long", {"two hours": json.loads(done.stdout.splitlines()[-1])}, 2)


def laid_on(clip: data.Clip, other: data.Clip) -> data.Clip:
    """The clip with another's labels, stretched to its length."""
    stretch = clip.seconds / other.seconds
    return replace(clip, truth=[(start * stretch, end * stretch, chord) for start, end, chord in other.truth])


def detuned(clip: data.Clip, cents: int) -> data.Clip:
    """The clip played a little faster, so higher."""
    factor = 2 ** (cents / 1200)
    samples = soxr.resample(clip.samples, clip.rate * factor, clip.rate)
    return replace(clip, samples=samples, truth=[(start / factor, end / factor, chord) for start, end, chord in clip.truth])


def timed(case, seconds: float) -> dict[str, float]:
    """What a second call costs, for music of so many seconds."""
    case()
    wall, spent = time.perf_counter(), time.process_time()
    case()
    wall, spent = time.perf_counter() - wall, time.process_time() - spent
    return {"x, wall": seconds / wall, "x, CPU": seconds / spent, "CPU s/min": spent / seconds * 60}


def within(segments: list[tuple[float, float]], least: float, most: float) -> float:
    """The share of segments whose length (s) lies within bounds; NaN of none."""
    return float(np.mean([least - 0.01 <= end - start <= most + 0.01 for start, end in segments])) if segments else float("nan")


def known_songs(folder: Path):
    """(samples, rate, truth) of every song of a folder that `ostinato etudes` wrote."""
    for path in sorted((folder / "audio").glob("*.flac")):
        yield *read(path), json.loads((folder / "truth" / f"{path.stem}.json").read_text())


def new_songs(font: Path, count: int, seed: int = 75):
    """(samples, rate, truth) of songs as `ostinato etudes` composes them, with other seeds and a SoundFont."""
    for number in range(count):
        rng, instrument = np.random.default_rng([seed, number]), composition.INSTRUMENTS[number % len(composition.INSTRUMENTS)]
        song = composition.compose(rng, instrument, 60, 120)
        notes, program = arrangement.arrange(song, rng), int(rng.choice(rendering.PROGRAMS[instrument]))
        seconds = sum(len(part.bars) for part in song.sections) * song.bar_seconds + rendering.RING_SECONDS
        yield rendering.render(notes, program, font, seconds), rendering.SAMPLE_RATE, etudes.truth(song)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"{', '.join(PARTS)}; none: all")
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--soundfont", type=Path, help="to render with; one that no ear was trained on, such as FluidR3_GM.sf2")
    parser.add_argument("--chords", type=Path, help="folder of recorded chords with labels.tsv")
    parser.add_argument("--notes", type=Path, help="folder of recorded notes with a .tsv of file and midi_note")
    parser.add_argument("--codec", type=Path, help="folder of the demo codec")
    parser.add_argument("--speech", type=Path, help="folder of wavs of speech; without, espeak-ng speaks if it is installed")
    parser.add_argument("--etudes", type=Path, help="folder with audio/ and truth/, as `ostinato etudes` writes it; without, new songs are rendered")
    parser.add_argument("--chordino", help="a Python interpreter that has chord-extractor")
    parser.add_argument("--ears", help="folder of the networks' weights; without, what listen.ears says")
    parser.add_argument("--ear", nargs="+", choices=EARS, default=list(EARS))
    parser.add_argument("--vocabulary", choices=("majmin", "sevenths", "full"), help="without, what listen.vocabulary says")
    parser.add_argument("--clips", type=int, default=40, help="rendered clips; the other sets follow")
    return parser.parse_args()


def main() -> None:
    import torch

    args = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    bench, found = Bench(args, load(args.params)), {}
    for part in args.parts or PARTS:
        option = {"guitar": "chords", "samples": "notes"}.get(part, "soundfont")
        given = getattr(args, option)
        if given is None and not (part == "form" and args.etudes):
            print(f"\n{part}: skipped, --{option} is not given")
            continue
        found[part] = getattr(bench, part)(given)
    print(json.dumps({"benchmark": "listen", "vocabulary": bench.listen.vocabulary, "clips": args.clips, **found}))


if __name__ == "__main__":
    main()
