"""How labels made by others are read: python benchmarks/labels.py FOLDER ...

Every .lab below the folders is read as a side file of a song that ends with it, and by mir_eval. Printed are the files read (and mir_eval reads), what cannot
be used, the share of time by what becomes of a label, and the labels that become X, unknown, with the share of time of each. `as mir_eval`: root, bass and,
where nothing is reduced, all notes are those that mir_eval reads; `same triad`: of what is reduced, the first three notes are.
Two public collections: github.com/tmc323/Chord-Annotations, and tests/data/chord of github.com/mir-evaluation/mir_eval.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path

import mir_eval
import numpy as np

from ostinato.corpus.labels import Label, chord_entries, labels_of
from ostinato.files import UserError
from ostinato.harmony.chords import QUALITIES, Chord


def labels(path: Path) -> tuple[list[Label], list[str]]:
    """The labels of a file as they are beside a song that ends with it, and what is wrong with lines. Raises UserError."""
    entries = chord_entries(path)
    return labels_of(entries, max((entry.end or entry.start or 0.0 for entry in entries), default=0.0))


def kind(label: Label) -> str:
    """What becomes of a label."""
    reading = label.reading
    if not reading.chord.is_chord:
        return {"N": "N", "X": "X, written so"}.get(reading.harte, "X, no triad" if reading.harte else "X, unreadable")
    return "reduced" if reading.reduced else "exact"


def agreement(written: str, chord: Chord, reduced: bool) -> dict[str, bool]:
    """Whether a chord is what mir_eval reads."""
    root, notes, bass = mir_eval.chord.encode(written, reduce_extended_chords=True)
    if not chord.is_chord or root < 0:
        return {}
    steps = np.isin(np.arange(12), [*QUALITIES[chord.quality], chord.bass])
    alike = (root, bass) == (chord.pitch_class, chord.bass)
    if not reduced:
        return {"as mir_eval": alike and bool((steps == notes.astype(bool)).all())}
    return {"as mir_eval": alike, "same triad": bool(notes[list(QUALITIES[chord.quality][:3])].all())}


def main(folders: list[str]) -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.lab"))
    seconds, unknown, checks = Counter(), Counter(), Counter()
    read, theirs, wrong = 0, 0, []
    for path in paths:
        intervals, names = mir_eval.io.load_labeled_intervals(str(path))
        theirs += bool(len(intervals))
        try:
            found, problems = labels(path)
        except UserError as error:
            wrong.append(f"{path}: {error}")
            continue
        read += not problems
        wrong += [f"{path}: {problem}" for problem in problems]
        for label in found:
            seconds[kind(label)] += label.end - label.start
            if kind(label).startswith("X"):
                unknown[label.reading.name.partition(":")[2] or label.reading.name] += label.end - label.start
            for name, right in agreement(label.reading.name, label.reading.chord, label.reading.reduced).items():
                checks[name, right] += 1
    print(f"{len(paths)} files: {read} read whole, {theirs} by mir_eval; {len(wrong)} problems", *wrong, sep="\n")
    total = sum(seconds.values())
    print(f"\n{total / 3600:.2f} h", *(f"{name:14} {100 * value / total:6.2f} %" for name, value in seconds.most_common()), sep="\n")
    print("\nlabels:", *(f"{name}: {checks[name, True]} of {checks[name, True] + checks[name, False]}" for name in ("as mir_eval", "same triad")))
    print("\nX, by what follows the root:", *(f"{name:14} {100 * value / total:7.3f} %" for name, value in unknown.most_common()), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:] or sys.exit(str(__doc__)))
