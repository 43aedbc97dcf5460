"""The MIDI track on the page: its scores (`midi_scores`), its compositions to hear and see, its training.

Shares in judgements.json are 0-1 and shown as percent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from ostinato.files import UserError, read_json
from ostinato.params import Report
from ostinato.provenance import lineage
from ostinato.provenance.summary import origin
from ostinato.report import figures, players, rolls
from ostinato.report.midi_scores import METRICS, content_of
from ostinato.tables import read_table


@dataclass(frozen=True)
class MidiSources:
    """What the section is made from: scores.json and judgements.json, the folder of compositions (<demo>.wav beside <demo>.mid), folders of models with events.jsonl."""

    scores: Path
    judgements: Path
    demos: Path
    models: Sequence[Path]

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [self.scores, self.judgements, self.demos, *self.models]


class Kind(NamedTuple):
    """A kind of composition: the group's heading and explanation, the title of one, and what was given for it."""

    heading: str
    text: str
    title: str
    given: str


KINDS = {
    "style": Kind("Style transfer", "A melody is given and kept note for note; the model composes what sounds with it.", "{melody} {style}", "the melody"),
    "sample": Kind("From nothing", "The model is told a composer, and nothing else.", "A piece {style}", "nothing"),
    "continuation": Kind("Continuation", "The beginning of a held-out piece is given.", "{piece}, continued {style}", "the beginning"),
    "infilling": Kind("Infilling", "A held-out piece is given but for a gap.", "{piece}, a gap filled {style}", "both sides of the gap"),
}


def content(params: Report, sources: MidiSources, walker: lineage.Walker) -> dict[str, Any]:
    """Everything the section shows."""
    scores = read_json(sources.scores)
    if not isinstance(scores, Mapping):
        raise UserError(f"{sources.scores}: expected an object, as `ostinato judge-midi` writes it, got {type(scores).__name__}")
    return content_of(scores) | {
        "notices": [*notices(scores), *silent(sources.demos)],
        "groups": groups(params, sources, walker),
        "runs": figures.training(sources.models),
    }


def notices(scores: Mapping[str, Any]) -> Iterator[str]:
    """What was copied and whether melodies are kept, in sentences."""
    copy, recall = scores.get("longest_copy") or {}, figures.estimate(scores.get("melody_recall"))
    if figures.number(copy.get("notes")) is not None:
        source = f", from {copy['from']}" if copy.get("from") else ""
        place = f"in {copy.get('demo', 'one of them')}{source}"
        yield f"The longest run of notes copied from the training set, of all compositions: {copy['notes']} notes ({place})."
    if recall["value"] is not None:
        yield f"Melody recall of style transfer: {100 * recall['value']:.0f} % of the melody's notes are in the composition (n = {recall['n'] or 0:.0f})."


def silent(demos: Path) -> Iterator[str]:
    """Which compositions are missing, and why: the model wrote no note, or the held-out piece that they need cannot be used."""
    path = demos / "set_aside.tsv"
    rows = read_table(path, {"path", "reason", "detail"}) if path.exists() else []
    names = [row["path"] for row in rows if row["reason"] == "no_note"]
    if names:
        yield f"The model wrote no note for {len(names)} of the compositions asked for: {', '.join(names)}."
    yield from (f"{row['path']} could not be made: {row['detail']}." for row in rows if row["reason"] != "no_note")


