"""Check a Slurm site before a long run. One line a check: `ok`, `WARN` or `FAIL`, what was found, and what to do.

Checked are Slurm's commands, what the profile's rules and training ask against what partitions have, a small job on each of them, whether training fits
the GPU, and MLflow. Parameters are laid over one another as Snakemake does: a --configfile takes the place of the profile's own. The exit status is 1 when
something FAILs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ostinato.cluster import outside
from ostinato.cluster.demands import Demand, Profile, read_rules, says, training
from ostinato.cluster.finding import Finding, fail, guarded, ok, warn
from ostinato.cluster.fit import accounts, fits, preemption, warning
from ostinato.cluster.probe import probes
from ostinato.cluster.slurm import Slurm, ask, survey
from ostinato.files import UserError
from ostinato.params import Params, load

COMMANDS = ("sbatch", "squeue", "scancel", "sacct", "sinfo", "scontrol", "srun")
#: More submissions than so many are worth a word: controllers are shared.
MANY = 500


class Site:
    """What the checks ask about; each part is read when it is first asked for, and raises UserError when it cannot be."""

    def __init__(self, profile: Path, parameters: Path, configfiles: Sequence[Path] = (), wait: float | None = 300.0) -> None:
        """
        Args:
            profile: folder of the Snakemake profile.
            parameters, configfiles: files of parameters, and what lies over them in place of what the profile names.
            wait: how long a job that probes a partition may wait and run, seconds; None: no job is submitted.
        """
        self.folder, self.parameters, self.configfiles, self.wait = profile, parameters, list(configfiles), wait
        self.silence = ""

    @cached_property
    def slurm(self) -> Slurm:
        """What Slurm has. When it does not answer once, it is not asked again."""
        if self.silence:
            raise UserError(self.silence)
        try:
            return survey()
        except UserError as error:
            self.silence = f"not checked: {error}"
            raise UserError(self.silence) from None

    @cached_property
    def profile(self) -> Profile:
        """What rules ask."""
        return Profile(self.folder)

    @cached_property
    def paths(self) -> list[Path]:
        """The parameter files, the later over the earlier."""
        return [self.parameters, *(self.configfiles or self.profile.configfiles)]

    @cached_property
    def params(self) -> Params:
        """The parameters."""
        return load(*self.paths)

    @cached_property
    def rules(self) -> list[Demand]:
        """What rules ask, attempt by attempt."""
        return list(self.profile.demands(read_rules(Path("workflow/rules")), self.params.corpus.shards))

    @cached_property
    def training(self) -> Demand | None:
        """What training asks of Slurm; None when it stays on this machine."""
        launch = self.params.train.launch
        return training(launch, str(says(self.paths, "train", "launch", "partition"))) if launch.cluster == "slurm" else None


def commands(site: Site) -> Iterator[Finding]:
    """Slurm's commands, its daemons, its version."""
    missing = [name for name in COMMANDS if not shutil.which(name)]
    if missing:
        yield fail("commands", f"not found: {', '.join(missing)}", "run this where jobs are submitted (a login node), or load Slurm's module")
    else:
        yield ok("commands", f"{', '.join(COMMANDS)}: {ask('sinfo', '--version').strip()}")
    yield from guarded("slurmctld", _controller)
    yield from guarded("accounting", _accounting)


def _controller() -> Iterator[Finding]:
    lines = ask("scontrol", "ping", timeout=30).strip().splitlines()
    found = "; ".join(lines)
    yield ok("slurmctld", found) if any(line.endswith("UP") for line in lines) else fail("slurmctld", found, "ask the site's administrators")


def _accounting() -> Iterator[Finding]:
    try:
        ask("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID", "--starttime=now-1minute", timeout=30)
        yield ok("accounting", "sacct answers")
    except UserError as error:
        yield fail(
            "accounting",
            str(error),
            "Snakemake's plugin asks sacct for its jobs, and so do the costs: the site must run slurmdbd (slurm-status-command: squeue in the profile helps the plugin alone)",
        )


def rules(site: Site) -> Iterator[Finding]:
    """The profile against the partitions, and how many jobs it makes of so many shards."""
    demands, shards = site.rules, site.params.corpus.shards
    sent = site.profile.submissions(read_rules(Path("workflow/rules")), shards)
    if sum(sent.values()) > MANY:
        most = [name for name, count in sent.items() if count > 1]
        yield warn(
            "rules, submissions",
            f"{shards} shards are {sum(sent.values())} jobs ({', '.join(f'{name} {count}' for name, count in sent.items())})",
            f"raise {', '.join(f'group-components.{name}' for name in most)} in {site.profile.where}",
        )
    yield from fits(site.slurm, "rules", demands)
    yield from accounts(demands)


def trainings(site: Site) -> Iterator[Finding]:
    """`train.launch` against the partitions."""
    if not site.training:
        yield warn(
            "training",
            f"train.launch.cluster is local ({says(site.paths, 'train', 'launch', 'cluster')}): training would run on this machine",
            f"name the profile's file beside yours: --configfile {' '.join(map(str, [*site.profile.configfiles, *site.configfiles]))}",
        )
        return
    launch = site.params.train.launch
    yield warning(launch, site.paths)
    yield from fits(site.slurm, "training", [site.training])
    yield from accounts([site.training])
    yield from preemption(site.slurm, launch)
    yield from _accepted(site)


def _accepted(site: Site) -> Iterator[Finding]:
    """What Slurm itself says of the very request that training makes, limits of accounts and qualities of service among it. Nothing is submitted."""
    import submitit

    from ostinato.train.jobs import resources

    executor: Any = submitit.AutoExecutor("results/runs/jobs", cluster="slurm")
    executor.update_parameters(name="ostinato-doctor", **resources(site.params.train.launch))
    try:
        ask("sbatch", "--test-only", given=executor._executor._make_submission_file_text("true", "doctor"))
        yield ok("training, request", "sbatch --test-only takes it")
    except UserError as error:
        where = says(site.paths, "train", "launch", "partition")
        yield fail("training, request", f"sbatch --test-only refuses it: {error}", f"change train.launch in {where}")


def jobs(site: Site) -> Iterable[Finding]:
    """A job on each partition, that of training with its GPUs."""
    if site.wait is None:
        return []
    asked = [*([site.training] if site.training else []), *site.rules]
    first = {(one.partition, one.account, one.gpus): one for one in reversed(asked) if one.attempt == 1 and site.slurm.partition(one.partition)}
    gpu_gb = site.params.train.launch.gpu_gb
    return probes(list(first.values())[::-1], site.parameters, Path("results"), site.wait, site.profile.patience, gpu_gb)


def memory(site: Site) -> Iterator[Finding]:
    """Whether training fits the GPU, and its pretrained parts can be had."""
    yield from outside.memory(site.params)
    yield from outside.pretrained(site.params)


def mlflow(site: Site) -> Iterator[Finding]:
    """Whether runs can be written to `track.uri`."""
    yield from outside.mlflow(site.params.track.uri, f"track.uri in {says(site.paths, 'track', 'uri')}")


CHECKS: dict[str, Callable[[Site], Iterable[Finding]]] = {"commands": commands, "rules": rules, "training": trainings, "probe": jobs, "memory": memory, "MLflow": mlflow}
