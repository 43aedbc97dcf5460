"""Beats and downbeats.

Most recordings made with a click or a machine keep one tempo, and a cut must fall on a bar to a tenth of a second. So one constant tempo is tried
first: the one whose beats carry the onsets and whose bars carry the chord changes, over the whole recording (a Fourier tempogram of both; Grosche &
Müller, 2011), with a mild preference for 100 beats per minute. Where chord changes keep to no such beats, as in a recording of many songs, tempi are
found in the same way a minute at a time, and librosa's dynamic programming (Ellis, 2007) leads the beats from one to the next. The first beat of the bar
(4/4 is assumed) is where chords change and the bass enters most often; where the evidence is strong, the count begins anew.
"""

from __future__ import annotations

import librosa
import numpy as np

from ostinato.compiling import compiled_alone

BEATS_PER_BAR = 4
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
#: Fewer changes of chord say nothing of bars.
FEWEST_CHANGES = 8
#: A tempo that is not constant is found in this much music, s, anew every half of it.
WINDOW_SECONDS = 60
#: How far the beats at the ends may move when the period is refined, s.
DRIFT_SECONDS = 0.4
#: How exactly chord changes are heard, s, and their weight beside onsets; where attacks are slow, changes alone say when a bar begins.
CHANGE_SPREAD, CHANGE_WEIGHT = 0.05, 0.5
#: Where onsets around the beats, s, are on average this share of their peak, attacks are slow (strings 0.7, organ 0.2-0.5, piano 0.1) and beats
#: are put late, s: rendered strings by -40 to 70 ms, the median 20.
SPREAD_SECONDS, DIFFUSE, SLOW_ATTACK = 0.16, 0.6, 0.02
#: A new count of bars must explain this much more: about so many changes of chord on first beats.
RECOUNT = 4.0
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
    beats = np.zeros(0)
    if len(changes) >= FEWEST_CHANGES:
        beats = grid(60 / best_tempo(onsets, rate, changes), onsets, rate, changes, duration)
    if keeps_time(changes, beats):
        beats = np.maximum(0, beats - attack(onsets, rate, beats))
    else:
        beats = follow(onsets, rate, changes)
    return beats, 60 / float(np.median(np.diff(beats))) if len(beats) > 1 else 0.0


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


def follow(onsets: np.ndarray, rate: float, changes: np.ndarray) -> np.ndarray:
    """Beats (s) of a tempo that moves; arguments as for `track`. Memory grows with the music by some bytes a frame."""
    step = round(WINDOW_SECONDS * rate / 2)
    tempi = []
    for first in range(0, len(onsets), step):
        left, right = max(0, first - step // 2), min(len(onsets), first + step + step // 2)
        inside = changes[(changes >= left / rate) & (changes < right / rate)] - left / rate
        tempi.append(best_tempo(onsets[left:right], rate, inside))
    return led(beat_curve(onsets, rate, changes), rate, np.repeat(tempi, step)[: len(onsets)])


@compiled_alone
def led(curve: np.ndarray, rate: float, tempi: np.ndarray) -> np.ndarray:
    """Beats (s) led along a curve [M] by tempi [M] (beats per minute), by librosa's dynamic programming."""
    _, found = librosa.beat.beat_track(onset_envelope=curve, sr=round(rate * HOP), hop_length=HOP, trim=False, bpm=tempi)
    return found / rate


def best_tempo(onsets: np.ndarray, rate: float, changes: np.ndarray) -> float:
    """The one tempo (beats per minute) that fits onsets [M] at `rate` frames per second and chord changes (s) best; librosa's where changes are few."""
    if len(changes) < FEWEST_CHANGES:
        return float(librosa.feature.tempo(onset_envelope=onsets, sr=round(rate * HOP), hop_length=HOP, start_bpm=PREFERRED_TEMPO)[0])
    # four points a frame, so that a tempo between two of them still keeps time to the end
    points = max(FEWEST_POINTS, 2 ** int(np.ceil(np.log2(4 * len(onsets)))))
    bars = np.arange(*(int(tempo / 60 / BEATS_PER_BAR * points / rate) for tempo in (SLOWEST, FASTEST)))
    tempi = bars * rate / points * 60 * BEATS_PER_BAR
    preference = np.exp(-0.5 * (np.log2(tempi / PREFERRED_TEMPO) / TEMPO_SPREAD) ** 2)
    on_beats = _resultant(np.maximum(onsets - onsets.mean(), 0), points)[BEATS_PER_BAR * bars]
    on_bars = _resultant(_impulses(changes, rate, len(onsets)), points)[bars]
    filled = np.minimum(1, len(changes) / (len(onsets) / rate * tempi / 60 / BEATS_PER_BAR)) ** EMPTY_BARS
    return float(tempi[np.argmax((on_bars**2 + 0.5 * on_beats) * preference * filled)])


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
    return (np.arange(len(beats)) - counts(evidence)) % BEATS_PER_BAR + 1


def counts(evidence: np.ndarray) -> np.ndarray:
    """Which beats are first ones: those whose number leaves this remainder when divided by BEATS_PER_BAR, for each beat [B].

    The path of most evidence [B] on first beats, where each change of the remainder costs RECOUNT (Viterbi).
    """
    best, came = np.zeros(BEATS_PER_BAR), np.zeros((len(evidence), BEATS_PER_BAR), int)
    for beat, value in enumerate(evidence):
        leader = int(best.argmax())
        anew = best[leader] - RECOUNT > best
        came[beat] = np.where(anew, leader, np.arange(BEATS_PER_BAR))
        best = np.where(anew, best[leader] - RECOUNT, best)
        best[beat % BEATS_PER_BAR] += value
    path = np.empty(len(evidence), int)
    remainder = int(best.argmax())
    for beat in range(len(evidence) - 1, -1, -1):
        path[beat], remainder = remainder, came[beat, remainder]
    return path
