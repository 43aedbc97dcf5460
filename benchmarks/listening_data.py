"""Music with a known truth to measure listeners on, made of nothing that ears are trained on: benchmarks/listen.py plays and judges it.

Progressions, voicings and patterns are this file's own, not those of the drills that train ears. They are rendered with any SoundFont or from the
recorded notes of a real instrument, or spliced of recorded chords. Truth is (start, end, chord), times in seconds.
"""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ostinato.etudes import effects
from ostinato.etudes.rendering import SAMPLE_RATE, Part, Player
from ostinato.files import UserError
from ostinato.harmony.chords import Chord, read

Timeline = list[tuple[float, float, Chord]]
Notes = list[tuple[float, float, int, int]]
#: As they would stand in C: jazz, ballads, descending basses, chromatic mediants, pop.
PROGRESSIONS = tuple(
    line.split()
    for line in (
        "D:min7 G:7 C:maj7 A:7",
        "B:hdim7 E:7 A:min7 A:min6",
        "C:maj7 C:7 F:maj7 F:min6",
        "C:maj Db:dim7 D:min7 G:7",
        "A:min A:minmaj7 A:min7 A:min6",
        "C:maj G:maj/3 A:min C:maj/5 F:maj C:maj/3 D:min7 G:7",
        "A:min G:maj F:maj E:maj",
        "C:maj E:maj A:min F:maj C:maj/5 G:7 C:maj G:maj",
        "C:maj Ab:maj F:min G:sus4 G:maj",
        "D:min7 Db:7 C:maj7 Eb:7 Ab:maj7 Db:maj7",
        "D:min7 G:7 C:maj7 F:maj7 B:hdim7 E:7 A:min A:min7/b7",
        "C:sus2 A:min7 F:maj7 G:sus4",
        "C:maj C:aug C:maj6 C:7 F:maj F:min C:maj/5 G:7",
        "E:7 A:7 D:7 G:7",
        "C:maj Eb:maj G:maj Bb:maj F:maj",
        "A:min D:min B:dim E:7/3 A:min F:maj D:min/b3 E:maj",
        "C:min Bb:maj Ab:maj G:min Ab:maj Eb:maj/3 F:min G:maj",
    )
)
#: General MIDI programs (0-127) by family; "unseen": programs no drill is played with.
PROGRAMS = {
    "piano": (0, 2, 3),
    "electric piano": (4, 5),
    "clavier": (6, 7),
    "mallet": (8, 11, 12),
    "organ": (16, 18, 19),
    "accordion": (21, 23),
    "acoustic guitar": (24, 25),
    "electric guitar": (26, 27, 28),
    "distorted guitar": (29, 30),
    "bowed": (40, 42, 48, 49),
    "plucked": (45, 46, 105),
    "voice": (52, 53),
    "brass": (61, 62),
    "wind": (65, 71, 73),
    "synth": (81, 88, 89),
    "unseen": (69, 79, 92, 99, 100, 104, 106, 107, 108),
}
SUSTAINED = ("organ", "accordion", "bowed", "voice", "brass", "wind", "synth")
#: A quarter of the chords stand over another of their notes, these: others would make them other chords (C:min7/b3 is Eb:maj6).
INVERTED, BASSES = 0.25, {"maj": (4, 7), "min": (3, 7), "7": (4, 7, 10), "maj7": (4, 7), "min7": (7, 10), "hdim7": (10,), "dim": (3,)}
JITTER_SECONDS, RELEASE_SECONDS, FADE_SECONDS = 0.006, 0.15, 0.02
MP3_KBITS = 64
#: General MIDI programs (0-127) that sing POP909's melodies: choir, voice, flute, saxophone, violin, a saw-tooth.
LOUD_LEADS = (53, 52, 73, 65, 40, 81)
#: As much of a recording without truth is listened to, s.
MOST_SECONDS = 240


@dataclass(frozen=True)
class Clip:
    """Mono `samples` [T] at `rate` (Hz) with their truth; `tags` say what they are made of, for tables."""

    name: str
    tags: dict[str, str]
    samples: np.ndarray
    rate: int
    truth: Timeline

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate


