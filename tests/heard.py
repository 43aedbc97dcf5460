"""What might have been heard: songs of known metres, with a chord a bar."""

from typing import Any

import numpy as np

from ostinato.harmony.chords import Chord
from ostinato.harmony.keys import Key
from ostinato.harmony.metres import Metre
from ostinato.listen.hear import Heard

BEAT = 0.5


def heard(parts: list[tuple[str, int]], names: str = "C F G C", **changed: Any) -> Heard:
    """A song of so many bars in each metre, BEAT s a beat, whose chords take turns; nothing else is in it. `changed`: other values of fields."""
    metres = [Metre.parse(name) for name, _ in parts]
    positions = np.concatenate([np.tile(np.arange(1, metre.beats + 1), bars) for metre, (_, bars) in zip(metres, parts)])
    beats, duration = BEAT * np.arange(len(positions)), BEAT * len(positions)
    edges = BEAT * np.append(0, np.cumsum([metre.beats * bars for metre, (_, bars) in zip(metres, parts)]))
    bars, chords = [*beats[positions == 1].tolist(), duration], [Chord.parse(name) for name in names.split()]
    values: dict[str, Any] = {
        "duration": duration,
        "tuning": 0.0,
        "tempo": 60 / BEAT,
        "beats": beats,
        "positions": positions,
        "sureness": np.linspace(1.0, 0.5, len(beats)),
        "metres": [(float(start), float(end), metre, 0.9) for start, end, metre in zip(edges, edges[1:], metres)],
        "chords": [(start, end, chords[number % len(chords)]) for number, (start, end) in enumerate(zip(bars, bars[1:]))],
        "confidences": [0.9] * (len(bars) - 1),
        "key": Key(0),
        "keys": [(0.0, duration, Key(0))],
        "cadences": [],
        "sections": [(0.0, duration, "A")],
        "instruments": [(0.0, duration, "piano", 0.8)],
        "chroma": np.ones((12, round(10 * duration))),
        "chroma_rate": 10,
    }
    return Heard(**values | changed)
