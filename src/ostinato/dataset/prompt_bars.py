"""From the tokens of a prompt to an instrument and bars of chord names: order, bar lines, repeats, keys; and what cannot be meant is refused.

A refusal carries prompts that may have been meant; `prompts.parse` offers those of them that can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ostinato.dataset import misspelt
from ostinato.dataset.numerals import C_MAJOR, Tonality, is_numeral, mode_of, read_numeral
from ostinato.dataset.prompt_words import JOINTS, Token, named
from ostinato.theory import Chord, Reading

Bar = tuple[str, ...]
#: Words that do not belong to an instrument they stand behind.
LEADING = {"followed", "by", "then", "and", "to", "next", "finally", "playing", "plays", "chords", "chord", "the", "in", "bars", "bar", "|", "&", "+", "progression",
           "from", "of", "with", "on", "a", "an", "played", "play", "sequence", "as", "repeat", "start", "starting", "begin", "beginning"}
#: Words for the parts of a song; no instrument.
PARTS = {"verse", "chorus", "bridge", "intro", "outro", "coda", "hook"}
MOST_BARS = 1024


class Refusal(Exception):
    """What is wrong with a prompt, and prompts that may have been meant, likeliest first."""

    def __init__(self, reason: str, *candidates: str) -> None:
        super().__init__(reason)
        self.reason, self.candidates = reason, candidates


@dataclass
class Draft:
    """A prompt as far as it is read: words of the instrument, bars of names, what was remarked, the key that is named."""

    words: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    key: Tonality | None = None
    key_text: str = ""


def assemble(tokens: Sequence[Token]) -> Draft:
    """The instrument and the bars that tokens say. Raises Refusal."""
    tokens, draft = _keys_in_front(list(tokens)), Draft()
    if all(token.kind in ("comma", "line", "repeat", "end", "open", "close", "hold", "again", "slash") for token in tokens):
        raise Refusal("no word is said")
    tokens = _named_by_colon(tokens, draft)
    first = next((place for place, token in enumerate(tokens) if token.is_harmony), len(tokens))
    front, body = tokens[:first], tokens[first:]
    draft.words += _instrument(front)
    _note_keys(tokens, draft)
    _refuse_misspelt(tokens, first)
    if not body:
        return draft
    body = _played_by(body, draft)
    _refuse_strangers(tokens, [token for token in front if token.kind in ("of", "times", "repeat")] + body)
    _refuse_mixed(tokens, draft)
    draft.bars = _Bars(tokens).read([token for token in front if token.kind in ("of", "times", "repeat", "line")] + body)
    draft.remarks += [f"`{token.text}` ({token.note}) is not used" for token in tokens if token.kind == "aside"]
    return draft


def chords(draft: Draft) -> tuple[tuple[Chord, ...], ...]:
    """The chords of a draft's bars; what was reduced or taken for granted goes to its remarks. Raises Refusal for a mode that is neither major nor minor."""
    names = [name for bar in draft.bars for name in bar]
    if all(map(named, names)):
        if draft.key and names:
            draft.remarks.append(f"`{draft.key_text}` (a key) is not used")
        readings = {name: named(name) for name in names}
    else:
        key = _key(names, draft)
        readings = {name: read_numeral(name, key) for name in names}
    draft.remarks += [_reduced(name, reading) for name, reading in readings.items() if reading.reduced]
    return tuple(tuple(readings[name].chord for name in bar) for bar in draft.bars)


def _reduced(name: str, reading: Reading) -> str:
    spelled = "" if reading.name == name else f" ({reading.name})"
    return f"{name}{spelled} is reduced to {reading.chord.harte}"


