"""From the tokens of a prompt to an instrument and bars of chords: where the instrument stands, which key is named, what is remarked.

A refusal carries prompts that may have been meant; `prompts.parse` offers those of them that can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ostinato.harmony.chords import Chord, Reading
from ostinato.harmony.instruments import is_series
from ostinato.harmony.numerals import Tonality, mode_of, read_numeral
from ostinato.harmony.prompts.refusals import LEADING, WISHES, bars_of, refuse_misspelt, refuse_mixed, refuse_strangers, refuse_strays, words_of
from ostinato.harmony.prompts.repeats import Bar, Bars, Refusal, say
from ostinato.harmony.prompts.words import Token, named

#: What says nothing by itself.
SIGNS = ("comma", "line", "repeat", "end", "open", "close", "hold", "again", "slash")
#: What counts before the first chord too.
ORDER = ("of", "times", "repeat", "line", "open", "close")
#: Modes that are nearer to minor.
DARK = ("dorian", "phrygian", "locrian", "minor")


@dataclass
class Draft:
    """A prompt as far as it is read: words of the instrument, bars of names, what was remarked, the token that names the key."""

    words: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    key: Token | None = None


def assemble(tokens: Sequence[Token]) -> Draft:
    """The instrument and the bars that tokens say. Raises Refusal."""
    if all(token.kind in SIGNS for token in tokens):
        raise Refusal("no word is said")
    tokens, draft = _with_keys(list(tokens)), Draft()
    tokens = _named_by_colon(tokens, draft)
    first = next((place for place, token in enumerate(tokens) if token.is_harmony), len(tokens))
    front, body = tokens[:first], tokens[first:]
    draft.words += _instrument(front)
    draft.key = _key(tokens)
    refuse_misspelt(tokens, range(len(tokens)))
    if not body:
        return draft
    refuse_strays(tokens)
    draft.words = [] if all(word.lower() in WISHES for word in draft.words) else draft.words
    body = [token for token in front if token.kind in ORDER] + _played_by(body, draft)
    refuse_strangers(tokens, body)
    refuse_mixed(tokens)
    draft.bars = Bars(tokens).read(body)
    draft.remarks += [f"`{token.text}` ({token.note}) is not used" for token in tokens if token.kind == "aside"]
    return draft


def chords(draft: Draft) -> tuple[tuple[Chord, ...], ...]:
    """The chords of a draft's bars; what was reduced or taken for granted goes to its remarks. Raises Refusal for a mode that is neither major nor minor."""
    names = [name for bar in draft.bars for name in bar]
    readings = {name: reading for name in names if (reading := named(name))}
    if len(readings) < len(set(names)):
        key = _tonality(names, draft)
        readings = {name: read_numeral(name, key) for name in names}
    elif draft.key and names:
        draft.remarks.append(f"`{draft.key.text}` (a key) is not used")
    draft.remarks += [_reduced(name, reading) for name, reading in readings.items() if reading.reduced]
    return tuple(tuple(readings[name].chord for name in bar) for bar in draft.bars)


def _reduced(name: str, reading: Reading) -> str:
    spelled = "" if reading.name == name else f" ({reading.name})"
    return f"{name}{spelled} is reduced to {reading.chord.harte}"


def _tonality(names: list[str], draft: Draft) -> Tonality:
    """The key that numerals are read in."""
    mode = mode_of(names)
    if draft.key is None or draft.key.key is None:
        draft.remarks.append(f"no key is named: the numerals are read in C {mode}")
        return Tonality("C", mode)
    key = draft.key.key
    if key.mode not in ("", "major", "minor"):
        like = Tonality(key.tonic, "minor" if key.mode in DARK else "major")
        raise Refusal(f"`{draft.key.text}`: numerals are read in major and in minor only", f"{say(draft.words, draft.bars)} in {like}")
    return key if key.mode else Tonality(key.tonic, mode)


def _with_keys(tokens: list[Token]) -> list[Token]:
    """Tokens with what is a key as one, `G:` in `G: I V`, and what is none as a chord, `in C` in `in C to G`."""
    for place, token in enumerate(tokens):
        after = [other for other in tokens[place + 1 :] if other.kind != "comma"][:1] if token.kind == "key" else []
        if token.key and not token.key.mode and not token.note and after and after[0].text.lower() in ("to", "and", "then", "followed"):
            tokens[place] = Token("chords", token.key.tonic, ((token.key.tonic,),))
    first = next((place for place, token in enumerate(tokens) if token.is_harmony), None)
    if first is not None and tokens[first].note == ":" and tokens[first].kind == "chords":
        tokens[first] = _key_with_colon(tokens, first)
    return tokens


