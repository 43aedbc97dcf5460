"""The door of the listening room: `hear` says what is in a recording. A better listener goes behind this door and changes nothing before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ostinato.compiling import compiled_alone
from ostinato.corpus.levels import Levels
from ostinato.corpus.recordings import stream
from ostinato.listen import frames
from ostinato.listen.beats import bass_rise, onset_strength, track
from ostinato.listen.beats import downbeats as places_in_bar
from ostinato.listen.chords import Interval, recognise
from ostinato.listen.evidence import Analysis, analyse, chord_evidence, instrument_of
from ostinato.listen.form import sections
from ostinato.listen.key import Cadence, cadences, find_key, keys_over_time
from ostinato.params import Listen
from ostinato.theory import Key


@dataclass(frozen=True)
class Heard:
    """What was heard, times in seconds.

    `chords` cover 0..duration ("N" where nothing sounds), one confidence (0-1) each; `positions` are the beats' places in the bar, 1 to 4; `key` is that
    of the whole, `keys` say where it changes; `chroma` is [12, F] at `chroma_rate` frames per second; `tuning` in semitones from A = 440 Hz;
    `instrument` with its probability.
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
    if sample_rate != frames.RATE:
        samples = soxr.resample(samples, sample_rate, frames.RATE)
    return hear_chunks([samples], params, want_form, ear)


def hear_file(path: Path | str, params: Listen, levels: Levels = Levels()) -> Heard:
    """Listen to a recording of any length, decoded piece by piece; `levels` as decoding it whole showed. Raises RecordingError when it cannot be read."""
    return hear_chunks(stream(path, frames.RATE, levels), params)


@compiled_alone
def hear_chunks(chunks: Iterable[np.ndarray], params: Listen, want_form: bool = True, ear: str = "labeller") -> Heard:
    """Listen to mono audio at frames.RATE given in chunks of any length. See `hear`."""
    analysis = analyse(chunks, ear)
    evidence = chord_evidence(analysis, ear, params.ears)
    onsets, duration = onset_strength(analysis.mel), analysis.duration
    chords, confidences = recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets)
    beats, positions, tempo, form, instrument = np.zeros(0), np.zeros(0, int), 0.0, [(0.0, duration, "A")], ("", 0.0)
    if want_form:
        changes = np.array([start for start, _, _ in chords[1:]])
        beats, tempo = track(onsets, frames.MEL_RATE, changes, duration)
        positions = places_in_bar(beats, changes, bass_rise(analysis.mel, frames.MEL_RATE, beats))
        downbeats = beats[positions == 1]
        chords, confidences = recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets, beats, downbeats)
        form = sections(analysis.mel, evidence.pitches, chords, downbeats, duration)
        instrument = instrument_of(analysis, params.ears)
    key = find_key(chords)
    keys = keys_over_time(chords, key)
    phrases = cadences(chords, keys, form, downbeats) if want_form else []
    return Heard(duration, analysis.tuning, tempo, beats, positions, chords, confidences, key, keys, phrases, form, instrument, chroma(analysis),
                 frames.FRAME_RATE)


def chroma(analysis: Analysis) -> np.ndarray:
    """The spectrum folded on pitch classes: [12, F]."""
    semitones = analysis.spectrum[:, :: frames.BINS_PER_SEMITONE]
    padded = np.pad(semitones, ((0, 0), (0, -semitones.shape[1] % 12)))
    return padded.reshape(len(padded), -1, 12).sum(axis=1).T