def _key(names: list[str], draft: Draft) -> Tonality:
    mode = mode_of(names)
    if draft.key is None:
        draft.remarks.append(f"no key is named: the numerals are read in C {mode}")
        return Tonality("C", mode)
    if draft.key.mode not in ("", "major", "minor"):
        like = "minor" if draft.key.mode in ("dorian", "phrygian", "locrian") else "major"
        raise Refusal(f"`{draft.key_text}`: numerals are read in major and in minor only", say(draft.words, draft.bars) + f" in {draft.key.tonic} {like}")
    return draft.key if draft.key.mode else Tonality(draft.key.tonic, mode)


def say(words: Sequence[str], bars: Sequence[Bar]) -> str:
    """A prompt of an instrument and bars, in short."""
    return " ".join([*words, *(",".join(bar) for bar in bars)])


def _instrument(front: Sequence[Token]) -> list[str]:
    """The words before the first chord, without those that lead on to it. A small `a` is the article of what follows it."""
    words: list[str] = []
    bracket = ""
    for token in front:
        if token.kind == "close" and words and not bracket:
            words[-1] += ")"
        if token.kind in ("word", "joint", "by"):
            words.append(bracket + token.text)
        bracket = "(" if token.kind == "open" else ""
    words[-1:] = [words[-1].rstrip(".")] if words else []
    while words and words[-1].lower() in LEADING:
        words.pop()
    return words


def _keys_in_front(tokens: list[Token]) -> list[Token]:
    """`G: I V vi IV`: a chord with a colon before numerals is their key."""
    for place, token in enumerate(tokens):
        after = [other for other in tokens[place + 1:] if other.kind != "comma"]
        if token.kind == "key" and not token.key.mode and not token.note and after and after[0].text.lower() in ("to", "and", "then", "followed"):
            tokens[place] = Token("chords", token.key.tonic, ((token.key.tonic,),))
    first = next((place for place, token in enumerate(tokens) if token.is_harmony), None)
    if first is not None and tokens[first].kind == "chords" and tokens[first].note == ":" and len(tokens[first].bars) == 1:
        chord, after = named(tokens[first].bars[0][0]).chord, [token for token in tokens[first + 1:] if token.is_harmony]
        if after and chord.quality in ("maj", "min") and not chord.bass:
            tokens[first] = Token("key", f"{tokens[first].text.rstrip(':')}:", key=Tonality(chord.root, "minor" if chord.quality == "min" else ""), note=tokens[first].note)
            if after[0].kind == "chords":
                rest, words = say([], [bar for token in after for bar in token.bars]), [token.text for token in tokens if token.kind == "word"]
                raise Refusal(f"`{tokens[first].text}` may name a key or the first chord", say([*words, chord.spoken], []) + f" {rest}", f"{' '.join(words) or 'piano'}: {rest}")
    return tokens


def _named_by_colon(tokens: list[Token], draft: Draft) -> list[Token]:
    """`FM synth: C G`: all before a colon behind a free word is the instrument, be it called like a chord."""
    place = next((place for place, token in enumerate(tokens) if token.kind == "word" and token.note == ":"), None)
    if place is None or not any(token.is_harmony for token in tokens[place:]):
        return tokens
    harmony = [at for at, token in enumerate(tokens[:place]) if token.is_harmony]
    if any(tokens[at + 1].kind not in ("word", "chords") for at in harmony):
        return tokens
    draft.words = [token.text for token in tokens[: place + 1] if token.kind in ("word", "joint", "by") or token.is_harmony]
    _refuse_misspelt(tokens, place + 1, [at for at in range(place + 1) if tokens[at].kind == "word"])
    if draft.words[-1].lower() in ("key", "chords", "chord", "prompt", "progression", "harmony"):
        draft.words.pop()
    return [token for token in tokens[: place + 1] if token.kind in ("aside", "key")] + tokens[place + 1:]


