"""What the rules share, computed once while Snakemake plans: checked parameters, source files, recordings, disk space."""

import json
import os
import re
import subprocess
import sys
from glob import glob
from pathlib import Path

from ostinato.cli import STAGES
from ostinato.corpus.folders import hidden, search
from ostinato.corpus.recordings import EXTENSIONS, FILM, nothing_in, survey
from ostinato.corpus.side_files import beside
from ostinato.files import UNPRINTABLE, UserError, hash_value, require_space, shown, write_json
from ostinato.lm.pretrained import pretrained_bytes
from ostinato.midi import EXTENSIONS as MIDI_EXTENSIONS
from ostinato.params import Loop, Params, check
from ostinato.params_midi import Studied
from ostinato.report.remake import LAST_RUN
from ostinato.scratch import tidy
from ostinato.sources import modules, source_file
from ostinato.train import devices
from ostinato.train.sweep import plans

#: Snakemake takes {} in a name for a wildcard and <> for a variable, and knows no way to say otherwise; it wants UTF-8, and warns of line ends, of blanks
#: at either end and of `//`, each time.
STRANGE = re.compile(rf"[{UNPRINTABLE}{{}}<>]|^\s|\s$|//")


def as_json(value) -> str:
    """A section as compact JSON with sorted keys, so that the order of keys in params.yaml and `2` for `2.0` rerun nothing."""
    return json.dumps(value.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def section(name: str):
    """For `params:`, one section of params.yaml. A function, since Snakemake looks for wildcards in the braces of plain text."""
    return lambda wildcards: as_json(getattr(PARAMS, name))


def training(wildcards) -> str:
    """For `params:`, what `train` says about all runs alike: without the plans, and without `launch`, which says where but not what."""
    values = PARAMS.train.model_dump(mode="json", exclude={"base", "tune", "launch"})
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def training_of_ears(wildcards) -> str:
    """For `params:`, what `ears` says about the training of all of them alike."""
    return json.dumps(PARAMS.ears.model_dump(mode="json", include=set(Loop.model_fields)), sort_keys=True, separators=(",", ":"))


def midi(name: str):
    """For `params:`, one part of section `midi`."""
    return lambda wildcards: as_json(getattr(PARAMS.midi, name))


def midi_training(wildcards) -> str:
    """For `params:`, what `midi.train` says about all its runs alike."""
    return json.dumps(PARAMS.midi.train.model_dump(mode="json", include=set(Studied.model_fields)), sort_keys=True, separators=(",", ":"))


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


def sources(stage: str) -> list[str]:
    """The source files behind a stage: its own and all of the project's it imports, for `input:`, since Snakemake sees no imports."""
    home = Path("src")
    return [str(source_file(name, home)) for name in modules([STAGES[stage][0]], home)]


def weights(*ears: str) -> list[str]:
    """The files of the networks that listen: those that come with Ostinato, or those of `listen.ears`, which rule `ear` trains in results/ears."""
    folder = PARAMS.listen.ears or "src/ostinato/listen/ears"
    return [f"{folder.rstrip('/')}/{ear}.safetensors" for ear in ears]


def pretrained_files() -> list[str]:
    """The weights of `model.pretrained` where that is a folder here."""
    path = Path(PARAMS.model.pretrained or "", "state_dict.bin")
    return [str(path)] if PARAMS.model.pretrained and path.is_file() else []


def recordings(folder: str | None) -> list[str]:
    """What lies below `corpus.folder` and may be sound, and side files, listed now, so that a new one reruns `check`; empty for the embedded corpus."""
    if folder is None:
        return []
    found, unnamed, _ = survey(folder)
    if not found:
        raise nothing_in(folder)
    files = [file for path in found for file in (path, *beside(path))]
    return sorted({str(path) for path in [*files, *unnamed]})


def midi_files(folder: str | None) -> list[str]:
    """MIDI files and tables below `midi.pieces.folder`, listed now as recordings are; empty for the scores that pip brings."""
    if folder is None:
        return []
    if not os.path.isdir(folder):
        raise UserError(f"midi.pieces.folder: {folder}: no such folder")
    return [str(path) for path in search(folder).files if path.suffix.lower() in (*MIDI_EXTENSIONS, ".csv") and not hidden(path, folder)]


def watched(files: list[str]) -> list[str]:
    """The files whose names Snakemake can have, for `input:`."""
    return [path for path in files if not STRANGE.search(path)]


def others(files: list[str]):
    """For `params:`, what tells whether any of the other files has changed: a hash of their names, sizes (bytes) and times (ns); empty where there are none."""
    states = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files if STRANGE.search(path)]
    return lambda wildcards: hash_value(states) if states else ""


def expected_bytes(params: Params, songs: list[str], runs: int) -> int:
    """What `results/` will hold, in bytes, roughly; meant to catch a disk that is obviously too small.

    - A second of music: 16-bit segments, plus 60 % of 16-bit 44.1 kHz for an etude's FLAC.
    - How long a user's songs are is not known before they are decoded: a wav as if 16-bit 44.1 kHz mono, a film as if 2 Mbit/s, anything else as if 128 kbit/s.
    - Models: as `models_bytes` says.
    - Demos: 16-bit like the segments. 0.2 GB for the environment's caches, MLflow, logs and the page.
    """
    rate = 2 * params.segments.sample_rate
    if songs:
        sizes = [(Path(path).suffix.lower(), os.path.getsize(path)) for path in songs]
        music = sum(size / (88_200 if suffix == ".wav" else 250_000 if suffix in FILM else 16_000) for suffix, size in sizes if suffix in EXTENSIONS) * rate
    else:
        etudes = params.corpus.etudes
        music = etudes.songs * (etudes.min_seconds + etudes.max_seconds) / 2 * (rate + 0.6 * 88_200)
    clips = 3 * len(params.demos.prompts + params.demos.heldout) * len(params.demos.seeds)
    return int(music + models_bytes(params, runs) + clips * params.demos.seconds * rate + 2e8)


