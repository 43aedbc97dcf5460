"""How well beats, downbeats and metre are heard, on music that the ear was not trained on.

The music: of pieces whose beats are written down, the compositions that training leaves out, and of these the half by whose other half constants were chosen; clips composed
in every metre with another seed. Scores are mir_eval's (Raffel et al., ISMIR 2014), percent, the first five seconds left out as is its custom: F at 70 ms, CMLt and AMLt
(Hainsworth, 2004; Klapuri et al., 2006), of beats and of downbeats; `metre`: whether the commonest bar is heard as long as it is.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np

from ostinato.etudes import metred
from ostinato.etudes.rendering import SAMPLE_RATE, Player, soundfont
from ostinato.files import UserError
from ostinato.harmony.metres import BeatGrid
from ostinato.listen.hear import hear
from ostinato.midi.annotations import Annotated, annotated
from ostinato.midi.performances import is_held_out
from ostinato.midi.rendering import parts_of, pedalled
from ostinato.params import Listen
from ostinato.params.ears import BeatDrills

COLUMNS = ("beat F", "CMLt", "AMLt", "downbeat F", "downbeat CMLt", "downbeat AMLt", "metre")
#: Pieces of each set at most, and how much of each is heard, s, for the card.
PIECES, SECONDS = 40, 90.0
#: Seed and length (s) of the composed clips.
COMPOSED_SEED, COMPOSED_SECONDS = 77, 30.0


@dataclass(frozen=True)
class Piece:
    """Mono sound at SAMPLE_RATE, and its beats."""

    name: str
    sound: np.ndarray
    grid: BeatGrid


def evaluate(params: BeatDrills, font: str | None, listen: Listen) -> dict[str, dict[str, float]]:
    """The scores of each set, rendered with a SoundFont: means, and the number of pieces."""
    player = Player(soundfont(font))
    sets = {"composed": composed(PIECES, player)} | (held_out(params, player, PIECES, SECONDS) if params.folder else {})
    found = {}
    for name, pieces in sets.items():
        heard = [hear(piece.sound, SAMPLE_RATE, listen) for piece in pieces]
        rows = [scores(piece.grid, one.beats, one.positions) for piece, one in zip(pieces, heard)]
        found[name] = mean(rows) | {"pieces": len(rows)}
    return found


def held_out(params: BeatDrills, player: Player, count: int, seconds: float, choose: bool = False) -> dict[str, list[Piece]]:
    """The beginnings, so many s, of at most `count` held-out compositions of each collection below the folder, one performance of each; `choose`: of the other half."""
    found: dict[str, dict[str, list[Annotated]]] = defaultdict(lambda: defaultdict(list))
    for piece in annotated(Path(params.folder or "")):
        if is_held_out(piece, params.held_out) and is_held_out(piece, params.held_out / 2) != choose and "score" not in piece.path.name:
            found[piece.collection][piece.about.composition].append(piece)
    sets = {}
    for collection, compositions in found.items():
        chosen = [versions[len(versions) // 2] for _, versions in sorted(compositions.items())]
        chosen = chosen[:: max(1, len(chosen) // count)][:count]
        sets[collection] = [sound for one in chosen if (sound := rendered(one, player, seconds))]
    return sets


def rendered(annotation: Annotated, player: Player, seconds: float) -> Piece | None:
    """The beginning of a piece, on the programs that its file names; None for one that cannot be read."""
    try:
        piece, grid = annotation.read()
    except UserError:
        return None
    piece = pedalled(piece.between(0, seconds))
    length = min(seconds, piece.seconds + 1)
    return Piece(f"{annotation.path.parent.name}-{annotation.path.stem}", player.play(parts_of(piece), length), grid.between(0, length))


def composed(count: int, player: Player) -> list[Piece]:
    """Clips in drawn metres and tempi."""
    found = []
    for number in range(count):
        parts, grid = metred.compose(np.random.default_rng([COMPOSED_SEED, number]), COMPOSED_SECONDS)
        found.append(Piece(f"composed-{number}", player.play(parts, COMPOSED_SECONDS), grid))
    return found


def scores(grid: BeatGrid, times: np.ndarray, places: np.ndarray) -> dict[str, float]:
    """All columns of one piece that can be compared, percent: beats heard (s) with their places in the bar (0: not said) against the truth."""
    row = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few beats, or none
        for name, truth, found in (("", grid.times, times), ("downbeat ", grid.downbeats, times[places == 1])):
            truth, found = mir_eval.beat.trim_beats(truth), mir_eval.beat.trim_beats(found)
            _, correct, _, any_level = mir_eval.beat.continuity(truth, found) if min(len(truth), len(found)) > 1 else (0.0, 0.0, 0.0, 0.0)
            row[f"{name}F" if name else "beat F"] = 100 * mir_eval.beat.f_measure(truth, found)
            row |= {f"{name}CMLt": 100 * correct, f"{name}AMLt": 100 * any_level}
    starts, known = np.flatnonzero(places == 1), grid.bars[grid.bars > 0]
    if len(known):
        row["metre"] = 100.0 * (len(starts) > 1 and np.bincount(np.diff(starts)).argmax() == np.bincount(known).argmax())
    return row


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each column over the pieces that have it."""
    return {column: round(float(np.mean([row[column] for row in rows if column in row])), 1) for column in COLUMNS}
