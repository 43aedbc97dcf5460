"""`ostinato card`: evaluate the ears and write their card."""

from __future__ import annotations

import argparse
from pathlib import Path

from ostinato.ears.labels import EARS
from ostinato.files import read_json, write_json, write_text
from ostinato.listen import beat_scores, card
from ostinato.params import Listen, section
from ostinato.params.ears import Ears
from ostinato.sidecars import write_sidecar


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--params", default="params.yaml", help="parameter file, or the section `ears` as JSON")
    parser.add_argument("--listen", default="params.yaml", help="parameter file, or the section `listen` as JSON")
    parser.add_argument("--ears", type=Path, required=True, help="folder of the ears' weights and summaries")
    parser.add_argument("--out", type=Path, required=True, help="the card to write (.md)")
    parser.add_argument("--scores", type=Path, required=True, help="the scores to write (.json)")


def run(args: argparse.Namespace) -> None:
    """Hear all test clips with all ears and write scores and card."""
    params: Ears = section("ears", args.params)
    listen: Listen = section("listen", args.listen).model_copy(update={"ears": str(args.ears)})
    scores = card.evaluate(params.evaluation, listen) | {"beats": beat_scores.evaluate(params.beats.drills, params.evaluation.soundfonts[0], listen)}
    write_json(args.scores, scores)
    trained = {ear: read_json(args.ears / ear / "summary.json") for ear in EARS}
    write_text(args.out, card.text(scores, params, trained))
    write_sidecar(args.out, "card", [args.ears / f"{ear}.safetensors" for ear in trained], params.model_dump(), params.evaluation.seed, beside=[args.scores])
    print(f"{args.out}: majmin {scores['labeller']['majmin']:.1f} (labeller), {scores['judge']['majmin']:.1f} (judge)")
