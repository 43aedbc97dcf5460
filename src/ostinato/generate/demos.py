"""Generate the demos of one model: every prompt with every seed, each clip with a side file that says how to make it again.

All prompts of one seed are one batch, so that the models before and after training draw from the same random state.
"""

from __future__ import annotations

import logging
import re

log = logging.getLogger(__name__)


def slug(number: int, prompt: str) -> str:
    """A file name for a prompt: `03-guitar-amaj-followed-by`."""
    words = re.sub(r"[^a-z0-9#]+", "-", prompt.lower()).replace("#", "s").strip("-")
    return f"{number:02d}-{words[:40].strip('-')}"