def _note_keys(tokens: Sequence[Token], draft: Draft) -> None:
    """The key that is named; refuses two, and a chord that may be one: `in C Am F G`."""
    keys = [(place, token) for place, token in enumerate(tokens) if token.kind == "key"]
    if not keys:
        return
    place, token = keys[0]
    draft.key, draft.key_text = token.key, token.text
    free, bars = [token.text for token in tokens if token.kind == "word"], [bar for token in tokens if token.is_harmony for bar in token.bars]
    if len({token.key for _, token in keys}) > 1:
        raise Refusal(f"two keys are named, `{keys[0][1].text}` and `{keys[1][1].text}`; name one, or the chords themselves", say(free, bars) + f" in {token.key}")
    rest = [other for other in tokens[place + 1:] if other.kind != "comma"]
    follows = rest[:1]
    if follows and follows[0].kind == "chords" and not token.key.mode and not token.note and not any(other.is_harmony for other in tokens[:place]):
        raise Refusal(f"`{token.text}` may name a key or the first chord", say(free, [(token.key.tonic,), *bars]), f"{' '.join(free) or 'piano'}: {say([], bars)}")


def _refuse_misspelt(tokens: Sequence[Token], first: int, places: Sequence[int] | None = None) -> None:
    """Refuse what looks like harmony among the free words."""
    for place in range(len(tokens)) if places is None else places:
        if tokens[place].kind == "word" and (found := misspelt.look(tokens, place)):
            raise Refusal(found.reason, *(text for instead in found.choices for text in _with(tokens, instead)))
    has_bars = first < len(tokens)
    stray = next((token for token in tokens if has_bars and token.kind == "word" and misspelt.QUALITY_WORDS & set(token.text.lower().split())), None)
    if stray:
        raise Refusal(f"`{stray.text}` belongs to no chord", *_with([token for token in tokens if token is not stray], {}))


def _with(tokens: Sequence[Token], instead: dict[int, Sequence[Bar]]) -> tuple[str, ...]:
    """Prompts with some words replaced by bars and all free words in front; with chords before them as their name too."""
    bars = [bar for place, token in enumerate(tokens) for bar in instead.get(place, token.bars if token.is_harmony else ())]
    free = [place for place, token in enumerate(tokens) if (token.kind == "word" or (token.kind == "joint" and token.text.lower() not in LEADING)) and place not in instead]
    key = next((token.key for token in tokens if token.kind == "key"), None)
    words = [tokens[place].text for place in free if tokens[place].text.lower() not in PARTS]
    while words and words[-1].lower() in JOINTS:
        words.pop()
    numerals = key and all(is_numeral(name) for bar in bars for name in bar)
    return (say(words, bars) + (f" in {key.tonic} {key.mode}".rstrip() if numerals else ""),)


def _played_by(body: list[Token], draft: Draft) -> list[Token]:
    """Take an instrument that stands behind the chords: `C G on piano`, `Cmaj (piano)`."""
    if draft.words:
        return body
    end = len(body)
    while end and body[end - 1].kind in ("word", "joint", "aside", "comma", "close", "key") and not body[end - 1].is_harmony:
        end -= 1
    tail = body[end - 1 :] if end and body[end - 1].kind in ("by", "open") else body[end:]
    start = next((place for place, token in enumerate(tail) if token.kind in ("by", "open") or token.text.lower() == "by"), None)
    if start is None or not any(token.kind == "word" for token in tail[start + 1:]):
        return body
    draft.words = [token.text for token in tail[start + 1:] if token.kind in ("word", "joint")]
    while draft.words[0].lower() in ("a", "an", "the"):
        draft.words.pop(0)
    return body[: len(body) - len(tail)] + tail[:start]


def _refuse_strangers(tokens: Sequence[Token], body: Sequence[Token]) -> None:
    """Refuse a free word behind the first chord."""
    place = next((place for place, token in enumerate(body) if token.kind in ("word", "by")), None)
    if place is None:
        return
    stranger = body[place]
    at = next(at for at, token in enumerate(tokens) if token is stranger)
    candidates = list(_with(tokens, {}))
    if any(token.is_harmony for token in tokens[at:]):
        until = next(place for place, token in enumerate(tokens) if place > at and token.is_harmony)
        name = [token.text for token in tokens[:until] if token.kind in ("word", "joint", "by") or token.is_harmony]
        candidates.append(f"{' '.join(name)}: {say([], [bar for token in tokens[until:] if token.is_harmony for bar in token.bars])}")
    text = stranger.text if stranger.kind == "word" else " ".join(token.text for token in body[place : place + 2])
    raise Refusal(f"'{text}' is no chord name", *candidates)


