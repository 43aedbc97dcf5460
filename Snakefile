# From raw audio to a page one can listen to. Run it with a profile: snakemake --profile cluster/local (or cluster/slurm).
# What the files are: docs/layout.md. Every knob: params.yaml.
import os
import shlex
import sys

from snakemake.utils import min_version

min_version("9.27")

if not os.path.samefile(workflow.basedir, os.curdir):  # names in here, in params.yaml and in the sidecars are relative to the project
    home = os.path.realpath(workflow.basedir)
    sys.exit(f"ostinato: snakemake runs in {os.getcwd()}, the project is {home}: go there first, or add --directory {shlex.quote(home)}")


configfile: "params.yaml"


# The system below .venv (Python, git, make, compiler); the Python packages are those of .venv, made in this image and pinned in
# requirements/pins.txt. Pulled only with --software-deployment-method apptainer.
container: "docker://python:3.11-bookworm"


include: "workflow/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/listen.smk"
include: "workflow/rules/ears.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/codec.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/demos.smk"
include: "workflow/rules/midi.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/evidence.smk"


onstart:
    refuse_training_here()
    tidy("results")
    note_configuration()
    watch()


# Training submits its own jobs and waits; MLflow's store wants one writer, beside the store.
localrules:
    base,
    tune,
    repeats,
    pretrain,
    finetune,
    ear,
    best,
    best_midi,
    track,
    track_ears,
    cost,


# The milestones, as in dvc.yaml, each with all it makes: Snakemake lets a missing file be when what was made from it is there, and so a
# change of parameters followed by a failure, which removes the file, would pass for done.
rule corpus:
    input:
        [] if FOLDER else rules.etudes.output,
        expand(rules.check.output, shard=SHARDS),
        rules.songs.output,
    message:
        "The corpus is there"


rule dataset:
    input:
        rules.manifests.output,
        rules.codec.output,
        expand([*rules.listen.output, *rules.segments.output, *rules.codes.output], shard=SHARDS),
        rules.gather.output,
    message:
        "The dataset is there"


rule train:
    input:
        rules.base.output,
        rules.tune.output,
        rules.best.output,
    message:
        "The models are there"


rule demos:
    input:
        expand(rules.generate.output, which=["before", "after"]),
        expand(rules.reference.output, player=PLAYERS),
    message:
        "The demos are there"


rule midi:
    input:
        [] if MIDI_FOLDER else rules.scores.output,
        expand(rules.check_midi.output, shard=MIDI_SHARDS),
        rules.pieces.output,
        rules.tokenizer.output,
        rules.pretrain.output,
        rules.best_midi.output,
        expand(rules.finetune.output, composer=MIDI_MODELS[1:]),
        rules.compositions.output,
        rules.judge_midi.output,
    message:
        "The MIDI track is there"


rule report:
    input:
        rules.judge.output,
        rules.track.output,
        rules.cost.output,
        rules.page.output,
    message:
        "The report is there"


# Not part of `all`: trained ears come with Ostinato.
rule ears:
    input:
        rules.card.output,
        rules.track_ears.output,
    message:
        "The ears are there"


rule all:
    default_target: True
    input:
        rules.corpus.input,
        rules.dataset.input,
        rules.train.input,
        rules.demos.input,
        rules.midi.input,
        rules.report.input,
    message:
        "All is there: results/report/index.html"


# Not part of `all`: it takes as long again.
rule evidence:
    input:
        rules.all.input,
        rules.evidence_judge.output,
        rules.evidence_judge_midi.output,
        rules.evidence_page.output,
        rules.evidence_track.output,
    message:
        "The evidence is there: results/evidence/index.html"
