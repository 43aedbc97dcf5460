"""Music from the MIDI model: from nothing, from a beginning, into a gap, around a melody.

Where something must be kept, several drafts ("particles") are written side by side: a sequential Monte Carlo of the model's own distribution (Doucet and
Johansen, 2011; Lew et al., 2023, for language models). Each may only say what keeps it (compose.given) and is weighed by how likely the model found that: the mass of
what was allowed. Whenever all have come to the same note of the melody and the weights have grown uneven, the drafts are drawn anew by weight. Of the last ones
one is drawn by weight.

Everything is drawn from one seed; the same seed gives the same piece. Seconds are seconds, pieces are `midi.Piece`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ostinato.compose.batch import Batch, Request
from ostinato.compose.draft import Draft, Words, is_plain, require_plain
from ostinato.compose.given import InfillConstraint, MelodyConstraint
from ostinato.compose.grammar import Grammar, GrammarDraft
from ostinato.files import UserError
from ostinato.generate.sampling import Sampling, draw
from ostinato.lm.midi_model import MidiModel
from ostinato.midi.notes import DRUMS, PEDAL, Piece
from ostinato.midi.tokens import Tokenizer

#: A piece may end by itself after this share of the seconds that were asked for.
LEAST_SHARE = 0.5
#: Drafts are drawn anew when their effective number falls below this share.
EFFECTIVE_SHARE = 0.5
#: So many words after a gap say which filling leads there.
FOLLOWING = 128


@dataclass(frozen=True)
class Composition:
    """A piece; which spans of it were given, seconds; the melody it was written around, whose notes are in `piece` too."""

    piece: Piece
    given: list[tuple[float, float]] = field(default_factory=list)
    melody: Piece | None = None


def sample(model: MidiModel, requests: Sequence[Request], seconds: float, how: Sampling, seed: int) -> list[Piece]:
    """Pieces from nothing, at most `seconds` long, one for each request, all at once."""
    _validate(how, seconds)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        rows = Batch(model, requests, how.guidance)
        drafts = [_free(model.tokenizer, request, seconds) for request in requests]
        for number in range(len(requests)):
            rows.read([number], [])
        write(rows, drafts, how)
    return [_new(model.tokenizer, draft, 0, 0.0, seconds) for draft in drafts]


def go_on(model: MidiModel, request: Request, words: np.ndarray, seconds: float, how: Sampling, seed: int) -> Composition:
    """A piece, as its single words `Tokenizer.encode` or `encode_file` gave, and so many seconds more of it."""
    _validate(how, seconds)
    tokenizer = model.tokenizer
    given = tokenizer.decode(words)
    if not len(given.notes):
        raise UserError("nothing to go on from: no note that the model has words for")
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        rows, draft = Batch(model, [request], how.guidance), _free(tokenizer, request, seconds, given.seconds)
        draft.given(words)
        rows.read([0], words)
        write(rows, [draft], how)
    last = float(given.notes["start"].max()) + tokenizer.tick_seconds / 2
    new = _new(tokenizer, draft, len(given.notes), last, given.seconds + seconds)
    return Composition(Piece.of(np.concatenate([given.notes, new.notes]), new.pedals), [(0.0, last)])


def infill(model: MidiModel, request: Request, piece: Piece, gap: tuple[float, float], how: Sampling, seed: int, particles: int) -> Composition:
    """A piece with the notes that begin in [gap[0], gap[1]) seconds replaced by new ones; all others, and their pedals, are as they were."""
    _validate(how)
    tokenizer = model.tokenizer
    require_plain(tokenizer, "filling a gap")
    tick = tokenizer.tick_seconds
    if not 0 <= gap[0] < gap[1] <= piece.seconds + tick:
        raise UserError(f"gap {gap[0]:g} to {gap[1]:g} s: expected a beginning and an end inside of the piece, which is {piece.seconds:.2f} s long")
    start, stop = round(gap[0] / tick), max(round(gap[1] / tick), round(gap[0] / tick) + 1)
    onsets = np.round(piece.notes["start"] / tick)
    before, after = piece.notes[onsets < start], piece.notes[onsets >= stop]
    ids, following, arrives = _sides(tokenizer, Piece(np.concatenate([before, after]), piece.pedals), start, stop)
    words = Words(tokenizer)
    draft = InfillConstraint(words, (start, stop), following, arrives, _kept(tokenizer, np.concatenate([before, after])), _programs(request))
    draft.given(ids)
    chosen = _best(model, request, draft, how, seed, particles, ids)
    edges = ((start - 0.5) * tick, (stop - 0.5) * tick)  # notes nearer to a step of the grid in the gap than to one outside are gone
    filling = chosen.filling()
    pedals = [*_clipped(piece.pedals, 0, start * tick), *filling.pedals.tolist(), *_clipped(piece.pedals, stop * tick, np.inf)]
    whole = Piece.of(np.concatenate([before, filling.notes, after]), _merged(np.array(pedals, PEDAL)))
    return Composition(whole, [(0.0, max(0.0, edges[0])), (edges[1], whole.seconds + tick)])


def accompany(model: MidiModel, request: Request, melody: Piece, how: Sampling, seed: int, particles: int) -> Composition:
    """Music around a melody of one voice, which is kept note for note on the tokenizer's grid; it ends with the melody.

    Raises:
        UserError: a melody of more than one voice (see `compose.melody.skyline`), or one that the model has no words for.
    """
    from ostinato.compose.melody import line_of

    _validate(how)
    require_plain(model.tokenizer, "keeping a melody")
    words = Words(model.tokenizer)
    line, lead = line_of(words, melody), _lead(model, request)
    chosen = _best(model, request, MelodyConstraint(words, line, lead, _programs(request)), how, seed, particles, [])
    tick = model.tokenizer.tick_seconds
    sung = Piece.of([(start * tick, end * tick, *rest) for start, end, *rest in chosen.melody_notes])
    around = chosen.piece(end=line.end * tick)
    return Composition(Piece.of(np.concatenate([sung.notes, around.notes]), around.pedals), melody=sung)


def write(rows: Batch, drafts: list[Any], how: Sampling, weigh: bool = False) -> torch.Tensor:
    """Write drafts to their ends, in place; with `weigh`, as particles of one distribution. Returns the logarithms of their weights."""
    weights, goal = torch.zeros(len(drafts), dtype=torch.float64), 0
    while not all(draft.done for draft in drafts):
        active = [not draft.done and draft.milestone <= goal for draft in drafts]
        if any(active):
            weights += _step(rows, drafts, active, how, weigh)
            continue
        goal += 1
        if weigh and effective(weights) < EFFECTIVE_SHARE * len(drafts):
            ancestors = systematic(weights)
            drafts[:] = [drafts[ancestor].copy() for ancestor in ancestors]
            rows.become(ancestors)
            weights = torch.zeros_like(weights)
    return weights


def _step(rows: Batch, drafts: list[Any], active: list[bool], how: Sampling, weigh: bool) -> torch.Tensor:
    """One word in each active draft; the logarithm of the mass it was drawn from, 0 for those that wait."""
    for number, draft in enumerate(drafts):
        if active[number] and rows.full(number):
            rows.read([number], draft.words)
    masks = np.stack([draft.allowed() if goes else _everything(rows) for draft, goes in zip(drafts, active)])
    logits = rows.logits
    masked = logits.masked_fill(torch.from_numpy(~masks), -torch.inf)
    said = draw(masked, how).tolist()
    for draft, goes, word in zip(drafts, active, said):
        if goes:
            draft.say(word)
    going = [goes and not draft.done for goes, draft in zip(active, drafts)]
    if any(going):
        rows.say(said, going)
    if not weigh:
        return torch.zeros(len(drafts), dtype=torch.float64)
    heat = how.temperature or 1.0
    mass = torch.logsumexp(masked.double() / heat, 1) - torch.logsumexp(logits.double() / heat, 1)
    return mass * torch.tensor(active)


def effective(weights: torch.Tensor) -> float:
    """The effective number of particles with such logarithms of weights."""
    return float(1 / torch.softmax(weights, 0).square().sum())


def systematic(weights: torch.Tensor) -> list[int]:
    """Ancestors drawn in proportion to weights, as evenly as can be (systematic resampling). One that is drawn keeps its place."""
    count = len(weights)
    places = (torch.arange(count) + torch.rand(())) / count
    drawn = torch.searchsorted(torch.softmax(weights, 0).cumsum(0), places.double()).clamp(max=count - 1).tolist()
    result, spare = [ancestor if ancestor in drawn else None for ancestor in range(count)], drawn.copy()
    for ancestor in set(drawn):
        spare.remove(ancestor)
    return [ancestor if ancestor is not None else spare.pop() for ancestor in result]


def _best(model: MidiModel, request: Request, draft: Any, how: Sampling, seed: int, particles: int, words: Sequence[int] | np.ndarray) -> Any:
    """Write `particles` copies of a draft that begins with words; one of them, drawn by weight."""
    if particles < 1:
        raise UserError(f"particles: expected at least 1, got {particles}")
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        rows, drafts = Batch(model, [request] * particles, how.guidance), [draft.copy() for _ in range(particles)]
        rows.read(range(particles), words)
        weights = write(rows, drafts, how, weigh=True)
        chosen = weights.argmax() if how.temperature == 0 else torch.multinomial(torch.softmax(weights, 0), 1)
    return drafts[int(chosen)]


def _everything(rows: Batch) -> np.ndarray:
    return np.ones(rows.model.tokenizer.size, bool)


def _programs(request: Request) -> set[int] | None:
    return set(request.programs) if request.programs else None


def _free(tokenizer: Tokenizer, request: Request, seconds: float, past: float = 0.0) -> Draft | GrammarDraft:
    """A draft that goes on for so many seconds after what is past."""
    if is_plain(tokenizer):
        tick = tokenizer.tick_seconds
        return Draft(Words(tokenizer), _programs(request), round((past + LEAST_SHARE * seconds) / tick), round((past + seconds) / tick))
    return GrammarDraft(Grammar(tokenizer, _programs(request)), LEAST_SHARE * seconds, seconds)


def _validate(how: Sampling, seconds: float = 1.0) -> None:
    how.validate()
    if not 0 < seconds < float("inf"):
        raise UserError(f"seconds: expected a number above 0, got {seconds:g}")


def _new(tokenizer: Tokenizer, draft: Draft | GrammarDraft, first: int, after: float, end: float) -> Piece:
    """The notes of a draft from the `first` on, which begin after so many seconds, and its pedals; nothing sounds beyond `end` seconds."""
    if isinstance(draft, Draft):
        return draft.piece(first, end)
    piece = tokenizer.decode(draft.words).between(0, end)
    notes = piece.notes[piece.notes["start"] >= after]
    notes["end"] = np.minimum(notes["end"], end)
    return Piece(notes, piece.pedals)


def _lead(model: MidiModel, request: Request) -> int:
    """Who plays the melody: the first pitched program asked for, else the one that the model finds likeliest for such a piece.

    Raises:
        UserError: no program asked for has pitches.
    """
    tokenizer = model.tokenizer
    if request.programs:
        pitched = [program for program in request.programs if program != DRUMS]
        if not pitched:
            raise UserError(f"programs {', '.join(map(str, request.programs))}: a melody needs one with pitches (0 to 127)")
        return pitched[0]
    named = np.flatnonzero((tokenizer.kinds == "Program") & (tokenizer.values != DRUMS))
    if not len(named):
        return 0
    with torch.no_grad():
        logits = model(torch.tensor(request.prefix(tokenizer, True))[None])[0, -1]
    return int(tokenizer.values[named[int(logits[named].argmax())]])


def _sides(tokenizer: Tokenizer, piece: Piece, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The words before a gap in ticks, those that follow it, with the end where they reach it, and the tick of the first of these."""
    ids, words = tokenizer.encode(piece), Words(tokenizer)
    at, still = words.onsets(ids), ~words.shift[ids]
    early, late = np.flatnonzero(still & (at < start)), np.flatnonzero(still & (at >= stop))
    before = ids[: early[-1] + 1] if len(early) else ids[:0]
    if not len(late):
        return before, ids[:0], 0
    after = ids[late[0] :]
    pitches, names = (np.flatnonzero(mask[after]) for mask in (words.pitched | words.drums, words.program))
    playing = ids[: late[0]][words.program[ids[: late[0]]]][-1:]
    if len(pitches) and len(playing) and (not len(names) or names[0] > pitches[0]):
        after = np.insert(after, pitches[0], playing[0])
    return before, np.append(after, tokenizer.end)[:FOLLOWING], int(at[late[0]])


