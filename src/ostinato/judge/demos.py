"""Generated clips, and what their sidecars say of them.

Clips come in sets (`which`): before and after fine-tuning, reference renderings by one player and another (`reference-2`), other trainings (`after-4`, by their seed), the
control that was trained on shuffled prompts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.files import UserError, read_json
from ostinato.harmony.prompts.prompt import PromptError, parse, require_chords
from ostinato.sidecars import sidecar_path

#: Sets of demos that a judgement needs; others may stand beside them.
NEEDED = ("before", "after", "reference")
WHICH = re.compile(r"before|after(-\d+)?|control|reference(-2)?")


@dataclass(frozen=True)
class Demo:
    """A generated clip and what is known of it; `tempo` in beats a minute and `seconds`, where they were asked for."""

    path: str
    which: str
    name: str
    prompt: str
    seed: int
    heldout: bool
    tempo: float | None = None
    seconds: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """The same before and after training."""
        return self.prompt, self.name, self.seed


def find_demos(folders: Sequence[Path]) -> list[Demo]:
    """All demos of the folders, ordered by set, name and seed."""
    demos = []
    for folder in folders:
        paths = sorted(folder.glob("*.wav")) if folder.is_dir() else []
        if not paths:
            raise UserError(f"{folder}: {'no *.wav in this folder' if folder.is_dir() else 'no such folder'}; expected demos")
        demos += [_read_demo(path) for path in paths]
    missing = [which for which in NEEDED if which not in {demo.which for demo in demos}]
    if missing:
        raise UserError(f"--demos {' '.join(map(str, folders))}: no clips of {', '.join(missing)}; expected each of {', '.join(NEEDED)}")
    return sorted(demos, key=lambda demo: (demo.which, demo.name, demo.seed))


def _read_demo(path: Path) -> Demo:
    sidecar = sidecar_path(path)
    record = read_json(sidecar)
    try:
        about = record["about"]
        demo = Demo(str(path), about["which"], about["demo"], about["prompt"], int(record["seed"]), bool(about["heldout"]), about.get("tempo"), about.get("seconds"))
    except (KeyError, TypeError) as error:
        raise UserError(f"{sidecar}: lacks a key ({error}); expected seed and about: which, demo, prompt, heldout") from None
    try:
        (require_chords if demo.heldout else parse)(demo.prompt)
    except PromptError as error:
        raise UserError(f"{sidecar}: about.prompt: {error}") from None
    if not WHICH.fullmatch(demo.which):
        raise UserError(f"{sidecar}: about.which is '{demo.which}'; expected before, after, after-<seed of training>, control, reference or reference-2")
    return demo