def progression(rng: np.random.Generator, seconds: float, beat: float) -> Timeline:
    """Two progressions that alternate, each in a key of its own now and then, some chords inverted, chords of two or four beats: fills 0..seconds."""
    tonic, lengths = int(rng.integers(12)), [(4, 4, 4, 4), (2, 2, 2, 2), (4, 4, 2, 2), (4, 2, 2, 4)][int(rng.integers(4))]
    material = [PROGRESSIONS[int(k)] for k in rng.choice(len(PROGRESSIONS), 2, replace=False)]
    truth: Timeline = []
    for turn in range(1000):
        shift = tonic + int(rng.choice([0, 0, 0, 1, 5, 7, 9]))
        for k, name in enumerate(material[turn % 4 == 2]):
            start = truth[-1][1] if truth else 0.0
            if start + 2 * beat > seconds:
                return [*truth[:-1], (truth[-1][0], seconds, truth[-1][2])]
            truth.append((start, min(seconds, start + lengths[k % 4] * beat), _inverted(Chord.parse(name).transpose(shift), rng)))
    raise ValueError(f"{seconds:g} s are too long")


def _inverted(chord: Chord, rng: np.random.Generator) -> Chord:
    over = rng.random() < INVERTED and chord.bass == 0 and chord.quality in BASSES
    return replace(chord, bass=int(rng.choice(BASSES[chord.quality]))) if over else chord


def voicing(chord: Chord, rng: np.random.Generator, centre: float, low: int) -> tuple[int, list[int]]:
    """The bass note and three to four upper voices above it, close or with the second from the top dropped; MIDI numbers."""
    bass = low + (chord.bass_pitch_class - low) % 12
    upper = sorted(int(round((centre - c) / 12)) * 12 + c for c in chord.pitch_classes)
    if len(upper) > 3 and rng.random() < 0.4:
        upper = sorted([*upper[:-2], upper[-2] - 12, upper[-1]])
    return bass, sorted(pitch if pitch > bass else pitch + 12 for pitch in upper)


#: What a chord of so many beats plays: (beat, length in beats, MIDI pitch, velocity) of its bass and upper voices.
PATTERNS: dict[str, Callable[[int, list[int], int], Notes]] = {
    "pad": lambda bass, upper, beats: [(0, beats, pitch, 74) for pitch in [bass, *upper]],
    "charleston": lambda bass, upper, beats: [(at + late, 0.8, pitch, 78) for at in range(0, beats, 2) for late in (0, 1.5) for pitch in upper] + [(0, beats, bass, 84)],
    "alberti": lambda bass, upper, beats: [(k / 4, 0.25, _rocking(bass, [p for p in upper if (p - bass) % 12], k), 80) for k in range(4 * beats)],
    "rolled": lambda bass, upper, beats: [(k * 0.12, beats - k * 0.12, pitch, 80) for k, pitch in enumerate([bass, *upper])],
    "stride": lambda bass, upper, beats: [(at, 0.8, pitch, 74) for at in range(1, beats, 2) for pitch in upper] + [(at, 0.9, bass, 88) for at in range(0, beats, 2)],
    "pulse": lambda bass, upper, beats: [(k / 2, 0.4, pitch, 82 - 8 * (k % 2)) for k in range(2 * beats) for pitch in upper] + [(k, 0.9, bass, 84) for k in range(beats)],
    "travis": lambda bass, upper, beats: (
        [(k, 1.5, (bass, upper[0])[k % 2], 84) for k in range(beats)] + [(k + 0.5, 1.5, pitch, 74) for k in range(beats) for pitch in (upper[1:-1] if k % 2 else upper[-1:])]
    ),
    "cascade": lambda bass, upper, beats: [(k / 4, 2.0, ([bass, *upper] + upper[-2::-1])[k % (2 * len(upper))], 78) for k in range(4 * beats)],
    "offbeat": lambda bass, upper, beats: [(k + 0.5, 0.3, pitch, 80) for k in range(beats) for pitch in upper] + [(k, 0.8, bass, 86) for k in range(beats)],
}


