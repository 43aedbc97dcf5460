"""MidiTok's TSD (Fradet et al., 2021), set up as params.yaml has it, with the words that stand in front of a piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ostinato.midi.notes import DRUM_PITCHES
from ostinato.params.midi import Tokens

#: A composer, genre or program that is not said.
ANY = "?"


def tsd(params: Tokens, programs: Iterable[int], composers: Iterable[str], genres: Iterable[str]) -> Any:
    """MidiTok's tokenizer for music of these programs, composers and genres."""
    from miditok import TSD, TokenizerConfig

    special = [
        "PAD",
        "EOS",
        "BOS",
        "MID",
        *dict.fromkeys(
            f"{kind}_{word(name)}" for kind, names in (("Composer", sorted(composers)), ("Genre", sorted(genres)), ("Plays", sorted(programs))) for name in (ANY, *names)
        ),
    ]
    beat_res, start = {}, 0
    for end, steps in params.resolution:
        beat_res[start, end] = steps
        start = end
    return TSD(
        TokenizerConfig(
            pitch_range=tuple(params.pitches),
            drums_pitch_range=DRUM_PITCHES,
            beat_res=beat_res,
            num_velocities=params.velocities,
            special_tokens=special,
            use_chords=params.chords,
            use_rests=params.rests,
            use_tempos=params.clock == "beats",
            num_tempos=16,
            tempo_range=(40, 250),
            use_time_signatures=params.time_signatures,
            use_sustain_pedals=params.pedal,
            use_programs=params.programs,
            programs=sorted(programs) if params.programs else list(range(-1, 128)),
            one_token_stream_for_programs=params.programs,
            program_changes=params.programs,
            delete_equal_successive_tempo_changes=True,
            ostinato_clock=params.clock,
        )
    )


def word(name: Any) -> str:
    """A name as MidiTok can hold it: `_` parts kinds from values."""
    return str(name).replace("_", "-")
