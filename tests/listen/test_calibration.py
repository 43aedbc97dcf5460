"""Confidence that is believed: what is heard is compared with the truth by duration, and errors are those of bins."""

import pytest

from ostinato.harmony.chords import Chord
from ostinato.listen.calibration import by_quality, expected_error, said

TRUTH = [(0.0, 2.0, Chord.parse("C:9")), (2.0, 4.0, Chord.parse("A:min")), (4.0, 5.0, Chord("N", "")), (5.0, 6.0, Chord("X", ""))]


def test_what_is_right_half_of_the_time_should_be_said_with_half_confidence():
    heard = [(0.0, 4.0, Chord.parse("C:7/3")), (4.0, 6.0, Chord("N", ""))]
    rows = said(TRUTH, heard, [0.5, 0.9])
    assert [(row.quality, row.seconds, row.right) for row in rows] == [("7", 4.0, 2.0), ("N", 1.0, 1.0)]
    assert expected_error(rows) == pytest.approx(0.1 / 5) and expected_error([]) == 0
    assert by_quality(rows)["7"] == {"seconds": 4, "right": 50.0, "confidence": 50.0, "error": 0.0}
