"""The bars of a prompt: names in their order, with bar lines, groups and repeats written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ostinato.harmony.prompts.words import Token, named

Bar = tuple[str, ...]
#: Repeats make no more than this.
MOST_BARS = 1024


class Refusal(Exception):
    """What is wrong with a prompt, and prompts that may have been meant, likeliest first."""

    def __init__(self, reason: str, *candidates: str) -> None:
        super().__init__(reason)
        self.reason, self.candidates = reason, candidates


def say(words: Sequence[str], bars: Sequence[Bar]) -> str:
    """A prompt of an instrument and bars, in short."""
    return " ".join([*words, *(",".join(bar) for bar in bars)])


class Bars:
    """Bars as they come: repeats are written out, and where there are bar lines, what stands between two of them shares a bar."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.words = [token.text for token in tokens if token.kind == "word"]
        self.has_lines = any(token.kind in ("line", "repeat", "end") for token in tokens)
        self.times = sum(token.kind in ("times", "each", "of") for token in tokens)
        self.bars: list[Bar] = []
        self.measure: list[str] = []
        #: Where the last list, group and repeat begin; how often the next chord comes.
        self.since, self.repeat, self.pending = 0, 0, 0
        self.closed: int | Literal["told"] | None = None
        self.group: list[tuple[int, int]] = []

    def read(self, tokens: Sequence[Token]) -> list[Bar]:
        """All bars of these tokens. Raises Refusal."""
        tokens = self._without_strokes(tokens)
        for place, token in enumerate(tokens):
            self.rest = tokens[place + 1 :]
            getattr(self, f"_{token.kind}", self._nothing)(token)
            if token.kind in ("comma", "joint", "line"):
                self.since = len(self.bars)
            if token.kind not in ("close", "end", "line", "comma", "times"):
                self.closed = None
            if len(self.bars) > MOST_BARS and self.times:
                raise Refusal(f"more than {MOST_BARS} bars")
        self._flush()
        if self.pending and len(self.bars) != self.pending:
            raise self._in_all(self.pending, self.bars)
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
        self.group.append((len(self.bars), self.pending))
        self.pending = 0

    def _close(self, token: Token) -> None:
        self.closed, number = self.group.pop() if self.group else (0, 0)
        if number:
            self._flush()
            self._again_from(self.closed, number)

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
        elif self.times == 1 and token.note == "all":
            self._flush()
            self._again_from(0, token.number)
        else:
            self._last(token.number)

    def _last(self, number: int) -> None:
        """The last chord so often; refused where it may be all of them."""
        self._flush()
        unit = self.bars[self.since :] or self.bars[-1:]
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
        return Refusal(
            f"{number} bars of {len(bars)} chords may be each in turn, or each for {share}",
            say(self.words, list(bars) * share),
            say(self.words, [bar for bar in bars for _ in range(share)]),
        )

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