def models_bytes(params: Params, runs: int) -> int:
    """What a base model, `runs` fine-tunings and the best of them take, in bytes.

    In 32 bits each: a run's model is in its folder and, as a copy, among the models; the best is copied again. What is trained is in a run's checkpoint with the optimiser's
    two moments, where there is one the moving average, and for a moment in the next checkpoint beside it. Adapters are taken for nothing; so is a fresh text encoder.
    """
    method, model = params.train.method, params.model
    weights = pretrained_bytes(model.pretrained) if model.pretrained else 4 * 16 * model.layers * model.dim**2
    state = 0 if method.lora and model.pretrained else (4 if method.ema else 3) * weights
    trained = runs + (0 if model.pretrained else 1)
    return weights * (2 * (runs + 1) + 1) + state * (trained + 1)


def missing_bytes(folder: str, needed: int) -> int:
    """What is still to be written to `folder`."""
    return max(0, needed - sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()))


# What the user can mend is one line. sys.exit, because Snakemake prints a WorkflowError in five, traceback and all.
def refuse_training_here() -> None:
    """End when stages would run on Slurm and training on this machine, which is then a login node; or when training here asks for GPUs that are not there."""
    if workflow.executor_plugin.name == "slurm" and PARAMS.train.launch.cluster == "local":
        sys.exit("ostinato: train.launch.cluster is local, so training would run on this machine and not on Slurm. A --configfile takes the place of "
                 "the profile's own: name both, --configfile cluster/slurm/submitit.yaml FILE")
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
    write_json(LAST_RUN, {"profile": "cluster/slurm" if workflow.executor_plugin.name == "slurm" else "cluster/local",
                          "configfiles": [path for path in files if path != "params.yaml"], "config": workflow.config_settings.config})


def watch() -> None:
    """Bring training runs into MLflow while they train, in a process that ends with this one; what it misses, rule `track` brings."""
    if trains() and PARAMS.track.live_seconds:
        os.makedirs("results/logs", exist_ok=True)
        words = [sys.executable, "-m", "ostinato.cli", "watch", "--params", as_json(PARAMS.track), "--runs", "results/runs", "--while", str(os.getpid())]
        with open("results/logs/watch.log", "a") as log:
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


try:
    PARAMS = check(config, " + ".join(os.path.relpath(path) for path in reversed(workflow.configfiles)))
    FOLDER = PARAMS.corpus.folder and os.path.expanduser(PARAMS.corpus.folder)
    SONGS = recordings(FOLDER)
    MIDI_FOLDER = PARAMS.midi.pieces.folder and os.path.expanduser(PARAMS.midi.pieces.folder)
    MIDI_FILES = midi_files(MIDI_FOLDER)
    PLANS = plans(PARAMS.train.tune, PARAMS.sweep)
    MIDI_PLANS = plans(PARAMS.midi.train.pretrain, PARAMS.midi.train.sweep)
    require_space("results", missing_bytes("results", expected_bytes(PARAMS, SONGS, len(PLANS))))
except UserError as error:
    sys.exit(f"ostinato: {shown(error)}")

SHARDS = [f"shard-{number:02d}" for number in range(PARAMS.corpus.shards)]
TUNED = [f"tune-{k}" for k in range(len(PLANS))]
MODELS = ["base", *TUNED, "tuned"]
DEMOS = ["before", "after", "ceiling"]
MIDI_SHARDS = [f"midi-{number:02d}" for number in range(PARAMS.midi.pieces.shards)]
PRETRAINED = [f"pretrain-{k}" for k in range(len(MIDI_PLANS))]
MIDI_MODELS = ["pretrained", *PARAMS.midi.train.composers]
MIDI_MODEL = ["state_dict.bin", "tokenizer.json", "events.jsonl", "summary.json"]
EARS = ["labeller", "judge", "instruments"]


wildcard_constraints:
    shard=r"shard-\d+",
    which="before|after",
    ear="|".join(EARS),
    composer="|".join(map(re.escape, PARAMS.midi.train.composers)) or "nobody",


# Slurm refuses jobs now and then: ours asks again (see there).
os.environ.update(PATH=os.pathsep.join([os.path.abspath("cluster/slurm/bin"), *os.get_exec_path()]))

# A stage writes to its log; when it fails, the end of the log is shown as well. `ostinato` is found without activating .venv.
# The first words are Snakemake's own prefix, which this one replaces. Rules that start a pool of processes ask for one thread in each,
# where Snakemake would allow all of the rule's threads to each.
shell.prefix(
    f'set -euo pipefail; PATH="$PATH:{os.path.dirname(sys.executable)}"; '
    'logged() {{ "${{@:2}}" > "$1" 2>&1 || {{ tail -n 3 "$1" >&2; return 1; }}; }}; '
)
