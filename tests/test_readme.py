"""README.md and the page promise commands; these are the ones there are."""

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from ostinato.cli import COMMANDS, main
from ostinato.params import load
from ostinato.report.page import TO_REBUILD
from project import ROOT

README = (ROOT / "README.md").read_text()
PROMISED = re.findall(r"`((?:make|snakemake|dvc|mlflow|ostinato) [^`]+)`", README)


def test_the_page_and_the_readme_say_the_same():
    assert {command for _, command in TO_REBUILD} <= set(PROMISED)


def test_every_stage_named_is_one_and_knows_the_options_named(capsys):
    for words in [shlex.split(command) for command in PROMISED if command.startswith("ostinato ") and "COMMAND" not in command]:
        assert words[1] in COMMANDS, words
        with pytest.raises(SystemExit) as left:
            main([words[1], "--help"])
        text = capsys.readouterr().out
        assert left.value.code == 0 and all(word in text for word in words if word.startswith("--")), words


def test_snakemake_reads_its_commands_as_they_are_meant():
    lines = [*PROMISED, *re.findall(r"^(snakemake [^#\n]+)", README, re.MULTILINE)]
    for command in lines:
        if command.startswith("snakemake "):
            _, args = parse_args(shlex.split(command)[1:])
            assert all(Path(path).suffix == ".yaml" for path in args.configfile), command  # a target after --configfile is taken for one
            assert set(args.targets) <= {"midi", "ears"}, command


def test_make_targets_files_and_the_store_are_there():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{command.split()[1]}:" in makefile for command in PROMISED if command.startswith("make "))
    assert all((ROOT / link).exists() for link in re.findall(r"\]\(([^)#:]+)\)", README))
    assert all((ROOT / path).exists() for path in re.findall(r"(?:--profile |`)(cluster/[\w./-]+)", README))
    assert load(ROOT / "params.yaml").track.uri in README
