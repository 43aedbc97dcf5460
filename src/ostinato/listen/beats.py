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
SLOWEST, FASTEST, PREFERRED_TEMPO = 50.0, 200.0, 100.0
#: Standard deviation of the preference, octaves.
TEMPO_SPREAD = 0.6
#: Bars without a change of chord speak against a tempo with this power of their share: twice the tempo makes twice the bars, half of them empty.
EMPTY_BARS = 1.5
#: Fourier transforms have at least this many points: tempi 0.1 % apart at the slowest.
FEWEST_POINTS = 2**18
#: Chord changes must line up with bars this well (mean resultant length, 0-1) for a constant tempo to be believed.
LINED_UP = 0.5
FEWEST_CHANGES = 8
#: How far the beats at the ends may move when the period is refined, s.
DRIFT_SECONDS = 0.4
#: How exactly chord changes are heard, s, and their weight beside onsets; where attacks are slow, changes alone say when a bar begins.
CHANGE_SPREAD, CHANGE_WEIGHT = 0.05, 0.5
#: librosa wants a hop and a sample rate; only their ratio matters.
HOP = 100


def onset_strength(mel: np.ndarray) -> np.ndarray:
    """How much each frame of mel magnitudes [M, bands] is louder than the last, mean over bands, in units of 20 dB: [M]."""
    decibels = np.log10(np.maximum(mel, 1e-4 * max(float(mel.max(initial=0)), 1e-3)))
    return np.maximum(0, np.diff(decibels, axis=0, prepend=decibels[:1])).mean(axis=1)


def bass_rise(mel: np.ndarray, rate: float, beats: np.ndarray) -> np.ndarray:
    """How much the lowest bands rise at each beat (s): [B]."""
    energy = np.pad(mel[:, :4].sum(axis=1), (5, 8), mode="edge")
    at = np.minimum((beats * rate).astype(int), len(mel) - 1) + 5
    return np.maximum(0, energy[at + 4] - energy[at - 4]) if len(beats) else np.zeros(0)


def track(onsets: np.ndarray, rate: float, changes: np.ndarray, duration: float) -> tuple[np.ndarray, float]:
    """Beat times (s) and tempo (beats per minute); no beats and tempo 0 for silence.

    Args:
        onsets: `onset_strength` [M] at `rate` frames per second; changes: times at which the chord changes, s; duration: s.
    """
    if onsets.max(initial=0) < 1e-3:
        return np.zeros(0), 0.0
    tempo = constant_tempo(onsets, rate, changes)
    if tempo is None:
        _, found = librosa.beat.beat_track(onset_envelope=onsets, sr=round(rate * HOP), hop_length=HOP, trim=False, start_bpm=PREFERRED_TEMPO)
        beats = found / rate
    else:
        beats = grid(60 / tempo, onsets, rate, changes, duration)
    return beats, 60 / float(np.median(np.diff(beats))) if len(beats) > 1 else 0.0


def constant_tempo(onsets: np.ndarray, rate: float, changes: np.ndarray) -> float | None:
    """The one tempo (beats per minute) that fits onsets [M] at `rate` frames per second and chord changes (s); None if there is none."""
    if len(changes) < FEWEST_CHANGES:
        return None
    # four points a frame, so that a tempo between two of them still keeps time to the end
    points = max(FEWEST_POINTS, 2 ** int(np.ceil(np.log2(4 * len(onsets)))))
    bars = np.arange(*(int(tempo / 60 / BEATS_PER_BAR * points / rate) for tempo in (SLOWEST, FASTEST)))
    tempi = bars * rate / points * 60 * BEATS_PER_BAR
    on_bars = _resultant(_impulses(changes, rate, len(onsets)), points)[bars]
    on_beats = _resultant(np.maximum(onsets - onsets.mean(), 0), points)[BEATS_PER_BAR * bars]
    preference = np.exp(-0.5 * (np.log2(tempi / PREFERRED_TEMPO) / TEMPO_SPREAD) ** 2)
    filled = np.minimum(1, len(changes) / (len(onsets) / rate * tempi / 60 / BEATS_PER_BAR)) ** EMPTY_BARS
    best = int(np.argmax((on_bars**2 + 0.5 * on_beats) * preference * filled))
    return float(tempi[best]) if on_bars[best] >= LINED_UP else None


def _resultant(curve: np.ndarray, points: int) -> np.ndarray:
    """How well a curve [M] >= 0 keeps to each frequency of a Fourier transform of that many points: mean resultant length, 0-1."""
    return np.abs(np.fft.rfft(curve, points)) / max(float(curve.sum()), 1e-9)


def _impulses(times: np.ndarray, rate: float, count: int) -> np.ndarray:
    """How many of `times` (s) fall on each of `count` frames: [M]."""
    return np.bincount(np.clip(np.round(times * rate).astype(int), 0, count - 1), minlength=count).astype(float)


def grid(period: float, onsets: np.ndarray, rate: float, changes: np.ndarray, duration: float) -> np.ndarray:
    """Beats of one tempo from 0 to `duration` (s): period refined and phase found where onsets and chord changes are strongest."""
    curve, count = beat_curve(onsets, rate, changes), int(duration / period)
    times, best = np.arange(len(onsets)) / rate, (-1.0, period, 0.0)
    for drift in np.arange(-DRIFT_SECONDS, DRIFT_SECONDS + 1e-9, DRIFT_SECONDS / 16):
        # turned about the middle of the song, so that period and phase are searched apart
        candidate = period * (1 + 2 * drift / duration)
        beats = duration / 2 + candidate * (np.arange(count) - count / 2)
        for shift in np.arange(0, candidate, 0.01):
            value = float(np.interp(beats + shift, times, curve).mean())
            if value > best[0]:
                best = (value, candidate, float(beats[0] + shift))
    _, period, phase = best
    return np.clip(phase + period * np.arange(int(np.ceil(-phase / period - 0.1)), int((duration - phase) / period) + 1), 0, duration)


def beat_curve(onsets: np.ndarray, rate: float, changes: np.ndarray) -> np.ndarray:
    """What beats should fall on, frame by frame: onsets [M], and chord changes (s) within some CHANGE_SPREAD: [M]."""
    reach = np.arange(-round(4 * CHANGE_SPREAD * rate), round(4 * CHANGE_SPREAD * rate) + 1) / rate
    near = np.convolve(_impulses(changes, rate, len(onsets)), np.exp(-0.5 * (reach / CHANGE_SPREAD) ** 2), mode="same")
    return np.sqrt(onsets / max(float(onsets.max()), 1e-9)) + CHANGE_WEIGHT * near


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
    near = (np.searchsorted(changes, beats + reach) - np.searchsorted(changes, beats - reach)).astype(float)
    evidence = near + 0.3 * bass_onsets / max(float(bass_onsets.max(initial=0)), 1e-9)
    phase = int(np.argmax([evidence[offset::BEATS_PER_BAR].sum() for offset in range(BEATS_PER_BAR)]))
    return (np.arange(len(beats)) - phase) % BEATS_PER_BAR + 1
