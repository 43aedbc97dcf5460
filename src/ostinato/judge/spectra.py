"""A clip's loudness over time and frequency, as one hears it roughly: what repetition and diversity compare.

Mel magnitudes (96 bands from 60 to 4000 Hz, a window of 0.26 s, 25 frames a second) in units of the clip's own level, on a scale that is linear near silence and logarithmic
above: how loud a clip is as a whole changes nothing.
"""

from __future__ import annotations

import librosa
import numpy as np

from ostinato.compiling import compiled_alone
from ostinato.ears.features import RATE
from ostinato.listen.evidence import resampled

HOP = 640
FRAME_RATE = RATE / HOP
WINDOW, BANDS, LOWEST_HZ, HIGHEST_HZ = 4096, 96, 60, 4000
#: Magnitudes are compressed as log(1 + COMPRESSION * x).
COMPRESSION = 10.0


@compiled_alone
def log_spectrum(samples: np.ndarray, rate: int) -> np.ndarray:
    """The spectrum of mono audio [T]: float32 [F, BANDS], 0 where nothing sounds. About 10 ms for 10 s."""
    heard = resampled(np.asarray(samples, np.float32), rate)
    heard = np.pad(heard, (0, max(0, WINDOW - len(heard))))
    mel = librosa.feature.melspectrogram(y=heard, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, power=1.0).T
    level = float(np.sqrt((mel**2).mean()))
    return np.log1p(COMPRESSION * mel / level).astype(np.float32) if level > 0 else np.zeros(mel.shape, np.float32)
