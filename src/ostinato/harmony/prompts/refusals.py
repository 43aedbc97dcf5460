"""What cannot be meant in a prompt, and prompts that may have been meant instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ostinato.harmony.numerals import C_MAJOR, is_numeral, read_numeral
from ostinato.harmony.prompts import misspelt
from ostinato.harmony.prompts.repeats import Bar, Refusal, say
from ostinato.harmony.prompts.words import JOINTS, Token, named

#: Words that lead on to what they stand before, and are no part of an instrument there.
LEADING = set(
    """followed by then and to next finally playing plays chords chord the in bars bar | & + progression from of with on a an played play sequence as
    repeat start starting begin beginning power""".split()
)
#: Words of a wish, which name no instrument.
WISHES = set("please i want give me make generate create can could would you like some let us let's write compose need hear play now etc just".split())


def refuse_misspelt(tokens: Sequence[Token], places: Sequence[int]) -> None:
    """Refuse what looks like harmony among the free words at some places."""
    found: list[misspelt.Found] = []
    instead: misspelt.Instead = {}
    for place in places:
        if tokens[place].kind == "word" and place not in instead and (one := misspelt.look(tokens, place)):
            found.append(one)
            instead |= one.choices[0] if one.choices else {}
    if found:
        other = {at: bars for one in found if one.choices for at, bars in one.choices[-1].items()}
        raise Refusal(found[0].reason, meant(tokens, instead), meant(tokens, other))


def refuse_strays(tokens: Sequence[Token]) -> None:
    """Refuse a word such as `minor` that stands at no chord."""
    stray = next((token for token in tokens if token.kind == "word" and misspelt.QUALITY_WORDS & set(token.text.lower().split())), None)
    if stray:
        raise Refusal(f"`{stray.text}` belongs to no chord", meant([token for token in tokens if token is not stray], {}))


def refuse_strangers(tokens: Sequence[Token], body: Sequence[Token]) -> None:
    """Refuse a free word behind the first chord, in the `body`."""
    place = next((place for place, token in enumerate(body) if token.kind in ("word", "by")), None)
    if place is None:
        return
    at = next(at for at, token in enumerate(tokens) if token is body[place])
    after = next((later for later in range(at + 1, len(tokens)) if tokens[later].is_harmony), None)
    candidates = [meant(tokens, {})]
    if after is not None:  # an instrument that is called like a chord
        name = " ".join(token.text for token in tokens[:after] if token.kind in ("word", "joint", "by") or token.is_harmony)
        candidates.append(f"{name}: {say([], bars_of(tokens[after:]))}")
    text = " ".join(token.text for token in body[place : place + 1 + (body[place].kind == "by")])
    raise Refusal(f"'{text}' is no chord name", *candidates)


def refuse_mixed(tokens: Sequence[Token]) -> None:
    """Refuse small letters, and numerals among chords."""
    harmony = [token for token in tokens if token.is_harmony]
    small = next((token for token in harmony if token.kind == "small"), None)
    if small:
        raise Refusal(f"'{small.text}' is no chord name: these begin with a capital letter", meant(tokens, {}))
    if len({token.kind for token in harmony}) == 1:
        return
    words, bars = words_of(tokens), bars_of(harmony)
    key = next((token.key for token in tokens if token.key), C_MAJOR)
    candidates = [say(words, [tuple(name if named(name) else read_numeral(name, key).name for name in bar) for bar in bars])]
    if len(bars[0]) == 1 < len(bars) - 1 and named(bars[0][0]) and all(is_numeral(name) for bar in bars[1:] for name in bar):
        candidates.insert(0, f"{say(words, bars[1:])} in {bars[0][0]}")
    raise Refusal("chord names and Roman numerals are mixed; write one or the other", *candidates)


def meant(tokens: Sequence[Token], instead: Mapping[int, Sequence[Bar]]) -> str:
    """A prompt with some words replaced by bars, and all free words in front."""
    bars = [bar for place, token in enumerate(tokens) for bar in instead.get(place, token.bars if token.is_harmony else ())]
    key = next((token.key for token in tokens if token.key), None)
    text = say(words_of([token for place, token in enumerate(tokens) if place not in instead]), bars)
    return f"{text} in {key}" if key and all(is_numeral(name) for bar in bars for name in bar) else text


def bars_of(tokens: Sequence[Token]) -> list[Bar]:
    """All bars that tokens name."""
    return [bar for token in tokens if token.is_harmony for bar in token.bars]


def words_of(tokens: Sequence[Token]) -> list[str]:
    """The free words of tokens that may name an instrument."""
    free = [token.text for token in tokens if token.kind == "word" or (token.kind == "joint" and token.text.lower() not in LEADING)]
    words = [word for word in free if word.lower() not in WISHES and any(map(str.isalpha, word))]
    while words and words[-1].lower() in JOINTS:
        words.pop()
    return words
