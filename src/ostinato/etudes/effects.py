"""What happens to sound before ears get it: rooms, microphones, noise, loudness wars, lossy coding; and sounds that hold no chord.

All functions take and give float32 mono [T] at SAMPLE_RATE of `rendering`, and draw from the generator given. No effect moves the sound in time.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, istft, lfilter, sosfilt, stft

from ostinato.etudes.rendering import PEAK, SAMPLE_RATE


def degrade(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random chain of effects, each with its own probability, in the order sound meets them; then a random level."""
    chain = ((0.25, saturate), (0.5, equalise), (0.5, reverberate), (0.05, smear), (0.12, requantise), (0.5, add_noise), (0.25, code))
    for probability, effect in chain:
        if rng.random() < probability:
            samples = effect(samples, rng)
    return (samples * (PEAK / max(float(np.abs(samples).max()), 1e-9)) * 10 ** (rng.uniform(-24, 0) / 20)).astype(np.float32)


def saturate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Soft clipping, as tape and amplifiers do."""
    drive = float(np.exp(rng.uniform(np.log(1.2), np.log(8))))
    return np.tanh(drive * samples) / np.tanh(drive)


def overdrive(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A guitar amplifier driven hard: less bass in, clipped once or twice and not evenly, a loudspeaker's band out. What sounds together makes sums and
    differences of its partials."""
    drive, bias = float(np.exp(rng.uniform(np.log(5), np.log(60)))), float(rng.uniform(0, 0.3))
    tight = sosfilt(butter(1, rng.uniform(40, 200), "highpass", fs=SAMPLE_RATE, output="sos"), samples)
    clipped = np.tanh(drive * tight + bias) - np.tanh(bias)
    speaker = sosfilt(butter(2, [rng.uniform(50, 110), rng.uniform(2500, 6000)], "bandpass", fs=SAMPLE_RATE, output="sos"), clipped)
    return (PEAK * speaker / max(float(np.abs(speaker).max()), 1e-9)).astype(np.float32)


def mixed(samples: np.ndarray, other: np.ndarray, louder: float) -> np.ndarray:
    """Both together, `samples` by so many dB louder than the other, by power; peak PEAK."""
    powers = [max(float(np.mean(sound**2)), 1e-9) for sound in (samples, other)]
    both = samples + other * np.float32(np.sqrt(powers[0] / powers[1]) * 10 ** (-louder / 20))
    return (PEAK * both / max(float(np.abs(both).max()), 1e-9)).astype(np.float32)


def equalise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random smooth frequency response within about 12 dB, and now and then a telephone's band."""
    if rng.random() < 0.1:
        return sosfilt(butter(2, [rng.uniform(100, 300), rng.uniform(2500, 6000)], "bandpass", fs=SAMPLE_RATE, output="sos"), samples)
    knots = np.linspace(np.log2(40), np.log2(SAMPLE_RATE / 2), 7)
    gains = rng.normal(0, 5, len(knots))
    frequencies = np.fft.rfftfreq(1024, 1 / SAMPLE_RATE)
    response = 10 ** (np.interp(np.log2(np.maximum(frequencies, 20)), knots, gains) / 20)
    kernel = np.roll(np.fft.irfft(response), 512) * np.hanning(1024)
    return fftconvolve(samples, kernel)[512 : 512 + len(samples)]


