"""What the rules share, computed once while Snakemake plans: checked parameters, source files, recordings, disk space."""

import os
import re
import subprocess
import sys
from glob import glob

from ostinato import lists
from ostinato.corpus.listing import recordings_in
from ostinato.ears.labels import EARS
from ostinato.escapes import shown
from ostinato.files import UserError, write_json
from ostinato.graph import inputs, sections
from ostinato.graph.inputs import sources
from ostinato.graph.sections import as_json
from ostinato.graph.space import require_room
from ostinato.midi.listing import midi_in
from ostinato.params import check
from ostinato.provenance.remake import LAST_RUN
from ostinato.scratch import tidy
from ostinato.train import devices
from ostinato.train.sweep import plans


def section(name: str):
    """For `params:`, one section of params.yaml. A function, since Snakemake looks for wildcards in the braces of plain text."""
    return lambda wildcards: as_json(getattr(PARAMS, name))


def midi(name: str):
    """For `params:`, one part of section `midi`."""
    return lambda wildcards: as_json(getattr(PARAMS.midi, name))


def shared(values):
    """For `params:`, what a function of `sections` makes of the parameters."""
    return lambda wildcards: values(PARAMS)


def weights(*ears: str) -> list[str]:
    """The files of the networks that listen."""
    return inputs.weights(PARAMS.listen.ears, *ears)


def launch(wildcards) -> str:
    """For `resources:`, how a training job is started. Not in `params:`: a model trained on a cluster is not trained anew elsewhere."""
    return as_json(PARAMS.train.launch)


def again(rule: str):
    """For `resources:`, whether a rule is forced by its name (-R, -f) or with all (-F), and so has to train anew what it has trained already. One that is forced by a file
    delivers that file anew, as `ostinato verify` has it.
    """

    def option(wildcards) -> str:
        asked = workflow.dag_settings  # not there yet while the rules are read
        forced = asked.forceall or rule in asked.forcerun or (asked.forcetargets and rule in asked.targets)
        return "--again" if forced and workflow.is_main_process else "--no-again"

    return option


def side_by_side(plans) -> int:
    """Threads of the runs of a sweep that run at a time."""
    return min(PARAMS.train.launch.at_once, len(plans)) * plans[0].threads


# What the user can mend is one line. sys.exit, because Snakemake prints a WorkflowError in five, traceback and all.
def refuse_training_here() -> None:
    """End when stages would run on Slurm and training on this machine, which is then a login node; or when training here asks for GPUs that are not there."""
    if workflow.executor_plugin.name == "slurm" and PARAMS.train.launch.cluster == "local":
        sys.exit(
            "ostinato: train.launch.cluster is local, so training would run on this machine and not on Slurm. A --configfile takes the place of "
            "the profile's own: name both, --configfile cluster/slurm/submitit.yaml FILE"
        )
    try:
        if trains():
            devices.require(PARAMS.train.launch)
    except UserError as error:
        sys.exit(f"ostinato: {error}")


def trains() -> bool:
    """Whether this run trains anything."""
    return any("launch" in job.rule.resources for job in workflow.dag.needrun_jobs())


def note_configuration() -> None:
    """Leave what this run was started with, for the commands that `ostinato verify` names."""
    files = [os.path.relpath(path) for path in workflow.configfiles]
    write_json(
        LAST_RUN,
        {
            "profile": "cluster/slurm" if workflow.executor_plugin.name == "slurm" else "cluster/local",
            "configfiles": [path for path in files if path != "params.yaml"],
            "config": workflow.config_settings.config,
        },
    )


def watch() -> None:
    """Bring training runs into MLflow while they train, in a process that ends with this one; what it misses, rule `track` brings."""
    if trains() and PARAMS.track.live_seconds:
        os.makedirs("results/logs", exist_ok=True)
        words = [sys.executable, "-m", "ostinato.cli", "watch", "--params", as_json(PARAMS.track), "--runs", "results/runs", "--while", str(os.getpid())]
        with open("results/logs/watch.log", "a") as log:
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def listed(track: str, folder: str | None) -> str:
    """Where the lists of a shard's files lie: those of a folder are written here, those of the music that comes with Ostinato by a rule, and they must not be taken for each other."""
    return f"results/lists/{track}/{'folder' if folder else 'embedded'}/{{shard}}.jsonl"


