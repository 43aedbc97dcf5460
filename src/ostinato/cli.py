"""`ostinato COMMAND ...`: the Snakemake rules call these commands, and so can you.

A command is a module of `ostinato.commands` with `arguments(parser)`, which declares its options, and `run(args)`, which reads files, calls a room and writes
files. Only the module of the command asked for is imported, so that help and dry runs never load torch.
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
from ostinato.escapes import shown
from ostinato.files import UserError, refuse_full_disk
from ostinato.sources import command_module

#: What each command does. The module of a command has its name, below ostinato.commands.
COMMANDS = {
    "etudes": "render the embedded corpus",
    "list": "say which recordings each shard is made from",
    "check": "probe and decode the recordings of a shard; set aside what cannot be used",
    "songs": "bring the tables of all shards together: which songs are there twice, and what was set aside",
    "hear": "listen to recordings; print, save and draw what is heard",
    "listen": "hear beats, chords, key and sections; save them as JAMS",
    "segments": "cut songs where harmony and form break; describe each segment",
    "manifests": "write audiocraft's manifests",
    "drills": "render the music that ears are trained on",
    "ear": "train an ear through submitit",
    "card": "evaluate the ears and write their card",
    "codec": "fit or fetch the codec",
    "codes": "encode every segment once",
    "gather": "make one table of the codes of all shards, which training reads",
    "plan": "say what a training run needs of a GPU's memory",
    "train": "train a language model through submitit",
    "best": "take the run of a sweep that is best on validation",
    "draw-prompts": "draw a set of prompts to be frozen: for choosing, or for reporting",
    "demos": "generate the demos of one model",
    "reference": "play the demo prompts truly and pass them through the codec",
    "scores-to-midi": "convert scores of the music21 wheel to MIDI",
    "list-midi": "say which MIDI files each shard is made from",
    "check-midi": "read the MIDI files of a shard and turn them into words; set aside what cannot be used",
    "pieces": "bring the MIDI files of all shards together, set aside what is there twice, split by composition",
    "tokenizer": "make the model's vocabulary of the training set, and one index of the words of all shards",
    "melody": "write a melody that comes with Ostinato as MIDI",
    "midi-train": "train the MIDI GPT through submitit",
    "compose": "compose: from nothing, on from a file, into a gap, around a melody",
    "compositions": "compose what the page shows",
    "bits-per-note": "measure how well a model predicts a folder of MIDI",
    "judge-midi": "measure compositions and the model on held-out pieces",
    "judge": "measure how well demos obey their prompts",
    "judge-clips": "measure how well any model's clips obey their prompts",
    "scores": "print the table of scores",
    "track": "import runs, scores and demos into MLflow",
    "watch": "bring training runs into MLflow while they train",
    "doctor": "check a Slurm site before a long run",
    "cost": "count what a run cost, job by job",
    "report": "write the page",
    "verify": "say which artifacts are not what their sidecars say, and how to make them anew",
    "lineage": "walk an artifact back to the raw files",
    "generate": "generate one clip from a prompt",
    "export": "write a model for stock audiocraft or for transformers",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors a user can mend are one line on stderr and exit status 2."""
    argv = sys.argv[1:] if argv is None else argv
    _print_any_name()
    parser = argparse.ArgumentParser(prog="ostinato", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command_parser = commands.add_parser(name, help=text, description=text)
        if argv and argv[0] == name:
            command = importlib.import_module(command_module(name))
            command.arguments(command_parser)
    args = parser.parse_args(argv)
    logging.basicConfig(level=os.environ.get("OSTINATO_LOG", "INFO"), format="%(levelname)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLine(handler.formatter._fmt if handler.formatter else None))
    try:
        _run(command, args)
    except UserError as error:
        lines = error.args if type(error) is UserError else [error]
        print(f"ostinato {args.command}: " + "\n".join(map(shown, lines)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ostinato {args.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(command: Any, args: argparse.Namespace) -> None:
    """Run a command; what the system refuses is an error that a user can mend."""
    try:
        command.run(args)
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

    def formatMessage(self, record: logging.LogRecord) -> str:
        return shown(super().formatMessage(record))


def _print_any_name() -> None:
    """Names of files need not be UTF-8, nor a terminal's encoding hold all that is: what cannot be printed is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