def _rocking(bass: int, voices: list[int], k: int) -> int:
    return (bass, voices[-1], voices[k // 4 % (len(voices) - 1)], voices[-1])[k % 4]


def chords_as_notes(truth: Timeline, pattern: str, beat: float, rng: np.random.Generator) -> Notes:
    """A timeline played with a pattern, a little out of time, in one register: (start, duration, MIDI pitch, velocity), s."""
    centre, low, notes = float(rng.uniform(57, 69)), int(rng.choice([36, 40, 43])), []
    for start, end, chord in truth:
        bass, upper = voicing(chord, rng, centre, low)
        for at, length, pitch, velocity in PATTERNS[pattern](bass, upper, max(2, round((end - start) / beat))):
            begin = max(0.0, start + at * beat + rng.normal(0, JITTER_SECONDS))
            if start + at * beat < end - 0.05:
                notes.append((begin, max(0.05, min(length * beat, end - begin)), pitch, int(np.clip(velocity + rng.normal(0, 7), 20, 127))))
    return notes


def band(truth: Timeline, seconds: float, beat: float, rng: np.random.Generator) -> list[Part]:
    """A bass that walks through the chord, a tune with passing notes, drums in swung eighths."""
    bass: Notes = []
    tune: Notes = []
    for start, end, chord in truth:
        for k in range(max(1, round((end - start) / beat))):
            tone = chord.bass_pitch_class if k == 0 else int(rng.choice(chord.pitch_classes))
            bass.append((start + k * beat, beat * 0.9, 31 + (tone - 31) % 12, 92))
            pitch = 69 + (int(rng.choice(chord.pitch_classes)) - 69) % 12 + int(rng.random() < 0.15)  # one in seven is a wrong note, a semitone up
            tune += [(start + k * beat, beat * float(rng.choice([0.5, 0.9])), pitch, 84)] if rng.random() < 0.7 else []
    steps = [(k * beat / 2 + (k % 2) * beat / 6, k) for k in range(int(seconds / beat * 2) - 1)]
    drums = [(at, 0.1, drum, 80) for at, k in steps for drum, on in ((51, True), (36, k % 4 == 0), (40, k % 4 == 2)) if on]
    leads = [int(rng.choice([12, 26, 59, 66, 71, 73])), int(rng.choice([32, 33, 35]))]
    return [Part(leads[0], tune, 0.8), Part(leads[1], bass), Part(int(rng.choice([0, 32])), drums, float(rng.uniform(0.4, 0.9)), drums=True)]


@cache
def rendered(font: Path, count: int, seed: int = 71) -> list[Clip]:
    """Clips of 40-60 s in all families and patterns; every third with a band."""
    player, clips = Player(font), []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        seconds, beat = float(rng.uniform(40, 60)), 60 / float(rng.uniform(70, 140))
        family = list(PROGRAMS)[number % len(PROGRAMS)]
        pattern = str(rng.choice(["pad", "pulse", "alberti", "charleston"] if family in SUSTAINED else list(PATTERNS)))
        truth, program = progression(rng, seconds, beat), int(rng.choice(PROGRAMS[family]))
        parts = [Part(program, chords_as_notes(truth, pattern, beat, rng)), *(band(truth, seconds, beat, rng) if number % 3 == 2 else [])]
        tags = {"family": family, "program": f"program {program}", "pattern": pattern, "players": "solo" if len(parts) == 1 else "band"}
        clips.append(Clip(f"{number:02d} {family} {pattern}", tags, player.play(parts, seconds), SAMPLE_RATE, truth))
    return clips


@cache
def recorded(folder: Path, count: int) -> tuple[str, list[Clip]]:
    """What a folder's labels.tsv says was recorded, "chords" or "notes", and clips made of that. Raises UserError when it is neither."""
    try:
        with (folder / "labels.tsv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except OSError as error:
        raise UserError(f"{folder / 'labels.tsv'}: {error.strerror}") from None
    for kind, column, make in (("chords", "chord(Harte)", spliced), ("notes", "midi_note", sampled)):
        if rows and column in rows[0]:
            return kind, make(folder, rows, count)
    raise UserError(f"{folder / 'labels.tsv'}: expected a column `chord(Harte)` or `midi_note`, found {', '.join(rows[0]) if rows else 'nothing'}")


def spliced(folder: Path, rows: list[dict[str, str]], count: int, seed: int = 72) -> list[Clip]:
    """Progressions of twelve recorded chords, whole, each within one group (an instrument and a room)."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    names = [sorted(groups)[number % len(groups)] for number in range(count)]
    return [_splice(folder, groups[name], f"{number:02d} {name}", np.random.default_rng([seed, number])) for number, name in enumerate(names)]


def _splice(folder: Path, rows: list[dict[str, str]], name: str, rng: np.random.Generator) -> Clip:
    truth, pieces, time, rate = [], [], 0.0, 44100
    for k in rng.choice(len(rows), min(12, len(rows)), replace=False):
        sound, rate = _mono(folder / rows[int(k)]["file"])
        pieces.append(_faded(sound, rate))
        truth.append((time, time + len(sound) / rate, Chord.parse(rows[int(k)]["chord(Harte)"])))
        time = truth[-1][1]
    return Clip(name, {"group": rows[0]["group"]}, np.concatenate(pieces), rate, truth)


@cache
def _mono(path: Path) -> tuple[np.ndarray, int]:
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return sound.mean(axis=1), rate


def _faded(sound: np.ndarray, rate: int, seconds: float = FADE_SECONDS) -> np.ndarray:
    """The sound with its end faded out: its beginning is its attack."""
    count = min(len(sound), int(seconds * rate))
    return np.concatenate([sound[: len(sound) - count], sound[len(sound) - count :] * np.linspace(1, 0, count, dtype=np.float32)])


class Sampler:
    """Plays notes with recordings of single notes (rows of `file` and `midi_note`), shifted to the pitch wanted by resampling."""

    def __init__(self, folder: Path, rows: list[dict[str, str]]) -> None:
        self.files = {int(row["midi_note"]): folder / row["file"] for row in rows}
        self.rate, self.note = _mono(next(iter(self.files.values())))[1], cache(self._note)

    def _note(self, pitch: int) -> np.ndarray:
        nearest = min(self.files, key=lambda known: abs(known - pitch))
        sound, rate = _mono(self.files[nearest])
        sound = sound[int(np.argmax(np.abs(sound) > 0.05 * np.abs(sound).max())) :]  # silence before the hammer
        return soxr.resample(sound, rate * 2 ** ((pitch - nearest) / 12), self.rate)

    def play(self, notes: Notes, seconds: float) -> np.ndarray:
        """Notes (s) mixed: [T] at `rate`, peak 0.7; each fades within RELEASE_SECONDS of its end."""
        mix = np.zeros(int(seconds * self.rate), np.float32)
        for start, duration, pitch, velocity in notes:
            first, held = int(start * self.rate), int((duration + RELEASE_SECONDS) * self.rate)
            sound = _faded(self.note(pitch)[:held], self.rate, RELEASE_SECONDS)[: len(mix) - first]
            mix[first : first + len(sound)] += sound * np.float32((velocity / 100) ** 2)
        return mix * np.float32(0.7 / np.abs(mix).max())


def sampled(folder: Path, rows: list[dict[str, str]], count: int, seed: int = 73) -> list[Clip]:
    """Clips of 40-60 s of a real instrument's notes, the patterns in turn."""
    sampler, clips = Sampler(folder, rows), []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        seconds, beat, pattern = float(rng.uniform(40, 60)), 60 / float(rng.uniform(70, 140)), list(PATTERNS)[number % len(PATTERNS)]
        truth = progression(rng, seconds, beat)
        samples = sampler.play(chords_as_notes(truth, pattern, beat, rng), seconds)
        clips.append(Clip(f"{number:02d} {pattern}", {"pattern": pattern}, samples, sampler.rate, truth))
    return clips


@cache
def popular(folder: Path, font: Path, count: int, loud: bool) -> list[Clip]:
    """Songs from all of POP909 (Wang et al., 2020), rendered: as they are, or with a lead that sings the melody loud, and drums. Truth is the set's own, found by a program.

    Raises UserError when the folder has no such songs.
    """
    import pretty_midi

    songs = sorted(path for path in folder.glob("[0-9][0-9][0-9]") if (path / f"{path.name}.mid").is_file())
    if not songs:
        raise UserError(f"{folder}: expected folders 001, 002, ... of POP909")
    songs = songs[:: max(1, len(songs) // count)][:count]
    player, clips = Player(font), []
    for number, song in enumerate(songs):
        midi = pretty_midi.PrettyMIDI(str(song / f"{song.name}.mid"))
        truth = _labels(song / "chord_midi.txt")
        parts = [Part(0, [(n.start, n.end - n.start, n.pitch, n.velocity) for n in track.notes]) for track in midi.instruments]
        if loud:
            melody = next(k for k, track in enumerate(midi.instruments) if track.name == "MELODY")
            sung = [(start, length, pitch, min(127, velocity + 30)) for start, length, pitch, velocity in parts[melody].notes]
            parts[melody] = Part(LOUD_LEADS[number % len(LOUD_LEADS)], sung)
            parts = [Part(part.program, part.notes, 1.0 if k == melody else 0.7) for k, part in enumerate(parts)]
            parts.append(Part(int(number % 3) * 8, _rock(np.loadtxt(song / "beat_midi.txt")[:, 0]), 1.0, drums=True))
        clips.append(Clip(song.name, {"song": song.name}, player.play(parts, truth[-1][1]), SAMPLE_RATE, truth))
    return clips


def _labels(path: Path) -> Timeline:
    """Start, end (s) and chord (Harte) on each line."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(float(start), float(end), read(name).chord) for start, end, name in rows]


def _rock(beats: np.ndarray) -> Notes:
    """Kick and snare in turn, hats on eighths."""
    lengths = np.diff(beats, append=beats[-1] + 0.5)
    hats = [(float(at + half * length), 0.1, 42, 80) for at, length in zip(beats, lengths) for half in (0, 0.5)]
    return hats + [(float(at), 0.1, (36, 38)[k % 2], 110) for k, at in enumerate(beats)]


def recordings(folder: Path) -> list[Clip]:
    """All recordings of a folder, at most MOST_SECONDS of each, without truth. Raises UserError where there are none."""
    clips = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".flac", ".ogg", ".mp3")):
        with suppress(soundfile.LibsndfileError):
            sound, rate = soundfile.read(path, frames=-1, dtype="float32", always_2d=True)
            sound = sound[: MOST_SECONDS * rate].mean(axis=1)
            clips.append(Clip(path.stem, {}, sound, rate, [(0.0, len(sound) / rate, Chord("N", ""))]))
    if not clips:
        raise UserError(f"{folder}: no recordings")
    return clips


def as_mp3(clip: Clip) -> Clip:
    """The clip after MP3 at MP3_KBITS; libsndfile counts constant rates from 320 (0) down to 32 kbit/s (1)."""
    stream, level = io.BytesIO(), (320 - MP3_KBITS) / 288
    soundfile.write(stream, soxr.resample(clip.samples, clip.rate, 44100), 44100, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    stream.seek(0)
    samples, rate = soundfile.read(stream, dtype="float32")
    return replace(clip, samples=samples[: round(clip.seconds * rate)], rate=rate)


def through_codec(clip: Clip, codec) -> Clip:
    """The clip encoded and decoded by a codec that `ostinato.codec.codec.load_codec` gave."""
    import torch

    audio = torch.from_numpy(soxr.resample(clip.samples, clip.rate, codec.sample_rate))[None, None]
    with torch.no_grad():
        decoded = codec.decode(*codec.encode(audio.expand(1, codec.channels, -1)))[0].mean(dim=0).numpy()
    return replace(clip, samples=decoded[: round(clip.seconds * codec.sample_rate)], rate=codec.sample_rate)


def laid_on(clip: Clip, seconds: float) -> Timeline:
    """The clip's labels, stretched to another length."""
    return [(start * seconds / clip.seconds, end * seconds / clip.seconds, chord) for start, end, chord in clip.truth]


def transposed(truth: Timeline, steps: int) -> Timeline:
    """Labels some semitones up."""
    return [(start, end, chord.transpose(steps) if chord.is_chord else chord) for start, end, chord in truth]


def detuned(clip: Clip, cents: int) -> Clip:
    """The clip played a little faster, so higher."""
    factor = 2 ** (cents / 1200)
    samples = soxr.resample(clip.samples, clip.rate * factor, clip.rate)
    return replace(clip, samples=samples, truth=[(start / factor, end / factor, chord) for start, end, chord in clip.truth])


def chordless(font: Path, seconds: float = 30.0, seed: int = 74) -> dict[str, np.ndarray]:
    """Sounds without a chord, each [T] at SAMPLE_RATE: silence, noises, one drum, speech (espeak-ng's if it is there, else babble)."""
    rng, count, player = np.random.default_rng(seed), int(seconds * SAMPLE_RATE), Player(font)
    white = rng.normal(0, 0.1, count).astype(np.float32)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(1, np.arange(count // 2 + 1))), count).astype(np.float32)
    sounds = {"silence": np.zeros(count, np.float32), "white noise": white, "quiet white noise": white * 0.003, "pink noise": pink / pink.std() * 0.1}
    for name, drum in (("kick", 36), ("snare", 38), ("low tom", 41), ("conga", 63)):
        sounds[name] = player.play([Part(0, [(k * 0.6, 0.3, drum, 100) for k in range(int(seconds / 0.6))], drums=True)], seconds)
    if not shutil.which("espeak-ng"):
        return sounds | {"speech, babbled": effects.speech(count, rng).astype(np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        for voice in ("en", "en+f3", "de"):
            path = Path(folder) / f"{voice}.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-w", path, str(__doc__)], check=True)
            sounds[f"speech, {voice}"] = soxr.resample(*_mono(path), SAMPLE_RATE)[:count]
    return sounds
