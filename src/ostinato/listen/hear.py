"""The door of the listening room: `hear` says what is in a recording. A better listener goes behind this door and changes nothing before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.compiling import compiled_alone
from ostinato.corpus.beats import Beats
from ostinato.corpus.levels import Levels
from ostinato.corpus.recordings import stream
from ostinato.corpus.side_files import Given
from ostinato.ears import features
from ostinato.harmony.keys import Key
from ostinato.listen.beats import bass_rise, onset_strength, track
from ostinato.listen.beats import downbeats as places_in_bar
from ostinato.listen.chords import Interval, recognise
from ostinato.listen.evidence import Analysis, analyse, chord_evidence, instrument_of, resampled
from ostinato.listen.form import sections
from ostinato.listen.key import Cadence, cadences, find_key, keys_over_time, longest
from ostinato.params import Listen


@dataclass(frozen=True)
class Heard:
    """What was heard, times in seconds.

    `chords` cover 0..duration ("N" where nothing sounds, "X" where given chords say nothing), one confidence (0-1) each; `positions` are the beats' places in
    the bar, 1 to 4 where they are heard; `key` is that of the whole, `keys` say where it changes; `chroma` is [12, F] at `chroma_rate` frames per second;
    `tuning` in semitones from A = 440 Hz; `instrument` with its probability.
    """

    duration: float
    tuning: float
    tempo: float
    beats: np.ndarray
    positions: np.ndarray
    chords: list[Interval]
    confidences: list[float]
    key: Key
    keys: list[tuple[float, float, Key]]
    cadences: list[Cadence]
    sections: list[tuple[float, float, str]]
    instrument: tuple[str, float]
    chroma: np.ndarray
    chroma_rate: float

    @property
    def downbeats(self) -> np.ndarray:
        """Times of the first beats of bars, s."""
        return self.beats[self.positions == 1]


def hear(samples: np.ndarray, sample_rate: int, params: Listen, want_form: bool = True, ear: str = "labeller") -> Heard:
    """Listen to mono audio [T].

    Args:
        want_form: also find beats, cadences, sections and instrument; without, they are empty (for short clips, where they mean little).
        ear: `labeller`, which labels training music, or `judge`, which hears demos.
    """
    return hear_chunks([resampled(samples, sample_rate)], params, want_form, ear)


def hear_file(path: Path | str, params: Listen, levels: Levels = Levels(), given: Given = Given()) -> Heard:
    """Listen to a recording of any length, decoded piece by piece. Raises RecordingError when it cannot be read.

    Args:
        levels: as decoding it whole showed; given: what somebody wrote down of it, which is believed.
    """
    return hear_chunks(stream(path, features.RATE, levels), params, given=given)


@compiled_alone
def hear_chunks(chunks: Iterable[np.ndarray], params: Listen, want_form: bool = True, ear: str = "labeller", given: Given = Given()) -> Heard:
    """Listen to mono audio at frames.RATE given in chunks of any length. See `hear` and `hear_file`."""
    analysis = analyse(chunks, ear)
    evidence = chord_evidence(analysis, ear, params.ears)
    onsets, duration = onset_strength(analysis.mel), analysis.duration
    known = given.within(duration)
    chords, confidences = recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets)
    beats, positions, tempo, form, instrument = np.zeros(0), np.zeros(0, int), 0.0, [(0.0, duration, "A")], ("", 0.0)
    if want_form:
        changes = np.array([start for start, _, _ in chords[1:]])
        beats, positions, tempo = pulse(analysis, onsets, changes, known.beats)
        downbeats = beats[positions == 1]
        chords, confidences = recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets, beats, downbeats)
    if known.chords is not None:
        chords = [(label.start, label.end, label.reading.chord) for label in known.chords]
        confidences = [label.confidence for label in known.chords]
    if want_form:
        form = sections(analysis.mel, evidence.pitches, chords, downbeats, duration)
        instrument = instrument_of(analysis, params.ears)
    keys = known.keys or keys_over_time(chords, find_key(chords))
    key = longest(keys) if known.keys else find_key(chords)
    phrases = cadences(chords, keys, form, downbeats) if want_form else []
    return Heard(duration, analysis.tuning, tempo, beats, positions, chords, confidences, key, keys, phrases, form, instrument, chroma(analysis), features.FRAME_RATE)


def pulse(analysis: Analysis, onsets: np.ndarray, changes: np.ndarray, given: Beats | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Beats (s), their places in the bar, and the tempo (beats per minute): given ones, and what is not given as it is heard; changes of chords in s."""
    if given is None:
        beats, tempo = track(onsets, features.MEL_RATE, changes, analysis.duration)
    else:
        beats, tempo = given.times, 60 / float(np.median(np.diff(given.times)))
    if given is not None and given.positions is not None:
        return beats, given.positions, tempo
    return beats, places_in_bar(beats, changes, bass_rise(analysis.mel, features.MEL_RATE, beats)), tempo


def chroma(analysis: Analysis) -> np.ndarray:
    """The spectrum folded on pitch classes: [12, F]."""
    semitones = analysis.spectrum[:, :: features.BINS_PER_SEMITONE]
    padded = np.pad(semitones, ((0, 0), (0, -semitones.shape[1] % 12)))
    return padded.reshape(len(padded), -1, 12).sum(axis=1).T