def plan() -> None:
    """Write the lists of folders, where they have changed, and see whether there is room for what is to come.

    Not while another Snakemake works here: a list that changes under a shard's check would be older than its outcome, and what was added would never be seen.
    """
    songs = FOLDER and recordings_in(FOLDER, len(SHARDS))
    midi_files = MIDI_FOLDER and midi_in(MIDI_FOLDER, len(MIDI_SHARDS))
    require_room("results", PARAMS, songs or None, len(PLANS))
    if os.path.isdir(".snakemake/locks") and os.listdir(".snakemake/locks"):
        return
    if songs:
        lists.write(expand(LIST, shard=SHARDS), songs)
    if midi_files:
        lists.write(expand(MIDI_LIST, shard=[*MIDI_SHARDS, "tables"]), midi_files)
    if not workflow.output_settings.dryrun:
        inputs.require_company("results/codes/segments.npz", ["contents.json"])
        inputs.require_company("results/midi/tokens/words.jsonl", ["contents.json", "tokenizer.json", "translation.npy", "shards.json"])


def gathered(wildcards) -> str:
    """What is learnt, in a file that `gather` leaves as it is when it has not changed: a checkpoint, after which Snakemake asks again what there is to do. All that comes
    after names the checkpoint too, since for jobs that do not Snakemake (9.27) keeps the reasons of before.
    """
    return f"{os.path.dirname(checkpoints.gather.get().output.table)}/contents.json"


def gathered_words(wildcards) -> list[str]:
    """The same of the MIDI track: what the words are, and what the pieces say."""
    folder = os.path.dirname(checkpoints.tokenizer.get().output.index)
    return [f"{folder}/tokenizer.json", f"{folder}/contents.json"]


try:
    PARAMS = check(config, " + ".join(os.path.relpath(path) for path in reversed(workflow.configfiles)))
    FOLDER = PARAMS.corpus.folder and os.path.normpath(os.path.expanduser(PARAMS.corpus.folder))
    MIDI_FOLDER = PARAMS.midi.pieces.folder and os.path.normpath(os.path.expanduser(PARAMS.midi.pieces.folder))
    PLANS = plans(PARAMS.train.tune, PARAMS.sweep)
    MIDI_PLANS = plans(PARAMS.midi.train.pretrain, PARAMS.midi.train.sweep)
    SHARDS = [f"shard-{number:02d}" for number in range(PARAMS.corpus.shards)]
    MIDI_SHARDS = [f"midi-{number:02d}" for number in range(PARAMS.midi.pieces.shards)]
    LIST, MIDI_LIST = listed("corpus", FOLDER), listed("midi", MIDI_FOLDER)
    if workflow.is_main_process:  # which jobs run beside, on other machines perhaps, and have been planned
        plan()
except UserError as error:
    sys.exit(f"ostinato: {shown(error)}")

TUNED = [f"tune-{k}" for k in range(len(PLANS))]
MODELS = ["base", *TUNED, "tuned"]
PLAYERS = {"reference": "etudes", "reference-2": "plain"}
DEMOS = ["before", "after", *PLAYERS]
#: The held-out prompts, where they are in a file.
PROMPTS = PARAMS.demos.heldout_set or []
#: What evidence is judged by beside the demo: more trainings, by their seeds, and the control; and where each model lies.
REPEATS = [*(f"after-{seed}" for seed in PARAMS.evidence.train_seeds), "control"]
EVIDENCE = {"before": "results/models/base", "after": "results/models/tuned"} | {name: f"results/evidence/models/{name}" for name in REPEATS}
PRETRAINED = [f"pretrain-{k}" for k in range(len(MIDI_PLANS))]
MIDI_MODELS = ["pretrained", *PARAMS.midi.train.composers]
MIDI_MODEL = ["state_dict.bin", "tokenizer.json", "events.jsonl", "summary.json"]
#: What comes after a checkpoint and need not be made anew because the checkpoint ran.
AFTER, AFTER_MIDI = ancient("results/codes/segments.npz"), ancient("results/midi/tokens/words.jsonl")


wildcard_constraints:
    shard=r"(shard|midi)-\d+",
    which="before|after",
    player="|".join(PLAYERS),
    learner="|".join(EVIDENCE),
    ear="|".join(EARS),
    composer="|".join(map(re.escape, PARAMS.midi.train.composers)) or "nobody",


# Slurm refuses jobs now and then: ours asks again (see there).
os.environ.update(PATH=os.pathsep.join([os.path.abspath("cluster/slurm/bin"), *os.get_exec_path()]))

# A stage writes to its log; when it fails, the end of the log is shown as well. `ostinato` is found without activating .venv.
# The first words are Snakemake's own prefix, which this one replaces. Rules that start a pool of processes ask for one thread in each,
# where Snakemake would allow all of the rule's threads to each.
shell.prefix(f'set -euo pipefail; PATH="$PATH:{os.path.dirname(sys.executable)}"; ' 'logged() {{ "${{@:2}}" > "$1" 2>&1 || {{ tail -n 3 "$1" >&2; return 1; }}; }}; ')
