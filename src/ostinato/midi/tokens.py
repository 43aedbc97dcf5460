"""Music as words: MidiTok's TSD (time shift, duration; Fradet et al., 2021), what stands in front of a piece, and what each word means.

Two clocks:

- `seconds`, our default: the piece as it sounds, on a grid of 0.5 s / steps of a beat. Onsets are rounded on their own, so they do not drift;
- `beats`: the file's own beats, its tempos as words, as the seed experiment had it. MidiTok has no word for 120 beats a minute there: pieces come back at 124.

In front of a piece stands what is known of it, each known or "any": composer, genre, the programs that play; then whether it begins here or goes on.
A model that learned with some of them left out can be asked for what it was told, or for nothing in particular.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import UserError, atomic, hash_value
from ostinato.midi.metadata import name_key, nearest
from ostinato.midi.notes import BEAT_SECONDS, DRUMS, Piece, as_score, from_score, one_track, read_midi, read_score
from ostinato.midi.tsd import ANY, tsd, word
from ostinato.params.midi import Tokens

PADDING, END, BEGINS, GOES_ON = "PAD_None", "EOS_None", "BOS_None", "MID_None"
#: Kinds of words that move time.
TIME = ("TimeShift", "Rest")
#: Kinds of words that say notes.
NOTES = ("Pitch", "PitchDrum")
#: Kinds of words that say no music.
NO_MUSIC = ("PAD", "EOS", "BOS", "MID", "Composer", "Genre", "Plays")
#: Who plays what nobody can.
NOBODY = -2
FAMILY = 8  # General MIDI's programs come in families of eight


class Tokenizer:
    """MidiTok's tokenizer with the words of control. Ids are those of single words; where it has BPE, `merged` and `split` go to and from ids of merged ones."""

    def __init__(self, tsd: Any) -> None:
        self.tsd = tsd

    @classmethod
    def fit(cls, params: Tokens, programs: Iterable[int], composers: Iterable[str], genres: Iterable[str]) -> Tokenizer:
        """A tokenizer for music of these programs, composers and genres; BPE is learned by `learn`."""
        return cls(tsd(params, programs, composers, genres))

    @classmethod
    def load(cls, path: Path | str) -> Tokenizer:
        """A saved tokenizer. Raises UserError where there is none."""
        from miditok import TSD

        try:
            loaded = cls(TSD(params=Path(path)))
            _ = loaded.clock  # MidiTok takes any JSON for a tokenizer
            return loaded
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: expected a tokenizer, as MidiTok and Ostinato save it ({' '.join(str(error).split())[:160]})") from None

    def save(self, path: Path | str) -> None:
        """Write it as MidiTok does."""
        with atomic(path) as temporary:
            self.tsd.save(temporary)

    @property
    def clock(self) -> str:
        """`seconds` or `beats`."""
        return self.tsd.config.additional_params["ostinato_clock"]

    @cached_property
    def words(self) -> list[str]:
        """Every single word by its id."""
        return sorted(self.tsd.vocab, key=self.tsd.vocab.get)

    @property
    def size(self) -> int:
        """Number of ids, merged ones included."""
        return self.tsd.vocab_size

    @cached_property
    def kinds(self) -> np.ndarray:
        """What each single word is: Pitch, Velocity, Duration, TimeShift, Program, ... [ids]."""
        return np.array([word.split("_")[0] for word in self.words])

    @cached_property
    def values(self) -> np.ndarray:
        """The number each single word says: a pitch, velocity or program, seconds of a shift, rest or duration; NaN where it is none: float [ids]."""
        return np.array([self._value(*word.split("_", 1)) for word in self.words])

    def _value(self, kind: str, value: str) -> float:
        if kind in (*TIME, "Duration"):
            return self.ticks(value) * self.tick_seconds
        try:
            return float(value)
        except ValueError:
            return np.nan

    def ticks(self, value: str) -> int:
        """Ticks of a shift or duration `beats.steps.resolution`, at MidiTok's resolution."""
        beats, steps, resolution = map(int, value.split("."))
        return round((beats + steps / resolution) * self.tsd.time_division)

    @property
    def tick_seconds(self) -> float:
        """Seconds of the finest step, at 120 beats a minute."""
        return BEAT_SECONDS / self.tsd.time_division

    @property
    def end(self) -> int:
        """The word after the last note."""
        return self.tsd.vocab[END]

    @property
    def padding(self) -> int:
        """The word that says nothing."""
        return self.tsd.vocab[PADDING]

    @cached_property
    def composers(self) -> list[str]:
        """Composers it has a word for."""
        return self._named("Composer")

    @cached_property
    def genres(self) -> list[str]:
        """Genres it has a word for."""
        return self._named("Genre")

    @cached_property
    def programs(self) -> list[int]:
        """Programs it has a word for; -1 are drums."""
        return [int(name) for name in self._named("Plays")]

    def _named(self, kind: str) -> list[str]:
        return [word.split("_", 1)[1] for word in self.words if word.startswith(f"{kind}_") and word != f"{kind}_{ANY}"]

    def prefix(self, composer: str | None = None, genre: str | None = None, programs: Sequence[int] | None = None, begins: bool = True) -> list[int]:
        """What stands in front of a piece; None: any. A name may be said in lower case.

        Raises:
            UserError: a composer, genre or program it does not know; the message lists those it does.
        """
        plays = [self._control("Plays", str(program)) for program in sorted(programs)] if programs else [self.tsd.vocab[f"Plays_{ANY}"]]
        return [self._control("Composer", composer), self._control("Genre", genre), *plays, self.tsd.vocab[BEGINS if begins else GOES_ON]]

    def knows(self, kind: str, name: str) -> bool:
        """Whether it has a word for a Composer or Genre of this name."""
        return self.spelling(kind, name) is not None

    def spelling(self, kind: str, name: str) -> str | None:
        """How it spells a name (see `metadata.name_key`), or None where it has no word for it."""
        return self._spellings[kind].get(name_key(word(name)))

    @cached_property
    def _spellings(self) -> dict[str, dict[str, str]]:
        return {kind: {name_key(name): name for name in self._named(kind)} for kind in ("Composer", "Genre", "Plays")}

    def _control(self, kind: str, name: str | None) -> int:
        known = ANY if name is None else self.spelling(kind, name)
        if known is None:
            what, names = {"Plays": "program"}.get(kind, kind.lower()), self._named(kind)
            near = nearest(name, names) if name is not None and kind != "Plays" else None  # numbers are not misspelt
            meant = f"; did you mean '{near}'" if near else ""
            raise UserError(f"{what} '{name}' is unknown to this model{meant}; known: {', '.join(names) or 'none'}")
        return self.tsd.vocab[f"{kind}_{known}"]

    def encode(self, piece: Piece) -> np.ndarray:
        """Ids of single words [S]; pitches beyond the range are left out, programs without a word are played by the nearest that has one.

        Notes that fall on one step of the grid are sorted by program and pitch, whichever came first by a millisecond: their order says nothing.
        """
        return self._encoded(as_score(self._snapped(self._playable(piece))))

    def _snapped(self, piece: Piece) -> Piece:
        notes, pedals = piece.notes.copy(), piece.pedals.copy()
        for part in (notes, pedals):
            start = np.round(part["start"] / self.tick_seconds)
            length = np.maximum(1, np.round((part["end"] - part["start"]) / self.tick_seconds))
            part["start"], part["end"] = start * self.tick_seconds, (start + length) * self.tick_seconds
        return Piece.of(notes, pedals)

    def encode_file(self, path: Path | str) -> np.ndarray:
        """Ids of single words of a MIDI file [S]. Raises UserError as `read_midi`, and where none of its notes has a word."""
        ids = self.encode(read_midi(path)) if self.clock == "seconds" else self._encoded(self._played(read_score(path)))
        if not self._notes_in(ids):
            raise UserError(f"{path}: none of its notes has a word in the model's vocabulary")
        return ids

    def says(self, piece: Piece) -> bool:
        """Whether a note of a piece has a word."""
        return self._notes_in(self.encode(piece))

    def _notes_in(self, ids: np.ndarray) -> bool:
        return bool(np.isin(self.kinds[ids], NOTES).any())

    def _played(self, score: Any) -> Any:
        """A score with the programs that there are words for, as `_playable` has it of a piece."""
        if not self.tsd.config.use_programs:
            return one_track(score)
        programs = [self.nearest_program(DRUMS if track.is_drum else track.program) for track in score.tracks]
        for track, program in zip(score.tracks, programs):
            track.program = max(0, program)
        score.tracks = [track for track, program in zip(score.tracks, programs) if program != NOBODY]
        return score

    def _encoded(self, score: Any) -> np.ndarray:
        encoded = self.tsd.encode(score, encode_ids=False)
        return np.array((encoded[0] if isinstance(encoded, list) else encoded).ids if encoded else [], np.int64)

    def _playable(self, piece: Piece) -> Piece:
        said = {program: self.said_as(program) for program in {*piece.programs, *map(int, piece.pedals["program"])}}
        notes, pedals = piece.notes.copy(), piece.pedals.copy()
        for part in (notes, pedals):
            part["program"] = [said[int(program)] for program in part["program"]]
        return Piece.of(notes[notes["program"] != NOBODY], pedals[pedals["program"] != NOBODY])

    def said_as(self, program: int) -> int:
        """The program whose words say a program's notes, or NOBODY; without words for programs, the piano's say all that have pitches."""
        if self.tsd.config.use_programs:
            return self.nearest_program(program)
        return NOBODY if program == DRUMS else 0

    def nearest_program(self, program: int) -> int:
        """The program itself if there is a word for it, else one of its family, else the first; drums are played by drums or by nobody."""
        if program in self.programs:
            return program
        pitched = [other for other in self.programs if other != DRUMS]
        if program == DRUMS or not pitched:
            return NOBODY
        return min(pitched, key=lambda other: (other // FAMILY != program // FAMILY, abs(other - program) if other // FAMILY == program // FAMILY else 0, other))

    def decode(self, ids: Sequence[int] | np.ndarray) -> Piece:
        """The piece that single words say; words that are no music are passed over, so is a note without its duration."""
        from miditok import TokSequence

        music = [int(i) for i in ids if self.kinds[i] not in NO_MUSIC]
        sequence = TokSequence(ids=music, are_ids_encoded=False)
        return from_score(self.tsd.decode(sequence if self.tsd.config.one_token_stream_for_programs else [sequence]))

    def quantised(self, piece: Piece) -> Piece:
        """What is left of a piece once encoded."""
        return self.decode(self.encode(piece))

    def learn(self, sequences: Iterable[np.ndarray], size: int) -> None:
        """Learn byte-pair encoding (Sennrich et al., 2016) of so many words from sequences of single ones."""
        texts = [self.tsd._ids_to_bytes(sequence.tolist(), as_one_str=True) for sequence in sequences]
        self.tsd.train(vocab_size=size, model="BPE", iterator=texts)

    @property
    def merges(self) -> bool:
        """Whether it has BPE."""
        return self.tsd.is_trained

    def merged(self, ids: np.ndarray) -> np.ndarray:
        """Ids after BPE."""
        from miditok import TokSequence

        if not self.merges or not len(ids):
            return ids
        sequence = TokSequence(ids=ids.tolist(), are_ids_encoded=False)
        self.tsd.encode_token_ids(sequence)
        return np.array(sequence.ids)

    def split(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Single words of ids after BPE."""
        from miditok import TokSequence

        if not self.merges:
            return np.asarray(ids)
        sequence = TokSequence(ids=[int(i) for i in ids], are_ids_encoded=True)
        self.tsd.decode_token_ids(sequence)
        return np.array(sequence.ids)

    def fingerprint(self) -> str:
        """What tells its words from another's."""
        saved = json.loads(json.dumps({"words": self.words, "model": json.loads(self.tsd._model.to_str()) if self.merges else None}))
        return hash_value(saved)
