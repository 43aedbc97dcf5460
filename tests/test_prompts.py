"""Chord names and prompts: what people write, what is read, and what is refused."""

import numpy as np
import pytest

from ostinato.dataset.prompts import PHRASINGS, Prompt, PromptError, draw_phrasing, format_prompt, parse
from ostinato.theory import QUALITIES, Chord, ChordError, Key


def harte(text: str) -> str:
    """A prompt as read, in short: `piano | C:maj | G:maj,G:7`."""
    prompt = parse(text)
    return " | ".join([prompt.instrument, *(",".join(chord.harte for chord in bar) for bar in prompt.bars)])


@pytest.mark.parametrize("text, expected", [
    ("piano CMajor", "piano | C:maj"),
    ("ukulele Cmaj, followed by Fmaj, Gmaj, and Cmaj", "ukulele | C:maj | F:maj | G:maj | C:maj"),
    ("C G,G:7 A:min", " | C:maj | G:maj,G:7 | A:min"),
    ("A piano playing A, E and D", "A piano | A:maj | E:maj | D:maj"),
    ("electric guitar Am, then Bb:maj7/3, then N", "electric guitar | A:min | Bb:maj7/3 | N"),
    ("organ", "organ"),
])
def test_what_people_write(text, expected):
    assert harte(text) == expected


def prompts() -> list[Prompt]:
    rng = np.random.default_rng(0)
    roots = ("C", "C#", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")

    def chord() -> Chord:
        return Chord(str(rng.choice(roots)), str(rng.choice(list(QUALITIES))), int(rng.choice([0, 0, 0, 3, 4, 7, 10])))

    made = [Prompt(str(rng.choice(["", "piano", "electric guitar"])), tuple(tuple(chord() for _ in range(rng.integers(1, 3))) for _ in range(n)))
            for n in range(1, 40)]
    return made + [Prompt("ukulele", ((chord(),),) * n) for n in (1, 4)] + [Prompt("strings", tuple((chord(),) for _ in range(5)))]


def test_every_phrasing_is_read_back_to_the_same_prompt():
    said = 0
    for prompt in prompts():
        for phrasing in PHRASINGS:
            if phrasing in ("bars", "harte") or all(len(bar) == 1 for bar in prompt.bars):
                assert parse(format_prompt(prompt, phrasing)) == prompt, format_prompt(prompt, phrasing)
                said += 1
        assert parse(draw_phrasing(prompt, np.random.default_rng(1))) == prompt
    assert said > 80


def test_the_same_seed_draws_the_same_phrasing_and_other_seeds_others():
    prompt = parse("piano C, F, G")
    drawn = [draw_phrasing(prompt, np.random.default_rng(seed)) for seed in range(40)]
    assert drawn == [draw_phrasing(prompt, np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(drawn)) == len(PHRASINGS)


@pytest.mark.parametrize("text, named", [
    ("piano Hmaj", "Hmaj"), ("piano Cmaj, followed by Fmoj", "Fmoj"), ("C G,K A", "G,K"), ("", "''"), ("piano C:mjj", "C:mjj"), ("C/H", "C/H"),
])
def test_what_is_no_chord_is_named(text, named):
    with pytest.raises((PromptError, ChordError), match=named):
        parse(text)


def test_chords_and_keys_know_their_notes():
    assert Chord.parse("C:maj7/3").pitch_classes == (0, 4, 7, 11) and Chord.parse("C:maj7/3").bass_pitch_class == 4
    assert Chord.parse("C/E") == Chord.parse("C:maj/3")
    assert Chord.parse("C#m").same_sound(Chord.parse("Dbmin")) and not Chord.parse("C").same_sound(Chord.parse("C7"))
    assert Chord.parse("Bb").transpose(2).harte == "C:maj"
    assert Key.parse("A:minor").scale == (9, 11, 0, 2, 4, 5, 7)
