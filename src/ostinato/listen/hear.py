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
from ostinato.harmony.instruments import series
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import MetreSpan
from ostinato.listen.bars import changes as changes_of_metre
from ostinato.listen.bars import regular
from ostinato.listen.beats import Pulse, onset_strength, pulse
from ostinato.listen.chords import Interval, recognise
from ostinato.listen.evidence import Analysis, Evidence, analyse, beat_evidence, chord_evidence, resampled
from ostinato.listen.form import sections
from ostinato.listen.instruments import Playing, names_of, playing
from ostinato.listen.key import Cadence, cadences, find_key, keys_over_time, longest
from ostinato.listen.steady import steady_beats
from ostinato.params import Listen


@dataclass(frozen=True)
class Heard:
    """What was heard, times in seconds.

    `chords` cover 0..duration ("N" where nothing sounds, "X" where given chords say nothing), one confidence (0-1) each; `positions` are the beats' places in
    the bar, 1 for the first, `sureness` (0-1) how sure each is; `metres` are spans (start, end, metre, sureness 0-1), none where no beat is heard; `key` is that
    of the whole, `keys` say where it changes; `chroma` is [12, F] at `chroma_rate` frames per second; `tuning` in semitones from A = 440 Hz; `instruments` are
    spans (start, end, name, confidence 0-1), which may overlap, and none where nothing is sure.
    """

    duration: float
    tuning: float
    tempo: float
    beats: np.ndarray
    positions: np.ndarray
    sureness: np.ndarray
    metres: list[MetreSpan]
    chords: list[Interval]
    confidences: list[float]
    key: Key
    keys: list[tuple[float, float, Key]]
    cadences: list[Cadence]
    sections: list[tuple[float, float, str]]
    instruments: list[Playing]
    chroma: np.ndarray
    chroma_rate: float

    @property
    def downbeats(self) -> np.ndarray:
        """Times of the first beats of bars, s."""
        return self.beats[self.positions == 1]

    @property
    def instrument(self) -> tuple[str, float]:
        """What plays most of the time, as a prompt says it (`piano and strings`; empty where nothing is sure), and how sure the least sure of it is."""
        names = names_of(self.instruments, 0.0, self.duration)
        return series([name for name, _ in names]), min((sure for _, sure in names), default=0.0)


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
    beat = pulse_of(analysis, evidence, onsets, known.beats, params) if want_form else Pulse(np.zeros(0), np.zeros(0, int), np.zeros(0), [], 0.0)
    form = [(0.0, duration, "A")]
    downbeats = beat.beats[beat.positions == 1]
    chords, confidences = recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets, beat.beats, downbeats)
    if known.chords is not None:
        chords = [(label.start, label.end, label.reading.chord) for label in known.chords]
        confidences = [label.confidence for label in known.chords]
    if want_form:
        bars = np.array(regular(downbeats))
        form = sections(analysis.mel, evidence.pitches, chords, bars, duration, 60 / max(beat.tempo, 1e-9), changes_of_metre(beat.metres, bars))
    keys = known.keys or keys_over_time(chords, find_key(chords))
    key = longest(keys) if known.keys else find_key(chords)
    instruments = playing(analysis, params.ears) if want_form else []
    phrases = cadences(chords, keys, form, bars) if want_form else []
    return Heard(
        duration,
        analysis.tuning,
        beat.tempo,
        beat.beats,
        beat.positions,
        beat.sureness,
        beat.metres,
        chords,
        confidences,
        key,
        keys,
        phrases,
        form,
        instruments,
        chroma(analysis),
        features.FRAME_RATE,
    )


def pulse_of(analysis: Analysis, evidence: Evidence, onsets: np.ndarray, given: Beats | None, params: Listen) -> Pulse:
    """Beats and metre: given ones, and what is not given as it is heard."""
    said, chords, duration = beat_evidence(analysis, params.ears), np.exp(evidence.chord), analysis.duration
    if given is not None:
        return pulse(said, chords, duration, given.times, given.positions)
    heard = pulse(said, chords, duration)
    changes = np.array([start for start, _, _ in recognise(evidence, duration, params.vocabulary, params.chord_switch, onsets)[0][1:]])
    steady = steady_beats(onsets, features.MEL_RATE, changes, duration)
    return pulse(said, chords, duration, steady, given=False) if heard.yields_to(steady) else heard


def chroma(analysis: Analysis) -> np.ndarray:
    """The spectrum folded on pitch classes: [12, F]."""
    semitones = analysis.spectrum[:, :: features.BINS_PER_SEMITONE]
    padded = np.pad(semitones, ((0, 0), (0, -semitones.shape[1] % 12)))
    return padded.reshape(len(padded), -1, 12).sum(axis=1).T
