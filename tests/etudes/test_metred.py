"""Music for the ear for beats: bars are as long as they say, beats rise, and what plays is struck where the metre is strong."""

import numpy as np
import pytest

from ostinato.etudes import metred
from ostinato.harmony.metres import BeatGrid, Metre

CLIPS = [metred.compose(np.random.default_rng(seed), 30.0) for seed in range(80)]


def test_beats_rise_within_the_clip_and_bars_are_whole():
    lengths = set()
    for parts, grid in CLIPS:
        assert (np.diff(grid.times) > 0).all() and grid.times[0] >= 0 and grid.times[-1] < 30
        starts = np.flatnonzero(grid.positions == 1)
        assert (grid.bars[starts[:-1]] == np.diff(starts)).all() and (grid.positions <= np.maximum(grid.bars, grid.positions * (grid.bars == 0))).all()
        assert any(part.notes for part in parts) and all(note[0] >= 0 for part in parts for note in part.notes)
        lengths |= set(grid.bars[grid.bars > 0].tolist())
    assert lengths >= {2, 3, 4, 5, 6, 7}


def test_tempi_are_what_people_play_and_some_clips_are_free():
    periods = [60 / np.median(np.diff(grid.times)) for _, grid in CLIPS]
    assert min(periods) < 70 and max(periods) > 170 and 85 < np.median(periods) < 130
    wander = [np.std(np.diff(np.log(np.diff(grid.times)))) for _, grid in CLIPS if len(grid.times) > 8]
    assert min(wander) < 1e-6 and max(wander) > 0.05


@pytest.mark.parametrize(("metre", "parts"), [(Metre(4), 16), (Metre(3), 12), (Metre(2, 3), 12), (Metre(7), 28)])
def test_a_bar_is_strongest_where_it_begins(metre, parts):
    values = metred.strengths(metre, np.random.default_rng(0))
    assert len(values) == parts and values.argmax() == 0 and (values[:: 2 * metre.division] >= metred.BEAT).all() and (np.delete(values, 0) < 1).all()


def test_strokes_are_more_on_beats_than_between():
    near = [np.abs(grid.times[:, None] - note[0]).min() < 0.03 for parts, grid in CLIPS for part in parts for note in part.notes if note[0] < grid.times[-1]]
    assert 0.35 < np.mean(near) < 0.95


def test_an_upbeat_counts_back_from_the_first_bar():
    grid = BeatGrid.of(np.arange(9.0), np.array([False, True, False, False, True, False, False, True, False]), np.full(9, 2))
    assert grid.positions.tolist() == [3, 1, 2, 3, 1, 2, 3, 1, 2] and grid.bars.tolist() == [3, 3, 3, 3, 3, 3, 3, 0, 0]
