"""Files around a composition: melodies and pieces that are read for it, MIDI and sound that are written of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.files import UserError, atomic
from ostinato.midi.reading import one

if TYPE_CHECKING:
    from ostinato.compose.compose import Composition
    from ostinato.midi.notes import Piece

SAMPLING = {"temperature": 0.95, "top_k": 0, "top_p": 0.97, "guidance": 1.5}


def refuse_strangers(folder: Path, request: Any) -> None:
    """Refuse a composer, genre or program that the model in a folder has no word for, before its weights are loaded. Raises UserError."""
    from ostinato.lm.midi_model import TOKENIZER_FILE
    from ostinato.midi.tokens import Tokenizer

    if (request.composer or request.genre or request.programs) and (folder / TOKENIZER_FILE).is_file():
        request.prefix(Tokenizer.load(folder / TOKENIZER_FILE), True)


def read_said(path: Path, tokenizer: Any) -> Piece:
    """A MIDI file. Raises UserError where it cannot be read, or none of its notes has a word."""
    from ostinato.midi.notes import read_midi

    piece = one(read_midi, path)
    if not tokenizer.says(piece):
        raise UserError(f"{path}: none of its notes has a word in the model's vocabulary")
    return piece


def named(melody: str) -> bool:
    """Whether a melody is said by name, not as a file."""
    from ostinato.midi.melodies import MELODIES

    return melody in MELODIES and not Path(melody).exists()


def read_melody(source: str) -> tuple[Piece, str | None]:
    """A melody of one voice, from a MIDI file or by name, and what was done to it, where something was."""
    from ostinato.compose.melody import skyline
    from ostinato.midi.notes import read_midi

    if not named(source) and not Path(source).exists():
        from ostinato.midi.melodies import MELODIES

        raise UserError(f"--melody {source}: no such file, and no melody of that name; known: {', '.join(MELODIES)}")
    if named(source):
        from ostinato.midi.melodies import melody

        piece = melody(source)
    else:
        piece = one(read_midi, source)
    try:
        top, left_out, shortened = skyline(piece)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    changes = ((left_out, "left out that lie under others"), (shortened, "shortened"))
    done = [f"{number} of {len(piece.notes)} notes {what}" for number, what in changes if number]
    return top, f"the melody is the top line of {source}: {', '.join(done)}" if done else None


def write_composition(path: Path, composition: Composition) -> None:
    """Write a composition as a MIDI file; a melody is a track of its own, the first."""
    from ostinato.midi.notes import Piece, as_score

    piece = composition.piece
    if composition.melody is None:
        score = as_score(piece)
    else:
        sung = {note.item() for note in composition.melody.notes}
        rest = piece.notes[[note.item() not in sung for note in piece.notes]]
        score = as_score(composition.melody, dict.fromkeys(composition.melody.programs, "melody"))
        score.tracks.extend(as_score(Piece(rest, piece.pedals)).tracks)
    with atomic(path) as temporary:
        score.dump_midi(temporary)


def write_wav(path: Path, piece: Piece, font: str | None = None) -> Path:
    """Write how a piece sounds beside its MIDI file."""
    import soundfile

    from ostinato.etudes.rendering import SAMPLE_RATE, soundfont
    from ostinato.midi.rendering import render_piece

    audio = render_piece(piece, soundfont(font))
    with atomic(path.with_suffix(".wav")) as temporary:
        soundfile.write(os.fsencode(temporary), audio, SAMPLE_RATE, subtype="PCM_16")
    return path.with_suffix(".wav")
