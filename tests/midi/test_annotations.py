"""Beats beside MIDI files: those of ASAP, of POP909, of anybody, and those that files count themselves; excerpts of them for training."""

import numpy as np
import pytest

from ostinato.files import UserError
from ostinato.midi.annotations import annotated, problem
from ostinato.midi.notes import Piece, write_midi
from ostinato.midi.performances import Performances, is_held_out

BEATS = 0.5 + np.arange(48) * 0.5


def piece() -> Piece:
    return Piece.of([(time, time + 0.4, 60 + number % 5, 80, 0) for number, time in enumerate(np.arange(0.5, 24.5, 0.25))])


@pytest.fixture
def folder(tmp_path):
    """A piece of each kind, and two that cannot be used."""
    for name in ("asap/Bach/Fugue/Shi", "pop909/001/001", "mine/a", "mine/nothing beside it", "mine/few"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_midi(tmp_path / f"{name}.mid", piece())
    labels = ["db,6/8,-2" if k == 0 else "db" if k % 2 == 0 else "bR" if k == 7 else "b" for k in range(48)]
    (tmp_path / "asap/Bach/Fugue/Shi_annotations.txt").write_text("".join(f"{time}\t{time}\t{label}\n" for time, label in zip(BEATS, labels)))
    (tmp_path / "pop909/001/beat_midi.txt").write_text("".join(f"{time} {float(k % 2 == 1)} {float(k % 4 == 1)}\n" for k, time in enumerate(BEATS)))
    (tmp_path / "mine/a.beats").write_text("".join(f"{time} {k % 3 + 1}\n" for k, time in enumerate(BEATS)))
    (tmp_path / "mine/few.beats").write_text("0.5 1\n1.0 2\n")
    return tmp_path


def test_each_kind_is_read(folder):
    found = {piece.path.stem: piece for piece in annotated(folder)}
    assert {piece.collection for piece in found.values()} == {"asap", "pop909", "mine"}
    grids = {name: found[name].read()[1] for name in ("Shi", "001", "a")}
    assert all(np.allclose(grid.times, BEATS) for grid in grids.values())
    assert grids["Shi"].positions[:4].tolist() == [1, 2, 1, 2] and (grids["Shi"].divisions == 3).all() and grids["Shi"].bars[0] == 2
    assert grids["001"].positions[:6].tolist() == [4, 1, 2, 3, 4, 1] and grids["001"].bars[0] == 4  # an upbeat
    assert grids["a"].positions[:4].tolist() == [1, 2, 3, 1] and (grids["a"].divisions == 0).all()


def test_what_cannot_be_used_is_told(folder):
    found = {piece.path.stem: problem(piece) for piece in annotated(folder)}
    assert "names no metre" in found["nothing beside it"] and "2 beats; expected 16" in found["few"]
    assert not found["Shi"] and not found["001"] and not found["a"]
    with pytest.raises(UserError, match="no MIDI file"):
        annotated(folder / "nowhere")


def test_the_file_s_own_beats_follow_its_tempos_and_metres(tmp_path):
    from symusic import Note, Score, Tempo, TimeSignature, Track

    score = Score(480)
    score.tempos.extend([Tempo(0, qpm=120), Tempo(480 * 8, qpm=60)])
    score.time_signatures.extend([TimeSignature(0, 4, 4), TimeSignature(480 * 8, 6, 8)])
    track = Track("", 0, False)
    track.notes.extend([Note(480 * k, 400, 60, 80) for k in range(40)])
    score.tracks.append(track)
    score.dump_midi(tmp_path / "x.mid")
    grid = annotated(tmp_path)[0].read()[1]
    assert grid.times[:9].tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]) and np.diff(grid.times[8:]) == pytest.approx(1.5)
    assert grid.positions[:10].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2] and grid.divisions[[0, 8]].tolist() == [2, 3]


def test_excerpts_have_their_beats_where_the_notes_are(folder):
    pieces = [piece for piece in annotated(folder) if not problem(piece)]
    drawn = Performances.of(pieces)
    for seed in range(12):
        parts, grid = drawn.draw(np.random.default_rng(seed), 8.0)
        starts = np.array([note[0] for part in parts if not part.drums for note in part.notes])
        assert len(grid.times) and grid.times.max() < 12 and starts.min() >= 0
        assert max(np.abs(starts - time).min() for time in grid.times[grid.times < starts.max()]) < 1e-6  # a note is struck on every beat
    again = drawn.draw(np.random.default_rng(0), 8.0)
    assert again[0] == drawn.draw(np.random.default_rng(0), 8.0)[0]


def test_compositions_are_held_out_whole_and_a_smaller_share_lies_in_a_larger(folder):
    pieces = annotated(folder)
    for share in (0.0, 0.3, 0.6, 1.0):
        held = {piece.path for piece in pieces if is_held_out(piece, share)}
        assert {piece.path for piece in pieces if is_held_out(piece, share / 2)} <= held
    assert not any(is_held_out(piece, 0.0) for piece in pieces) and all(is_held_out(piece, 1.0) for piece in pieces)
