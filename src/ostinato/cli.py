"""`ostinato STAGE ...`: one subcommand per stage; the Snakemake rules call these, and so can you.

A stage is a module with `arguments(parser)`, which declares its options, and `run(args)`, which does the work. Only the module of the
stage asked for is imported, so that help and dry runs never load torch.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from typing import Any

from ostinato import __version__
from ostinato.files import UserError, refuse_full_disk, shown

STAGES: dict[str, tuple[str, str]] = {
    "etudes": ("ostinato.corpus.etudes", "render the embedded corpus"),
    "check": ("ostinato.corpus.check", "probe and decode every recording; set aside what cannot be used"),
    "hear": ("ostinato.listen.hear_stage", "listen to recordings; print, save and draw what is heard"),
    "listen": ("ostinato.listen.stage", "hear beats, chords, key and sections; save them as JAMS"),
    "segments": ("ostinato.dataset.segments", "cut songs where harmony and form break; describe each segment"),
    "manifests": ("ostinato.dataset.manifests", "write audiocraft's manifests"),
    "drills": ("ostinato.ears.drills", "render the music that ears are trained on"),
    "ear": ("ostinato.ears.stage", "train an ear through submitit"),
    "card": ("ostinato.ears.card", "evaluate the ears and write their card"),
    "codec": ("ostinato.lm.codec_stage", "fit or fetch the codec"),
    "codes": ("ostinato.dataset.codes", "encode every segment once"),
    "plan": ("ostinato.train.plan", "say what a training run needs of a GPU's memory"),
    "train": ("ostinato.train.stage", "train a language model through submitit"),
    "best": ("ostinato.train.best", "take the run of a sweep that is best on validation"),
    "demos": ("ostinato.lm.demos", "generate the demos of one model"),
    "ceiling": ("ostinato.corpus.ceiling", "render the demo prompts truly and pass them through the codec"),
    "scores-to-midi": ("ostinato.corpus.scores", "convert scores of the music21 wheel to MIDI"),
    "pieces": ("ostinato.corpus.pieces", "read every MIDI file, set aside what cannot be used, split by composition"),
    "melody": ("ostinato.corpus.melodies", "write a melody that comes with Ostinato as MIDI"),
    "tokens": ("ostinato.dataset.tokens_stage", "turn pieces into words"),
    "midi-train": ("ostinato.train.midi_stage", "train the MIDI GPT through submitit"),
    "compose": ("ostinato.lm.compose_cli", "compose: from nothing, on from a file, into a gap, around a melody"),
    "compositions": ("ostinato.lm.compositions", "compose what the page shows"),
    "bits-per-note": ("ostinato.judge.bits_stage", "measure how well a model predicts a folder of MIDI"),
    "judge-midi": ("ostinato.judge.midi_stage", "measure compositions and the model on held-out pieces"),
    "judge": ("ostinato.judge.stage", "measure how well demos obey their prompts"),
    "scores": ("ostinato.judge.table", "print the table of scores"),
    "track": ("ostinato.report.track", "import runs, scores and demos into MLflow"),
    "watch": ("ostinato.report.watch", "bring training runs into MLflow while they train"),
    "doctor": ("ostinato.cluster.doctor", "check a Slurm site before a long run"),
    "cost": ("ostinato.report.cost", "count what a run cost, job by job"),
    "report": ("ostinato.report.page", "write the page"),
    "verify": ("ostinato.report.verify", "say which artifacts are not what their sidecars say, and how to make them anew"),
    "lineage": ("ostinato.report.lineage", "walk an artifact back to the raw files"),
    "generate": ("ostinato.lm.generate", "generate one clip from a prompt"),
    "export": ("ostinato.lm.export", "write a model for stock audiocraft or for transformers"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one stage; errors a user can mend are one line on stderr and exit status 2."""
    argv = sys.argv[1:] if argv is None else argv
    _print_any_name()
    parser = argparse.ArgumentParser(prog="ostinato", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    stages = parser.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for name, (_, text) in STAGES.items():
        stage_parser = stages.add_parser(name, help=text, description=text)
        if argv and argv[0] == name:
            stage = importlib.import_module(STAGES[name][0])
            stage.arguments(stage_parser)
    args = parser.parse_args(argv)
    logging.basicConfig(level=os.environ.get("OSTINATO_LOG", "INFO"), format="%(levelname)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLine(handler.formatter._fmt if handler.formatter else None))
    try:
        _run(stage, args)
    except UserError as error:
        lines = error.args if type(error) is UserError else [error]
        print(f"ostinato {args.stage}: " + "\n".join(map(shown, lines)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ostinato {args.stage}: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(stage: Any, args: argparse.Namespace) -> None:
    """Run a stage; what the system refuses is an error that a user can mend."""
    try:
        stage.run(args)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        refuse_full_disk(error)
        if error.errno is None:
            raise
        raise UserError(f"{error.filename or 'system'}: {error.strerror}") from error


class OneLine(logging.Formatter):
    """Messages of one line, whatever names of files are in them; a traceback stands below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return shown(super().formatMessage(record))


def _print_any_name() -> None:
    """Names of files need not be UTF-8, nor a terminal's encoding hold all that is: what cannot be printed is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
