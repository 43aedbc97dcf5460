"""Beats and downbeats.

Most recordings made with a click or a machine keep one tempo, and a cut must fall on a bar to a tenth of a second. So one constant tempo is tried
first: the one whose beats carry the onsets and whose bars carry the chord changes, over the whole recording (a Fourier tempogram of both; Grosche &
Müller, 2011), with a mild preference for 100 beats per minute. Where chord changes keep to no such bars, librosa's dynamic-programming tracker
(Ellis, 2007) follows the tempo instead. The first beat of the bar (4/4 is assumed) is the phase at which chords change and the bass enters most often.
"""

from __future__ import annotations

import librosa
import numpy as np

BEATS_PER_BAR = 4
TEMPI = 50 * 2 ** np.linspace(0, 2, 2001)
PREFERRED_TEMPO = 100.0
#: Standard deviation of the preference, octaves.
TEMPO_SPREAD = 0.45
#: Chord changes must line up with bars this well (mean resultant length, 0-1) for a constant tempo to be believed.
LINED_UP = 0.5
FEWEST_CHANGES = 8


def track(samples: np.ndarray, sample_rate: int, hop: int, changes: np.ndarray) -> tuple[np.ndarray, float]:
    """Beat times (s) and tempo (beats per minute) of mono audio; no beats and tempo 0 for silence.

    Args:
        changes: times at which the chord changes, s.
    """
    onsets = librosa.onset.onset_strength(y=samples, sr=sample_rate, hop_length=hop)
    if onsets.max(initial=0) < 1e-3:
        return np.zeros(0), 0.0
    rate, duration = sample_rate / hop, len(samples) / sample_rate
    tempo = constant_tempo(onsets, rate, changes)
    if tempo is None:
        _, frames = librosa.beat.beat_track(onset_envelope=onsets, sr=sample_rate, hop_length=hop, trim=False, start_bpm=PREFERRED_TEMPO)
        beats = frames / rate
    else:
        beats = grid(60 / tempo, onsets, rate, changes, duration)
    return beats, 60 / float(np.median(np.diff(beats))) if len(beats) > 1 else 0.0


def constant_tempo(onsets: np.ndarray, rate: float, changes: np.ndarray) -> float | None:
    """The one tempo (beats per minute) that fits onsets [F] at `rate` frames per second and chord changes (s); None if there is none."""
    if len(changes) < FEWEST_CHANGES:
        return None
    times = np.arange(len(onsets)) / rate
    on_bars = _resultant(changes, np.ones(len(changes)), TEMPI / 60 / BEATS_PER_BAR)
    on_beats = _resultant(times, np.maximum(onsets - onsets.mean(), 0), TEMPI / 60)
    preference = np.exp(-0.5 * (np.log2(TEMPI / PREFERRED_TEMPO) / TEMPO_SPREAD) ** 2)
    best = int(np.argmax((on_bars**2 + 0.5 * on_beats) * preference))
    return float(TEMPI[best]) if on_bars[best] >= LINED_UP else None


def _resultant(times: np.ndarray, weights: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """How well weighted times keep to each frequency (Hz): mean resultant length, 0-1."""
    sums = [np.abs(np.sum(weights * np.exp(2j * np.pi * frequency * times))) for frequency in frequencies]
    return np.array(sums) / max(float(weights.sum()), 1e-9)


def grid(period: float, onsets: np.ndarray, rate: float, changes: np.ndarray, duration: float) -> np.ndarray:
    """Beats of one tempo from 0 to `duration` (s): period refined within 0.3 %, phase where onsets and chord changes are strongest."""
    strength, times = np.sqrt(onsets / max(float(onsets.max()), 1e-9)), np.arange(len(onsets)) / rate
    near = np.exp(-0.5 * ((times[:, None] - changes[None, :]) / 0.05) ** 2).sum(axis=1)
    curve, count = strength + 0.5 * near, int(duration / period)
    best = (-1.0, period, 0.0)
    for candidate in period * (1 + np.linspace(-0.003, 0.003, 25)):
        # turned about the middle of the song, so that period and phase are searched apart
        beats = duration / 2 + candidate * (np.arange(count) - count / 2)
        for shift in np.arange(0, candidate, 0.01):
            value = float(np.interp(beats + shift, times, curve).mean())
            if value > best[0]:
                best = (value, candidate, float(beats[0] + shift))
    _, period, phase = best
    return np.clip(phase + period * np.arange(int(np.ceil(-phase / period - 0.1)), int((duration - phase) / period) + 1), 0, duration)


def downbeats(beats: np.ndarray, changes: np.ndarray, bass_onsets: np.ndarray) -> np.ndarray:
    """Positions in the bar (1 to 4) of each beat.

    Args:
        beats: beat times, s [B].
        changes: times at which the chord changes, s.
        bass_onsets: rise of the bass at each beat, any unit [B].
    """
    if len(beats) < 2:
        return np.ones(len(beats), int)
    reach = float(np.median(np.diff(beats))) / 2
    near = np.array([np.sum(np.abs(changes - beat) < reach) for beat in beats], dtype=float)
    evidence = near + 0.3 * bass_onsets / max(float(bass_onsets.max(initial=0)), 1e-9)
    phase = int(np.argmax([evidence[offset::BEATS_PER_BAR].sum() for offset in range(BEATS_PER_BAR)]))
    return (np.arange(len(beats)) - phase) % BEATS_PER_BAR + 1