def _key_with_colon(tokens: Sequence[Token], first: int) -> Token:
    """The first chord, with a colon, as the key of the numerals behind it. Before chords it may be either: raises Refusal."""
    token = tokens[first]
    chord, after = named(token.bars[0][0]), [other for other in tokens[first + 1 :] if other.is_harmony]
    if not after or len(token.bars) > 1 or not chord or chord.chord.bass or chord.chord.quality not in ("maj", "min"):
        return token
    text = token.text.rstrip(":") + ":"
    if after[0].kind == "chords":
        words, rest = words_of(tokens), say([], bars_of(after))
        raise Refusal(f"`{text}` may name a key or the first chord", f"{say(words, [(chord.chord.spoken,)])} {rest}", f"{' '.join(words) or 'piano'}: {rest}")
    return Token("key", text, key=Tonality(chord.chord.root, "minor" if chord.chord.quality == "min" else ""), note=":")


def _key(tokens: Sequence[Token]) -> Token | None:
    """The key that is named; refuses two, and one that may be a chord: `in C Am F G`."""
    keys = [place for place, token in enumerate(tokens) if token.key]
    if not keys:
        return None
    token, words, bars = tokens[keys[0]], words_of(tokens), bars_of(tokens)
    assert token.key
    if len({tokens[place].key for place in keys}) > 1:
        reason = f"two keys are named, `{token.text}` and `{tokens[keys[1]].text}`; name one, or the chords themselves"
        raise Refusal(reason, f"{say(words, bars)} in {token.key}")
    follows = next((other for other in tokens[keys[0] + 1 :] if other.kind != "comma"), None)
    is_sure = token.key.mode or token.note or any(other.is_harmony for other in tokens[: keys[0]])
    if follows and follows.kind == "chords" and not is_sure:
        as_key = f"{' '.join(words) or 'piano'}: {say([], bars)}"
        raise Refusal(f"`{token.text}` may name a key or the first chord", say(words, [(token.key.tonic,), *bars]), as_key)
    return token


def _named_by_colon(tokens: list[Token], draft: Draft) -> list[Token]:
    """`FM synth: C G`: all before a colon behind a free word is the instrument, be it called like a chord. Returns the other tokens."""
    colon = next((place for place, token in enumerate(tokens) if token.kind == "word" and token.note == ":"), None)
    if colon is None or not any(token.is_harmony for token in tokens[colon:]):
        return tokens
    if any(token.is_harmony and after.kind not in ("word", "chords") for token, after in zip(tokens[:colon], tokens[1:])):
        return tokens
    refuse_misspelt(tokens, range(colon + 1))
    draft.words = _listed(tokens[: colon + 1], with_harmony=True)
    return [token for token in tokens[: colon + 1] if token.kind in ("aside", "key")] + tokens[colon + 1 :]


def _listed(tokens: Sequence[Token], with_harmony: bool = False) -> list[str]:
    """The free words of tokens. Commas stay where the words are nothing but names of instruments, which they tell apart: `bass, guitar and drums`."""
    words: list[str] = []
    for token in tokens:
        if token.kind in ("word", "joint", "by") or (with_harmony and token.is_harmony):
            words.append(token.text)
        elif token.kind == "comma" and token.text == "," and words:
            words[-1] = words[-1].rstrip(",") + ","
    plain = [word.rstrip(",") for word in words]
    while words and plain[len(words) - 1].lower() in LEADING:
        words.pop()
    return [*words[:-1], *plain[len(words) - 1 :]] if words and is_series(plain[: len(words)]) else plain


def _instrument(front: Sequence[Token]) -> list[str]:
    """The words before the first chord, with their brackets, without those that lead on to it."""
    listed = _listed(front)
    if any(word.endswith(",") for word in listed):
        return _trimmed(listed)
    words: list[str] = []
    opened = ""
    for token in front:
        if token.kind == "close" and sum(word.count("(") - word.count(")") for word in words) > 0:
            words[-1] += ")"
        if token.kind in ("word", "joint", "by"):
            words.append(opened + token.text)
        opened = "(" if token.kind == "open" else ""
    words[-1:] = [word.rstrip(".") for word in words[-1:]]
    return _trimmed(words)


def _trimmed(words: list[str]) -> list[str]:
    while words and words[-1].lower() in LEADING:
        words = words[:-1]
    return words


def _played_by(body: list[Token], draft: Draft) -> list[Token]:
    """Take an instrument that stands behind the chords, where none stands before them: `C G on piano`, `Cmaj (piano)`. Returns the other tokens."""
    last = max(place for place, token in enumerate(body) if token.is_harmony)
    start = next((place for place in range(last + 1, len(body)) if body[place].kind in ("by", "open")), None)
    tail = body[start + 1 :] if start is not None else []
    if draft.words or any(token.kind not in (*SIGNS, "word", "joint", "by", "aside", "key") for token in tail):
        return body
    words = _listed(tail)
    while words and words[0].lower() in LEADING:
        words = words[1:]
    if not words or any(token.kind == "word" for token in body[last:start]):
        return body
    draft.words = _trimmed(words)
    return body[:start]
