"""What Slurm says of jobs: squeue of those that wait or run, for all jobs of a launcher at once, and sacct of how one ended."""

from __future__ import annotations

import logging
import subprocess
import time

from ostinato.files import UserError

log = logging.getLogger(__name__)
#: States in which Slurm is through with a job.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}
#: The first pause between two looks, s.
FIRST_PAUSE = 2.0


class Queue:
    """What squeue says of the jobs of one launcher. A pause begins short and doubles up to `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self.longest, self.pause, self.asked = longest, FIRST_PAUSE, 0.0
        self.absences: dict[str, int] = {}
        self.states: dict[str, str] = {}

    def look(self, job_id: str) -> None:
        """Ask squeue when it is time to."""
        self.absences.setdefault(job_id, 0)
        if time.monotonic() - self.asked >= self.pause:
            self.pause, self.asked = min(2 * self.pause, self.longest), time.monotonic()
            states = queued("-j", ",".join(self.absences))
            if states is not None:
                self.states = states
                self.absences = {one: 0 if one in states else count + 1 for one, count in self.absences.items()}

    def hurry(self) -> None:
        """Ask sooner from now on: something has happened."""
        self.pause = FIRST_PAUSE


def queued(*which: str) -> dict[str, str] | None:
    """The states of the jobs that wait or run on Slurm, of those that options of squeue name; None when its controller does not answer. One that is COMPLETING may yet be
    requeued.
    """
    said = ask("squeue", "--noheader", "--array", "--states=all", "-o", "%i|%T", *which)
    if said.returncode and "Invalid job id" not in said.stderr:
        log.warning("squeue does not answer (%s), asked again later", said.stderr.strip().splitlines()[-1] if said.stderr.strip() else f"status {said.returncode}")
        return None
    rows = [line.split("|") for line in said.stdout.splitlines() if "|" in line]
    return {job_id: state for job_id, state in rows if state not in ENDED}


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """What a command of Slurm says. Raises UserError where there is none."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise UserError(f"{words[0]}: not found here; train.launch.cluster is slurm, which wants Slurm's commands on this machine") from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "no answer in 60 s")


def fate(job_id: str) -> str:
    """What accounting says of a job's end: one of ENDED, or nothing; asked again while it is behind what squeue says."""
    state = ""
    for _ in range(6):
        said = ask("sacct", "-X", "-n", "-P", "-o", "State", "-j", job_id)
        state = (said.stdout.split() or [""])[0]
        if said.returncode or state in ENDED:
            break
        time.sleep(5)
    return state


def surely_queued(*which: str) -> dict[str, str]:
    """As `queued`, and waits for the answer, since a second job beside a living one would be worse."""
    while (found := queued(*which)) is None:
        time.sleep(5)
    return found