def _kept(tokenizer: Tokenizer, notes: np.ndarray) -> np.ndarray:
    """Notes as the tokenizer would play them: program, pitch, start and end in ticks, int64 [notes, 4]."""
    programs = [tokenizer.nearest_program(int(program)) for program in notes["program"]]
    starts, ends = (np.round(notes[name] / tokenizer.tick_seconds) for name in ("start", "end"))
    return np.array([programs, notes["pitch"], starts, ends], np.int64).reshape(4, -1).T


def _clipped(pedals: np.ndarray, start: float, end: float) -> list[tuple[float, float, int]]:
    """Pedals as far as they lie in [start, end) seconds."""
    return [(max(float(pedal["start"]), start), min(float(pedal["end"]), end), int(pedal["program"])) for pedal in pedals if pedal["start"] < end and pedal["end"] > start]


def _merged(pedals: np.ndarray) -> list[tuple[float, float, int]]:
    """Pedals with those that touch made one."""
    result: list[tuple[float, float, int]] = []
    for program in np.unique(pedals["program"]):
        for start, end, _ in np.sort(pedals[pedals["program"] == program], order="start"):
            if result and result[-1][2] == program and start <= result[-1][1]:
                result[-1] = (result[-1][0], max(result[-1][1], end), program)
            else:
                result.append((start, end, program))
    return result