def groups(params: Report, sources: MidiSources, walker: lineage.Walker) -> list[dict[str, Any]]:
    """The compositions by kind, the first seeds of each title: [{"kind", "heading", "text", "players"}]."""
    takes: dict[str, dict[str, list[dict[str, Any]]]] = {kind: {} for kind in KINDS}
    entries = _entries(sources.judgements)
    palette = rolls.colours(note[rolls.PROGRAM] for entry in entries for note in entry["roll"])
    for entry in sorted(entries, key=lambda entry: (entry.get("composer") or "", entry.get("seed") or 0, entry["demo"])):
        record = walker.walk(entry["path"]).record
        takes[entry["kind"]].setdefault(_title(entry, record), []).append(entry)
    return [
        {
            "kind": kind,
            "heading": KINDS[kind].heading,
            "text": KINDS[kind].text,
            "players": [_player(title, entry, len(mine), sources, palette, walker) for title, mine in titles.items() for entry in mine[: params.players_per_prompt]],
        }
        for kind, titles in takes.items()
        if titles
    ]


def _entries(path: Path) -> list[dict[str, Any]]:
    judgements = read_json(path)
    entries = judgements.get("demos") if isinstance(judgements, Mapping) else None
    if not isinstance(entries, list):
        raise UserError(f"{path}: expected an object with `demos`, a list, as `ostinato judge-midi` writes it")
    for number, entry in enumerate(entries):
        missing = [key for key in ("demo", "kind", "path", "roll") if not isinstance(entry, Mapping) or key not in entry]
        if missing:
            raise UserError(f"{path}: demo {number}: lacks {', '.join(missing)}")
        if entry["kind"] not in KINDS:
            raise UserError(f"{path}: demo {number}: kind is '{entry['kind']}'; expected one of {', '.join(KINDS)}")
    return entries


def _title(entry: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """`Happy Birthday in the style of Bach`, and whose model it is where that is not the composer's own."""
    about, params = record.get("about") or {}, record.get("params") or {}
    composer, model = entry.get("composer"), Path(about.get("model") or "").name
    melody = Path(params.get("melody") or about.get("melody") or "A melody").stem.replace("_", " ").title()
    style = f"in the style of {composer}" if composer else "in any style"
    title = KINDS[entry["kind"]].title.format(melody=melody, piece=about.get("piece") or "A piece", style=style)
    return title if model.lower() in ("", (composer or "").lower()) else f"{title}, {model} model"


def _player(title: str, entry: Mapping[str, Any], takes: int, sources: MidiSources, palette: Mapping[int, str], walker: lineage.Walker) -> dict[str, Any]:
    """Everything the page draws for one composition."""
    path = players.find(Path(entry["path"]).with_suffix(".wav"), [sources.demos], sources.judgements)
    seconds = soundfile.info(os.fsencode(path)).duration or 1.0
    roll, seed = rolls.roll(entry["roll"], seconds, palette, KINDS[entry["kind"]].given), entry.get("seed")
    words = [f"{seconds:.0f} s", "" if seed is None else f"seed {seed}" + (f" (of {takes})" if takes > 1 else "")]
    return {
        "title": title,
        "idle": " · ".join(word for word in words if word),
        "duration": seconds,
        "audio": players.audio_uri(path),
        "roll": roll,
        "spoken": roll["spoken"],
        "score": _score(entry),
        "measures": _measures(entry),
    } | origin(path, walker)


def _score(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """The number beside the title: what was kept of a melody, else what was copied."""
    metrics = entry.get("metrics") or {}
    recall, copied = figures.number(metrics.get("melody_recall")), figures.number(metrics.get("copied_notes"))
    if recall is not None:
        return {"value": f"{100 * recall:.0f}", "unit": "%", "text": "melody kept"}
    return None if copied is None else {"value": f"{copied:.0f}", "unit": "", "text": "notes copied"}


def _measures(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics as the player lists them, and where the copied notes are from."""
    values = {key: figures.number(value) for key, value in (entry.get("metrics") or {}).items() if key in METRICS}
    rows = [
        {"name": metric.name, "text": metric.text, "value": None if (value := values[key]) is None else metric.form % (metric.factor * value)}
        for key, metric in METRICS.items()
        if key in values
    ]
    return rows + ([{"name": "Copied from", "text": "a piece of the training set", "value": entry["copied_from"]}] if entry.get("copied_from") else [])
