"""Beats of one tempo: of slow attacks, chord changes tell when bars begin, and music made with a click keeps its tempo more exactly than it is heard.

The tempo whose beats carry the onsets and whose bars carry the chord changes, over the whole recording (a Fourier tempogram of both; Grosche & Müller, 2011), with a mild
preference for 100 beats a minute and for bars of four, then three, then two. It is believed where chord changes keep to it, from the beginning to the end. Times in seconds.
"""

from __future__ import annotations

import numpy as np

#: How much bars of so many beats are preferred.
BARS = {4: 1.0, 3: 0.85, 2: 0.7}
SLOWEST, FASTEST, PREFERRED_TEMPO = 50.0, 200.0, 100.0
#: Standard deviation of the preference, octaves.
TEMPO_SPREAD = 0.6
#: Bars without a change of chord speak against a tempo with this power of their share: twice the tempo makes twice the bars, half of them empty.
EMPTY_BARS = 1.5
#: Fourier transforms have at least this many points: tempi 0.1 % apart at the slowest.
FEWEST_POINTS = 2**18
#: Chord changes must keep to the beats this well (mean resultant length, 0-1) for a constant tempo to be believed: slow strings of one tempo reach 0.6,
#: piano and guitar 0.9, a tempo that swings by 2 % 0.4.
LINED_UP = 0.55
#: ... and in every minute with enough of them they must point the way of the whole by this much: rendered strings of one tempo reach 0.84, a minute of
#: another tempo 0.0, though the other minutes may lift the whole above LINED_UP.
LINED_UP_MINUTE = 0.3
WINDOW_SECONDS = 60
#: Fewer changes of chord say nothing of bars.
FEWEST_CHANGES = 8
#: How far the beats at the ends may move when the period is refined, s.
DRIFT_SECONDS = 0.4
#: How exactly chord changes are heard, s, and their weight beside onsets.
CHANGE_SPREAD, CHANGE_WEIGHT = 0.05, 0.5
#: Where onsets around the beats, s, are on average this share of their peak, attacks are slow (strings 0.7, organ 0.2-0.5, piano 0.1) and beats
#: are put late, s: rendered strings of three SoundFonts by 14 to 200 ms, the median 112.
SPREAD_SECONDS, DIFFUSE, SLOW_ATTACK = 0.16, 0.6, 0.08


def steady_beats(onsets: np.ndarray, rate: float, changes: np.ndarray, duration: float) -> np.ndarray:
    """Beats (s) of one tempo; none where chord changes keep to no such.

    Args:
        onsets: `beats.onset_strength` [M] at `rate` frames per second; changes: times at which the chord changes, s; duration: s.
    """
    if len(changes) < FEWEST_CHANGES or onsets.max(initial=0) < 1e-3:
        return np.zeros(0)
    beats = grid(60 / best_tempo(onsets, rate, changes), onsets, rate, changes, duration)
    return np.maximum(0, beats - attack(onsets, rate, beats)) if keeps_time(changes, beats) else np.zeros(0)


def keeps_time(changes: np.ndarray, beats: np.ndarray) -> bool:
    """Whether chord changes (s, rising) fall on beats of a constant tempo (s), if there are any: on the whole, and minute by minute."""
    if len(beats) < 2:
        return False
    turns = np.exp(2j * np.pi * (changes - beats[1]) / float(np.median(np.diff(beats))))
    agreement = (turns * np.conj(turns.mean())).real / max(float(np.abs(turns.mean())), 1e-9)
    minutes = np.split(agreement, np.searchsorted(changes, np.arange(WINDOW_SECONDS, changes[-1], WINDOW_SECONDS)))
    return bool(agreement.mean() >= LINED_UP and all(minute.mean() >= LINED_UP_MINUTE for minute in minutes if len(minute) >= FEWEST_CHANGES))


def attack(onsets: np.ndarray, rate: float, beats: np.ndarray) -> float:
    """How late beats (s) were heard, s: SLOW_ATTACK where onsets [M] do not stand out around them, else 0."""
    around = np.arange(-SPREAD_SECONDS, SPREAD_SECONDS + 1e-9, 1 / rate)
    folded = np.interp(beats[:, None] + around, np.arange(len(onsets)) / rate, onsets).mean(axis=0)
    return SLOW_ATTACK if folded.mean() > DIFFUSE * folded.max() else 0.0


def best_tempo(onsets: np.ndarray, rate: float, changes: np.ndarray) -> float:
    """The one tempo (beats per minute) that fits onsets [M] at `rate` frames per second and chord changes (s) best."""
    # four points a frame, so that a tempo between two of them still keeps time to the end
    points = max(FEWEST_POINTS, 2 ** int(np.ceil(np.log2(4 * len(onsets)))))
    carried, changed = _resultant(np.maximum(onsets - onsets.mean(), 0), points), _resultant(_impulses(changes, rate, len(onsets)), points)
    best = (-np.inf, PREFERRED_TEMPO)
    for beats, preferred in BARS.items():
        bars = np.arange(*(int(tempo / 60 / beats * points / rate) for tempo in (SLOWEST, FASTEST)))
        tempi = bars * rate / points * 60 * beats
        preference = preferred * np.exp(-0.5 * (np.log2(tempi / PREFERRED_TEMPO) / TEMPO_SPREAD) ** 2)
        filled = np.minimum(1, len(changes) / (len(onsets) / rate * tempi / 60 / beats)) ** EMPTY_BARS
        values = (changed[bars] ** 2 + 0.5 * carried[beats * bars]) * preference * filled
        best = max(best, (float(values.max()), float(tempi[values.argmax()])))
    return best[1]


def _resultant(curve: np.ndarray, points: int) -> np.ndarray:
    """How well a curve [M] >= 0 keeps to each frequency of a Fourier transform of that many points: mean resultant length, 0-1."""
    return np.abs(np.fft.rfft(curve, points)) / max(float(curve.sum()), 1e-9)


def _impulses(times: np.ndarray, rate: float, count: int) -> np.ndarray:
    """How many of `times` (s) fall on each of `count` frames: [M]."""
    return np.bincount(np.clip(np.round(times * rate).astype(int), 0, count - 1), minlength=count).astype(float)


def grid(period: float, onsets: np.ndarray, rate: float, changes: np.ndarray, duration: float) -> np.ndarray:
    """Beats of one tempo from 0 to `duration` (s): period refined and phase found where onsets and chord changes are strongest."""
    curve, count = beat_curve(onsets, rate, changes), max(1, int(duration / period))
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
    reach = round(4 * CHANGE_SPREAD * rate)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / rate / CHANGE_SPREAD) ** 2)
    near = np.convolve(_impulses(changes, rate, len(onsets)), bell)[reach : reach + len(onsets)]
    return np.sqrt(onsets / max(float(onsets.max()), 1e-9)) + CHANGE_WEIGHT * near
