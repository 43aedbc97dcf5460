"""How chords and pitches look on pages and pictures: short names, and colours.

A root's hue turns 30 degrees a semitone, so that chords a fifth apart, which stand side by side in most progressions, contrast (by the
circle of fifths C, F and G came out alike). Major is light with dark letters, minor dark with light letters, both legible (contrast above
4.5) in a dark and in a light page.
"""

from __future__ import annotations

import math
from functools import cache

from ostinato.harmony.chords import COMMON, Chord, ChordError

#: Oklch lightness and chroma of a major and of a minor block.
MAJOR_LIGHTNESS, MINOR_LIGHTNESS, CHROMA = 0.80, 0.43, 0.11
SHORT = {"maj": "", "min": "m", "min7": "m7", "min6": "m6", "min9": "m9", "minmaj7": "mM7", "hdim7": "ø7", "maj6": "6", "dim": "°", "dim7": "°7"}
#: Pitch classes as pages and pictures spell them.
COMMON_NAMES = tuple(name.replace("b", "♭").replace("#", "♯") for name in COMMON)


def short(name: str) -> str:
    """A chord as musicians write it: `Bb:min7` -> `B♭m7`, `N` -> `–`. Names that are no chord stay as they are."""
    chord = _chord(name)
    if chord is None:
        return name
    if not chord.is_chord:
        return "–" if chord.root == "N" else "?"
    bass = f"/{name.split('/')[1]}" if "/" in name else ""
    return chord.root.replace("#", "♯").replace("b", "♭") + SHORT.get(chord.quality, chord.quality) + bass


def _chord(name: str) -> Chord | None:
    try:
        return Chord.parse(name)
    except ChordError:  # a recogniser's word outside our vocabulary is still shown, in grey
        return None


def third(name: str) -> tuple[int, bool] | None:
    """(root pitch class, minor third?) of a chord; None for no chord, and for chords without a third."""
    chord = _chord(name)
    if chord is None or not chord.is_chord:
        return None
    steps = {(tone - chord.pitch_class) % 12 for tone in chord.pitch_classes}
    return (chord.pitch_class, 3 in steps) if steps & {3, 4} else None


def colours(name: str) -> tuple[str, str]:
    """(background, letters) of a chord's block, as CSS colours; empty for no chord, which the page's style sheet draws."""
    chord = _chord(name)
    if chord is None or not chord.is_chord:
        return "", ""
    minor = (third(name) or (0, False))[1]
    return (pitch_colour(chord.pitch_class, MINOR_LIGHTNESS), "#fff") if minor else (pitch_colour(chord.pitch_class), "#14110d")


def pitch_colour(pitch_class: int, lightness: float = MAJOR_LIGHTNESS) -> str:
    """#rrggbb of a pitch class (0-11)."""
    return "#" + bytes(rgb(pitch_class, lightness)).hex()


@cache
def rgb(pitch_class: int, lightness: float) -> tuple[int, int, int]:
    """sRGB, 0-255 each, of a pitch class (0-11) in an Oklch lightness."""
    hue = math.radians(pitch_class * 30 + 35)
    a, b = CHROMA * math.cos(hue), CHROMA * math.sin(hue)
    # Oklab to linear sRGB (Ottosson 2020), then the sRGB curve; what is out of gamut is clipped
    cones = ((0.3963378, 0.2158038), (-0.1055613, -0.0638542), (-0.0894842, -1.2914855))
    long, medium, small = ((lightness + x * a + y * b) ** 3 for x, y in cones)
    linear = (
        4.0767417 * long - 3.3077116 * medium + 0.2309699 * small,
        -1.2684380 * long + 2.6097574 * medium - 0.3413194 * small,
        -0.0041961 * long - 0.7034186 * medium + 1.7076147 * small,
    )
    red, green, blue = (_byte(value) for value in linear)
    return red, green, blue


def _byte(value: float) -> int:
    curved = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * min(max(curved, 0.0), 1.0))