def _refuse_mixed(tokens: Sequence[Token], draft: Draft) -> None:
    """Refuse small letters, and numerals among chords."""
    harmony = [token for token in tokens if token.is_harmony]
    small = next((token for token in harmony if token.kind == "small"), None)
    if small:
        raise Refusal(f"'{small.text}' is no chord name: these begin with a capital letter", *_with(tokens, {}))
    if len({token.kind for token in harmony}) > 1:
        bars = [bar for token in harmony for bar in token.bars]
        key = draft.key or C_MAJOR
        candidates = [say(draft.words, [tuple(name if named(name) else read_numeral(name, key).name for name in bar) for bar in bars])]
        if harmony[0].kind == "chords" and len(harmony[0].bars) == 1 and all(token.kind == "numerals" for token in harmony[1:]) and len(harmony) > 2:
            candidates.insert(0, say(draft.words, bars[1:]) + f" in {bars[0][0]}")
        raise Refusal("chord names and Roman numerals are mixed; write one or the other", *candidates)


class _Bars:
    """Bars as they come: repeats are written out, and where there are bar lines, what stands between two of them shares a bar."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.words = [token.text for token in tokens if token.kind == "word"]
        self.has_lines = any(token.kind in ("line", "repeat", "end") for token in tokens)
        self.times = sum(token.kind in ("times", "each", "of") for token in tokens)
        self.bars: list[Bar] = []
        self.measure: list[str] = []
        #: Where the last list, group and repeat begin; how often the next chord comes.
        self.since, self.group, self.repeat, self.closed, self.pending = 0, [], 0, None, 0

    def read(self, tokens: Sequence[Token]) -> list[Bar]:
        """All bars of these tokens. Raises Refusal."""
        tokens = self._without_strokes(tokens)
        for place, token in enumerate(tokens):
            self.rest = tokens[place + 1:]
            getattr(self, f"_{token.kind}", self._nothing)(token)
            if token.kind in ("comma", "joint", "line"):
                self.since = len(self.bars)
            if token.kind not in ("close", "end", "line", "comma", "times"):
                self.closed = None
            if len(self.bars) > MOST_BARS and self.times:
                raise Refusal(f"more than {MOST_BARS} bars")
        self._flush()
        return self.bars

    def _nothing(self, token: Token) -> None:
        """What has no say in the order."""

    def _chords(self, token: Token) -> None:
        if self.has_lines and not self.pending:
            self.measure += [name for bar in token.bars for name in bar]
            return
        if self.pending > 1 and (len(token.bars) > 1 or any(other.is_harmony for other in self.rest[:1])):
            bars = [*token.bars, *(bar for other in self.rest if other.is_harmony for bar in other.bars)]
            if len(bars) != self.pending:
                raise self._in_all(self.pending, bars)
            self.pending = 1
        self.bars += list(token.bars) * max(1, self.pending)
        self.pending = 0

    _numerals = _chords

    def _flush(self) -> None:
        if self.measure:
            self.bars.append(tuple(self.measure) if len(set(self.measure)) > 1 else (self.measure[0],))
            self.measure = []

    def _line(self, token: Token) -> None:
        self._flush()

    def _repeat(self, token: Token) -> None:
        self._flush()
        self.repeat = len(self.bars)

    def _end(self, token: Token) -> None:
        self._flush()
        again = self.rest[0].number if self.rest and self.rest[0].kind == "times" else 2
        self._again_from(self.repeat, again)
        self.repeat, self.closed = len(self.bars), "told" if self.rest and self.rest[0].kind == "times" else None

    def _open(self, token: Token) -> None:
        self.group.append(len(self.bars))

    def _close(self, token: Token) -> None:
        self.closed = self.group.pop() if self.group else 0

    def _hold(self, token: Token) -> None:
        if self.measure or self.has_lines:
            self.measure.append(self.measure[-1] if self.measure else self.bars[-1][-1] if self.bars else "N")
        elif self.bars:
            self.bars.append(self.bars[-1])

    _slash = _hold

    def _again(self, token: Token) -> None:
        if self.bars:
            self.bars.append(self.bars[-1])

    def _of(self, token: Token) -> None:
        self.pending = token.number

    def _each(self, token: Token) -> None:
        self._flush()
        if self.times > 1 or len(self.bars) == 1:
            self._last(token.number)
        elif len(self.bars) != token.number:
            raise self._in_all(token.number, self.bars)

    def _times(self, token: Token) -> None:
        if self.closed == "told":
            self.closed = None
        elif not self.bars and not self.measure:
            self.pending = token.number
        elif self.closed is not None:
            self._again_from(self.closed, token.number)
        elif self.times == 1 and token.text[-1] in "es":  # twice, three times: all of it
            self._flush()
            self._again_from(0, token.number)
        else:
            self._last(token.number)

    def _last(self, number: int) -> None:
        """The last chord so often; refused where it may be all of them."""
        self._flush()
        unit = self.bars[self.since:] or self.bars[-1:]
        if len(unit) > 1 or (self.times == 1 and len(self.bars) > 1):
            raise self._ambiguous(number, self.bars)
        self._again_from(len(self.bars) - 1, number)
        self.since = len(self.bars)

    def _again_from(self, start: int, number: int) -> None:
        if number < 1 or (len(self.bars) - start) * number > MOST_BARS:
            raise Refusal(f"{number} times: expected from once to {MOST_BARS} bars in all")
        self.bars += self.bars[start:] * (number - 1)

    def _in_all(self, number: int, bars: Sequence[Bar]) -> Refusal:
        share = min(number // len(bars), 8)
        if number % len(bars):
            return Refusal(f"{number} bars do not go into {len(bars)} chords", say(self.words, bars))
        return Refusal(f"{number} bars of {len(bars)} chords may be each in turn, or each for {share}", say(self.words, list(bars) * share),
                       say(self.words, [bar for bar in bars for _ in range(share)]))

    def _ambiguous(self, number: int, bars: Sequence[Bar]) -> Refusal:
        number = min(number, 8)
        return Refusal(f"{number} times what? The last chord, or all of them", say(self.words, [*bars[:-1], *[bars[-1]] * number]), say(self.words, list(bars) * number))

    def _without_strokes(self, tokens: Sequence[Token]) -> list[Token]:
        """`C / / / G / / /`: strokes that count the beats of a bar say nothing new; one between two chords may be a slash chord."""
        if self.has_lines or not any(token.kind == "slash" for token in tokens):
            return list(tokens)
        runs = "".join("c" if token.is_harmony else "/" if token.kind == "slash" else "" for token in tokens).split("c")[1:]
        if len(set(map(len, runs))) == 1 and len(runs[0]) > 1:
            return [token for token in tokens if token.kind != "slash"]
        names = [",".join(bar) for token in tokens if token.is_harmony for bar in token.bars]
        pairs = ["/".join(names[place : place + 2]) for place in range(0, len(names), 2)]
        if set(map(len, runs[:-1])) == {1} and (len(names) % 2 or not all(named(pair) for pair in pairs)):
            return [token for token in tokens if token.kind != "slash"]
        raise Refusal("a stroke with blanks around it may be a slash chord or a border", say(self.words, [(pair,) for pair in pairs]), say(self.words, [(name,) for name in names]))