def reverberate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A room: the direct sound, and noise that decays by 60 dB in 0.15 to 3 s, faster for high frequencies."""
    decay, wet = float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))), float(rng.uniform(0.05, 0.6))
    length = int(min(decay, 2.0) * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / SAMPLE_RATE / decay)
    tail = sosfilt(butter(1, rng.uniform(1500, 8000), fs=SAMPLE_RATE, output="sos"), tail)
    room = wet * tail / max(float(np.linalg.norm(tail)), 1e-9)
    room[0] += 1 - wet
    return fftconvolve(samples, room)[: len(samples)]


def smear(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Phases lost and guessed again, as spectral codecs leave them."""
    size = int(rng.choice([1024, 2048]))
    return _rephased(np.abs(stft(samples, nperseg=size, noverlap=size * 3 // 4)[2]), size, size // 4, len(samples), rng)


def requantise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What codecs of few codes leave of music: spectra a sixteenth of a second apart, made of few shapes, each a little wrong, and phases guessed.

    The shapes are the principal components of the clip's own log-magnitudes. Each is off by a Gaussian error, and every frame leans to another of the clip, as
    codes do that were learnt from other music.
    """
    size, hop = 4096, int(rng.choice([700, 1024, 1378]))
    logs = np.log1p(1e5 * np.abs(stft(samples, nperseg=size, noverlap=size - hop)[2]))
    mean = logs.mean(axis=1, keepdims=True)
    kept = int(rng.integers(8, 64))
    frames = np.linalg.eigh((logs - mean).T @ (logs - mean))[1][:, : -kept - 1 : -1].T  # a quarter of the rows that an SVD would decompose
    shapes = (logs - mean) @ frames.T
    error = rng.uniform(0.1, 0.9) * rng.standard_normal(frames.shape) / np.sqrt(frames.shape[1])
    lean = rng.uniform(0, rng.uniform(0, 0.7), frames.shape[1])
    frames = frames + error + lean * (rng.permutation(frames, axis=1) - frames)
    logs = mean + shapes @ frames
    return _rephased(np.expm1(np.maximum(logs, 0)) / 1e5, size, hop, len(samples), rng)


def _rephased(magnitudes: np.ndarray, size: int, hop: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Sound of these magnitudes [bins, frames], its phases found by three rounds from random ones (Griffin & Lim, 1984): [length]."""
    phases = np.exp(2j * np.pi * rng.random(magnitudes.shape))
    for _ in range(3):
        sound = istft(magnitudes * phases, nperseg=size, noverlap=size - hop)[1]
        found = stft(sound, nperseg=size, noverlap=size - hop)[2][:, : magnitudes.shape[1]]
        phases = np.exp(1j * np.angle(np.pad(found, ((0, 0), (0, magnitudes.shape[1] - found.shape[1])))))
    sound = istft(magnitudes * phases, nperseg=size, noverlap=size - hop)[1]
    return np.pad(sound, (0, max(0, length - len(sound))))[:length]


def add_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hiss, rumble, hum or somebody who talks, 6 to 50 dB below the music."""
    noise = (coloured_noise, coloured_noise, coloured_noise, speech, hum)[int(rng.integers(5))](len(samples), rng)
    power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-12)
    return samples + noise * np.sqrt(power) * 10 ** (-rng.uniform(6, 50) / 20)


def coloured_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose spectrum falls by 0 to 9 dB an octave, and swells."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum *= np.maximum(np.arange(len(spectrum)), length / SAMPLE_RATE * 20) ** -rng.uniform(0, 1.5)
    noise = np.fft.irfft(spectrum, length)
    swell = np.interp(np.arange(length), np.linspace(0, length, 12), rng.uniform(0.3, 1, 12))
    return noise * swell / max(float(np.abs(noise).max()), 1e-9)


def hum(length: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum with harmonics."""
    time, base = np.arange(length) / SAMPLE_RATE, float(rng.choice([50.0, 60.0]))
    return sum((np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) * rng.uniform(0, 1) / k for k in range(1, 9)), np.zeros(length))


def code(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """MP3 or Ogg Vorbis at low quality, and back."""
    kind = "MP3" if rng.random() < 0.7 else "OGG"
    stream = io.BytesIO()
    level = float(rng.uniform(0.5, 0.99))  # libsndfile: 0 is the best, 1 the smallest, and 0.9999 an error
    soundfile.write(stream, np.clip(samples, -1, 1), SAMPLE_RATE, format=kind, compression_level=level)
    stream.seek(0)
    decoded = soundfile.read(stream, dtype="float32")[0]  # libsndfile cuts off what MP3 coding delays
    return np.pad(decoded, (0, len(samples)))[: len(samples)]


def chordless(length: int, rng: np.random.Generator) -> np.ndarray:
    """A sound without a chord: noise, a voice that speaks, a siren, knocks, near silence; peak at most PEAK."""
    makers = (
        lambda: coloured_noise(length, rng),
        lambda: speech(length, rng),
        lambda: speech(length, rng),
        lambda: siren(length, rng),
        lambda: knocks(length, rng),
        lambda: 1e-4 * coloured_noise(length, rng),
    )
    weights = np.array([3, 3, 3, 1, 2, 1.5])
    sound = makers[int(rng.choice(len(makers), p=weights / weights.sum()))]()
    return (PEAK * sound / max(float(np.abs(sound).max()), 1.0)).astype(np.float32)


def speech(length: int, rng: np.random.Generator) -> np.ndarray:
    """Something that babbles: a gliding voice through moving formants (after Klatt, 1980), hisses and pauses between the syllables."""
    out, position = np.zeros(length), 0
    base = float(np.exp(rng.uniform(np.log(80), np.log(260))))
    while position < length:
        size = int(rng.uniform(0.06, 0.35) * SAMPLE_RATE)
        kind = rng.random()
        if kind < 0.65:
            out[position : position + size] += _syllable(size, base, rng)[: length - position]
        elif kind < 0.85:
            hiss = sosfilt(butter(2, [rng.uniform(1500, 3000), rng.uniform(5000, 9000)], "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(size))
            out[position : position + size] += 0.3 * (hiss * np.hanning(size))[: length - position]
        position += size
    return out / max(float(np.abs(out).max()), 1e-9)


def _syllable(size: int, base: float, rng: np.random.Generator) -> np.ndarray:
    pitch = base * 2 ** np.interp(np.arange(size), [0, size / 2, size], rng.normal(0, 0.25, 3))
    phase = np.cumsum(pitch / SAMPLE_RATE)
    source = np.diff(np.floor(phase), prepend=0) + 0.02 * rng.standard_normal(size)
    for centre in (rng.uniform(250, 900), rng.uniform(800, 2500), rng.uniform(2200, 3500)):
        radius, angle = np.exp(-np.pi * rng.uniform(60, 150) / SAMPLE_RATE), 2 * np.pi * centre / SAMPLE_RATE
        source = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], source)
    return source / max(float(np.abs(source).max()), 1e-9) * np.hanning(size) ** 0.5


def siren(length: int, rng: np.random.Generator) -> np.ndarray:
    """A tone that glides without rest."""
    knots = rng.uniform(np.log2(80), np.log2(2000), max(3, int(length / SAMPLE_RATE * rng.uniform(0.7, 4))))
    pitch = 2 ** np.interp(np.linspace(0, len(knots) - 1, length), np.arange(len(knots)), knots)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return sum(np.sin(k * phase) / k ** rng.uniform(1, 3) for k in range(1, 5)) / 2


def knocks(length: int, rng: np.random.Generator) -> np.ndarray:
    """Struck things: short inharmonic bursts, evenly or not; among them the membranes and bells that pass for notes."""
    out, time = np.zeros(length), np.arange(int(0.5 * SAMPLE_RATE)) / SAMPLE_RATE
    modes = rng.uniform(60, 1500) * np.cumsum(np.append(1.0, rng.uniform(0.3, 0.9, 5)))
    decay, noise = rng.uniform(8, 60), rng.uniform(0, 1)
    burst = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * f * time) for f in modes) / 3 + noise * rng.standard_normal(len(time))
    burst *= np.exp(-decay * time)
    gap = rng.uniform(0.12, 1.2)
    for start in np.arange(rng.uniform(0, gap), length / SAMPLE_RATE, gap) + rng.choice([0, 0.05]) * rng.uniform(-1, 1):
        first = max(0, int(start * SAMPLE_RATE))
        out[first : first + len(burst)] += burst[: max(0, length - first)]
    return out
